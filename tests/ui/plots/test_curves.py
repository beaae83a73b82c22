"""The curves pane: what it draws from a run, every key of its table, and that it draws no oftener than it must."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable

import pytest
import screen_text
from rich.text import Text
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from opeddev_tui.runs import events as ev
from opeddev_tui.runs.state import RunState, reduce
from opeddev_tui.ui.keys import CURVES
from opeddev_tui.ui.plots import curves as module
from opeddev_tui.ui.plots.curves import CurvesView
from opeddev_tui.ui.plots.look import Look, Palette, palette_of
from opeddev_tui.ui.plots.series import loss_series, size_points

STEPS = 20


def run(step: int, epochs: float, *, start: float = 4.0, rows: int = 0, steps: int = STEPS) -> RunState:
    def loss(epoch: float) -> float:
        return 1 + (start - 1) * math.exp(-epoch)

    def measured(epoch: int) -> Iterable[ev.AnyEvent]:
        value = loss(epoch) + 0.1
        yield ev.HoldoutEvaluated(epoch=epoch, loss=value, sums=(), tokens=())
        yield ev.EpochFinished(
            epoch=epoch, train_loss=None, val_loss=value, samples_per_second=None, global_step=epoch * steps
        )

    def events() -> Iterable[ev.AnyEvent]:
        yield ev.RunStarted(
            run=f"run{step}",
            step=step,
            batch=f"batch{step}",
            rows=rows or step * 100,
            holdout_rows=50,
            holdout_fingerprint="f",
            planned_epochs=3,
            max_epochs=5,
            seed=1,
        )
        yield from measured(0)
        for number in range(1, int(epochs * steps) + 1):
            yield ev.Progress(global_step=number, epoch=number / steps, loss=loss(number / steps))
            if number % steps == 0:
                yield from measured(number // steps)

    return reduce(events())


class Curves(App[None]):
    """The pane alone."""

    def __init__(self, state: RunState, previous: list[RunState]) -> None:
        super().__init__()
        self.state, self.previous = state, previous

    def compose(self) -> ComposeResult:
        yield CurvesView(id="curves")

    def on_mount(self) -> None:
        self.query_one(CurvesView).focus()
        self.query_one(CurvesView).update_state(self.state, self.previous)


def view_of(pilot: Pilot[None]) -> CurvesView:
    return pilot.app.query_one(CurvesView)


async def press(pilot: Pilot[None], *keys: str) -> str:
    await pilot.press(*keys)
    await pilot.pause()
    return view_of(pilot).plain_text()


@pytest.mark.parametrize("size", [(40, 8), (80, 24), (200, 50)])
@pytest.mark.parametrize("epochs", [0, 0.05, 0.1, 2.5])
async def test_every_size_and_stage(size: tuple[int, int], epochs: float) -> None:
    async with Curves(run(2, epochs), [run(1, 3)]).run_test(size=size) as pilot:
        view = view_of(pilot)
        await pilot.pause()
        for action in ("reset", "sizes", "sizes", "log_scale", "x_axis", "cursor"):
            getattr(view, f"action_{action}")()
            lines = view.render().plain.split("\n")
            assert len(lines) <= size[1]
            assert max(map(len, lines)) <= size[0]


async def test_an_empty_run_is_explained() -> None:
    async with Curves(RunState(), []).run_test(size=(80, 24)) as pilot:
        assert "first logged loss" in await press(pilot)
        assert "first finished epoch" in " ".join((await press(pilot, "b")).split())
        for key in ("v", "left", "right", "plus", "minus", "0", "comma", "full_stop", "l", "m", "x", "b"):
            await press(pilot, key)


async def test_losses_epochs_and_earlier_steps_are_there() -> None:
    async with Curves(run(3, 2), [run(1, 3), run(2, 3)]).run_test(size=(100, 30)) as pilot:
        shown = await press(pilot)
        legend = shown.split("\n")[0]
        assert "train 1." in legend
        assert "hold-out 1.506" in legend
        assert "step 1–2" in legend
        # epoch 0 to 2 in the plot, and one in the legend
        assert shown.count("●") == 4
        assert "smoothing 0.6" in legend
        assert "epoch" in shown.split("\n")[-1]


@pytest.mark.parametrize(("start", "drawn"), [(3.0, True), (60.0, False)])
async def test_an_earlier_step_of_which_almost_nothing_is_in_view_is_left_out(start: float, drawn: bool) -> None:
    async with Curves(run(1, 2), [run(0, 3, start=start)]).run_test(size=(100, 30)) as pilot:
        legend, *plot = (await press(pilot)).split("\n")
        # the mark of step 0, not a number of an axis
        marked = [line for line in plot[:-2] if re.search(r"(?<![\d.])0(?![\d.])", line)]
        assert bool(marked) is drawn
        assert ("hold-out, step 0" in legend) is drawn
        assert ("step 0 not in view" in legend) is not drawn
        # all of it on request
        whole = await press(pilot, "0")
        assert "hold-out, step 0" in whole.split("\n")[0]


async def test_log_smoothing_and_axis_keys() -> None:
    async with Curves(run(2, 2.5), []).run_test(size=(100, 30)) as pilot:
        assert "log" in (await press(pilot, "l")).split("\n")[0]
        assert "log" not in (await press(pilot, "l")).split("\n")[0]
        for words in ("smoothing 0.8", "smoothing 0.95", "not smoothed", "smoothing 0.6"):
            assert words in await press(pilot, "m")
        assert "optimizer step" in await press(pilot, "x")
        assert "50" in (await press(pilot)).split("\n")[-2]
        assert "optimizer step" not in await press(pilot, "x")


async def test_zoom_and_pan() -> None:
    async with Curves(run(2, 3), []).run_test(size=(100, 30)) as pilot:
        view = view_of(pilot)
        await press(pilot, "left")
        assert view.look.window is None
        await press(pilot, "plus")
        assert view.look.window == (0.75, 2.25)
        await press(pilot, "right")
        assert view.look.window == pytest.approx((1.05, 2.55))
        for _ in range(9):
            view.action_pan(1)
        assert view.look.window == pytest.approx((1.5, 3.0))
        await press(pilot, "comma")
        for _ in range(9):
            view.action_pan(-1)
        assert view.look.window == pytest.approx((0.0, 1.5))
        for _ in range(20):
            view.action_zoom(0.5)
        assert "zoomed" in await press(pilot, "full_stop")
        for _ in range(20):
            view.action_zoom(2.0)
        await press(pilot, "minus")
        assert view.look.window is None
        await press(pilot, "equals_sign", "0")
        assert view.look.window is None


async def test_cursor_reads_values() -> None:
    async with Curves(run(2, 3), [run(1, 3, start=6)]).run_test(size=(100, 30)) as pilot:
        last = (await press(pilot, "v")).split("\n")[-1]
        # the names of the legend: train is the smoothed line
        assert last.startswith("epoch 3.00 · train 1.162 · raw 1.149 · ")
        assert view_of(pilot).plain_text().split("\n")[0].startswith("── train 1.162")
        assert "hold-out 1.249" in last
        assert "step 1 1.349" in last
        between = (await press(pilot, "left")).split("\n")[-1]
        assert between.startswith("epoch 2.95")
        # the line runs there from the value after epoch 2 to that after epoch 3
        two, three = (1 + 3 * math.exp(-epoch) + 0.1 for epoch in (2, 3))
        assert f"hold-out ≈{two + 0.95 * (three - two):.3f}" in between
        for _ in range(80):
            view_of(pilot).action_move(-1)
        assert (await press(pilot, "left")).split("\n")[-1].startswith("epoch 0.00")
        assert (await press(pilot, "right")).split("\n")[-1].startswith("epoch 0.05")
        await press(pilot, *["plus"] * 3)
        for _ in range(70):
            view_of(pilot).action_move(1)
        await press(pilot, "right")
        low, high = view_of(pilot).look.window or (0.0, 0.0)
        assert low <= (view_of(pilot).look.cursor or 0) <= high
        assert "train" not in (await press(pilot, "v")).split("\n")[-1]


async def test_holdout_loss_by_data_size() -> None:
    again = run(1, 2)
    async with Curves(run(3, 1), [run(1, 3), again, run(2, 3)]).run_test(size=(100, 30)) as pilot:
        shown = await press(pilot, "b")
        assert "at 300 rows (step 3)" in shown.split("\n")[0]
        assert "rows trained on" in shown.split("\n")[-1]
        assert "step 3, 300 rows: best" in (await press(pilot, "v")).split("\n")[-1]
        assert "step 2, 200 rows" in (await press(pilot, "left")).split("\n")[-1]
        assert "train" in (await press(pilot, "b")).split("\n")[0]
    points = size_points([run(1, 3), again, run(2, 3), RunState()])
    assert [(point.step, point.rows, point.last_epoch) for point in points] == [(1, 100, 2), (2, 200, 3)]


async def test_drawn_only_when_changed_and_not_too_often(monkeypatch: pytest.MonkeyPatch) -> None:
    state = run(2, 1)
    async with Curves(state, []).run_test(size=(80, 24)) as pilot:
        view = view_of(pilot)
        await pilot.pause()
        before = view.pictures
        for _ in range(20):
            state.apply(ev.HardwareSampled(cpu_percent=1, ram_used=1, ram_total=2))
            view.update_state(state, [])
        await pilot.pause()
        assert view.pictures == before
        monkeypatch.setattr(module, "DRAW_SECONDS", 0.2)
        begin = time.monotonic()
        for number in range(30):
            state.apply(ev.Progress(global_step=STEPS + 1 + number, epoch=1 + number / 100, loss=2.0))
            view.update_state(state, [])
            await pilot.pause(0.02)
        while "train 2.0" not in view.plain_text() and time.monotonic() - begin < 30:
            await pilot.pause()
        assert "train 2.0" in view.plain_text(), "the last picture is drawn, too"
        assert 1 <= view.pictures - before <= (time.monotonic() - begin) / 0.2 + 2


def shown(view: CurvesView) -> str:
    """Return what the terminal shows of the pane."""
    return screen_text.text_of(view.screen)


def noted(view: CurvesView) -> list[str]:
    """Return the list to which everything that is rendered from now on is added."""
    rendered: list[str] = []
    real = view.render

    def render() -> Text:
        rendered.append(real().plain)
        return real()

    view.render = render  # type: ignore[method-assign]
    return rendered


async def test_a_pane_out_of_sight_draws_nothing_and_begins_with_its_last_picture() -> None:
    state = run(1, 1.0)
    async with Curves(state, []).run_test(size=(60, 20)) as pilot:
        view = view_of(pilot)
        await pilot.pause()
        before, picture = view.pictures, view.plain_text()
        view.display = False
        await pilot.pause()
        state.apply(ev.HoldoutEvaluated(epoch=2, loss=0.123, sums=(), tokens=()))
        view._drawn_at = float("-inf")
        view.update_state(state)
        await pilot.pause()
        assert (view.pictures, view.plain_text()) == (before, picture)
        rendered = noted(view)
        view.display = True
        while "0.123" not in shown(view):
            await pilot.pause()
        assert rendered[0] == picture
        assert view.pictures == before + 1


async def test_another_run_never_begins_with_the_picture_of_this_one() -> None:
    async with Curves(run(1, 1.0), []).run_test(size=(60, 20)) as pilot:
        view = view_of(pilot)
        await pilot.pause()
        picture = view.plain_text()
        view.display = False
        await pilot.pause()
        view.update_state(run(2, 2.0, start=9.0))
        rendered = noted(view)
        view.display = True
        while not rendered:
            await pilot.pause()
        assert picture not in rendered


async def test_theme_change_is_followed() -> None:
    async with Curves(run(2, 2), []).run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        before = view_of(pilot).render()
        pilot.app.theme = "nord"
        await pilot.pause()
        after = view_of(pilot).render()
        assert before.plain == after.plain
        assert {str(span.style) for span in before.spans} != {str(span.style) for span in after.spans}


def test_palette_falls_back() -> None:
    assert palette_of({}).train == Palette().train
    found = palette_of({"primary": "#112233", "text-muted": "auto 60%", "plot-holdout": "ansi_blue", "warning": "red"})
    assert found.train.lower() == "#112233"
    assert found.holdout.lower() == "#ff0000"
    assert found.axis == Palette().axis


def test_series_are_told_apart_without_colour() -> None:
    series = loss_series(run(4, 2), [run(1, 2), run(2, 2)], Look(), Palette())
    shapes = [(item.line, item.marker) for item in series]
    assert len(set(shapes)) == len(shapes)


def test_a_missing_loss_is_a_gap_not_an_error() -> None:
    state = run(2, 1)
    state.apply(ev.Progress(global_step=STEPS + 1, epoch=1.05, loss=None))
    state.apply(ev.HoldoutEvaluated(epoch=2, loss=math.nan, sums=(), tokens=()))
    assert len(loss_series(state, [], Look(by_step=True), Palette())) == 3


def test_every_key_has_an_action() -> None:
    for key in CURVES:
        assert hasattr(CurvesView, f"action_{key.action.partition('(')[0]}"), key


async def test_a_hundred_thousand_steps_are_drawn() -> None:
    state = run(2, 3, steps=33_333)
    async with Curves(state, []).run_test(size=(120, 40)) as pilot:
        view = view_of(pilot)
        await pilot.pause()
        for key in ("l", "l", "m", "m"):
            await press(pilot, key)
        assert "train 1.1" in view.plain_text()
