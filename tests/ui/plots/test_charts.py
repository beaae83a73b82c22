"""The charts besides the losses: what each draws from a run, paging, tiling, and one cursor for all."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from scenes import awaiting, hardware, make, opened, settle, training, until
from test_app import LARGE, MIDDLE, SMALL, text_of

from opeddev_tui.runs import events as ev
from opeddev_tui.runs.state import RunState, reduce
from opeddev_tui.ui.plots.charts import CHARTS, PAGES, legend, reading
from opeddev_tui.ui.plots.curves import CurvesView
from opeddev_tui.ui.plots.heights import cuts_off, heights
from opeddev_tui.ui.plots.look import Look, Palette
from opeddev_tui.ui.plots.series import loss_series

AT = 1_700_000_000.0


@pytest.fixture
def state() -> RunState:
    return reduce(awaiting(AT))


def values(state: RunState, chart: str, label: str, look: Look | None = None) -> list[float]:
    series = CHARTS[chart].series(state, look or Look(), Palette())
    return list(next(item for item in series if item.label == label).ys)


def test_every_chart_is_made_from_the_run(state: RunState) -> None:
    assert values(state, "grades", "exact") == pytest.approx([30, 38, 46, 54])
    assert values(state, "grades", "kappa") == pytest.approx([10, 22, 34, 46])
    assert values(state, "grades", "to beat") == pytest.approx([41, 41])
    assert values(state, "rate", "LR") == [1e-5] * 150
    assert values(state, "speed", "samples/s") == [18.4] * 150
    assert values(state, "gradient", "raw") == [1.2] * 150
    assert values(state, "memory", "GPU") == pytest.approx([14.0] * 3)
    assert values(state, "load", "CPU") == pytest.approx([23.0] * 3)


def test_the_x_axis_is_that_of_the_losses(state: RunState) -> None:
    series = CHARTS["grades"].series(state, Look(by_step=True), Palette())
    assert list(series[-1].xs) == [0, 50, 100, 150]
    assert list(CHARTS["memory"].series(state, Look(by_step=True), Palette())[0].xs) == [50, 100, 150]


def test_a_machine_without_a_gpu_has_no_curve_of_one() -> None:
    state = reduce([*training(AT)])
    state.apply(ev.HardwareSampled(cpu_percent=50.0, ram_used=2**30, ram_total=2**33))
    bare = RunState()
    bare.apply(ev.HardwareSampled(cpu_percent=50.0, ram_used=2**30, ram_total=2**33))
    assert [item.label for item in CHARTS["load"].series(bare, Look(), Palette())] == ["CPU"]
    assert [item.label for item in CHARTS["load"].series(state, Look(), Palette())] == ["GPU", "CPU"]


def test_an_empty_run_has_empty_charts() -> None:
    for chart in CHARTS.values():
        assert not chart.series(RunState(), Look(), Palette())
        assert chart.empty


def test_legend_and_reading_name_the_values(state: RunState) -> None:
    chart = CHARTS["grades"]
    series = chart.series(state, Look(), Palette())
    named = [entry.plain for entry in legend(chart, series, 0.6, Palette())]
    assert "● exact 54%" in named
    # kappa is drawn with the shares, and is none
    assert "◆ kappa 0.46" in named
    # measured after an epoch, between two of them as the line runs, and nothing where there is no line
    assert "exact 38%" in reading(chart, series, 1.0)
    assert "exact ≈41%" in reading(chart, series, 1.4)
    assert "exact" not in reading(chart, series, 3.5)


def test_points_trained_again_after_a_crash_are_dropped_from_every_column(state: RunState) -> None:
    state.curves.drop_from(100)
    assert {len(column) for column in msgspec.structs.asdict(state.curves).values()} == {99}


def test_the_current_step_fills_the_plot() -> None:
    """A base model's loss of 8 does not squash a step that goes from 2.4 to 1.9."""
    state = reduce([event for event in awaiting(AT) if not isinstance(event, ev.HoldoutEvaluated | ev.EpochFinished)])
    for epoch, loss in ((0, 8.4), (1, 1.3), (2, 1.2)):
        state.apply(ev.HoldoutEvaluated(epoch=epoch, loss=loss, sums=(), tokens=()))
    fitted = heights(state, Look(), (0.0, 3.0))
    assert fitted is not None
    assert fitted[1] < 4
    assert heights(state, Look(everything=True), (0.0, 3.0)) is None
    assert cuts_off(loss_series(state, (), Look(), Palette()), fitted)
    near = reduce(awaiting(AT))
    fitted = heights(near, Look(), (0.0, 3.0))
    assert not cuts_off(loss_series(near, (), Look(), Palette()), fitted)


@pytest.mark.parametrize(("size", "shown"), [(SMALL, 2), (MIDDLE, 2), (LARGE, 7)])
async def test_charts_are_tiled_and_paged_with_one_cursor(tmp_path: Path, size: tuple[int, int], shown: int) -> None:
    app = make(tmp_path, "awaiting")
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await settle(app, "awaiting")
        await pilot.press("tab", "a")
        view = app.screen.query_one(CurvesView)
        await until(pilot, lambda: "exact 54%" in view.plain_text())
        titles = [chart.title for chart in CHARTS.values() if chart.title in view.plain_text()]
        assert len(titles) + 1 >= shown
        await pilot.press("v")
        cursor = view.look.cursor
        assert cursor is not None
        await pilot.press("a")
        for page in (*PAGES[2:], "loss"):
            await pilot.press(*(["n", "n"] if page == PAGES[2] else ["n"]))
            assert view.look.chart == page
        assert view.border_title == "[2] Loss curves"
        await pilot.press("N")
        assert view.border_title == f"[2] {CHARTS['load'].title}"
        assert hardware(AT).cpu_percent == 23.0
        assert CHARTS["load"].title in text_of(app)
