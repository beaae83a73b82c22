"""Several runs in one chart: which are drawn, how they are told apart, their values at the cursor."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from many import AT, comparing, events, make, name_of
from scenes import opened, until
from test_app import text_of

from opeddev_tui.config import loading
from opeddev_tui.runs.state import RunState, reduce
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.plots.look import Palette
from opeddev_tui.ui.plots.overlay import MARKS, MEASURES, Line, Overlay, OverlayLook, colours_of
from opeddev_tui.ui.screens.compare.screen import CompareScreen
from opeddev_tui.ui.theme_colours import contrast, parsed_colour
from opeddev_tui.ui.widgets.grid import Grid

OLD = Path(__file__).parents[2] / "fixtures" / "workspace_0_1" / "workspace"


def overlay(count: int, *, ascii_only: bool = False, per_epoch: int = 50) -> Overlay:
    drawn = Overlay(ascii_only=ascii_only)
    colours = colours_of(count, "#101418")
    drawn.show([Line(name_of(at), MARKS[at], colours[at], reduce(events(at, AT, per_epoch=per_epoch)))
                for at in range(count)])  # fmt: skip
    return drawn


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("ascii_only", [False, True])
def test_every_measure_of_three_runs_has_the_marks_of_all_three(measure: str, ascii_only: bool) -> None:
    picture = overlay(3, ascii_only=ascii_only).draw(OverlayLook(measure=measure), Palette(), (80, 20)).plain
    body = "\n".join(line[7:] for line in picture.split("\n")[1:-3])
    # equal values hide each other: the last run is in front
    assert MARKS[2] in body
    assert ascii_only == body.isascii() or "│" in picture
    if measure in ("holdout", "train", "rate", "gradient"):
        assert all(mark in body for mark in MARKS[:3])


def test_no_run_is_marked_by_a_number_as_steps_are_in_the_loss_curves() -> None:
    assert len(set(MARKS)) == len(MARKS) >= 50
    assert MARKS.isalpha()


def test_a_value_is_that_of_the_line_at_the_cursor() -> None:
    drawn = overlay(2)
    state = reduce(events(1, AT))
    assert drawn.values("holdout", OverlayLook(cursor=2.0))[name_of(1)] == pytest.approx(state.holdout[2].loss)
    two, three = state.holdout[2].loss, state.holdout[3].loss
    assert drawn.values("holdout", OverlayLook(cursor=2.4))[name_of(1)] == pytest.approx(two + 0.4 * (three - two))
    in_logs = drawn.values("holdout", OverlayLook(cursor=2.4, log=True))[name_of(1)]
    assert in_logs == pytest.approx(two * (three / two) ** 0.4)
    assert drawn.values("holdout", OverlayLook(cursor=3.5))[name_of(1)] is None
    assert drawn.values("holdout", OverlayLook())[name_of(1)] == pytest.approx(state.holdout[3].loss)
    assert drawn.values("kappa", OverlayLook(cursor=0.5))[name_of(1)] is None


@pytest.mark.parametrize("background", ["#101418", "#fafaf5", "ansi_default"])
def test_runs_have_colours_that_can_be_seen_and_are_not_alike(background: str) -> None:
    colours = colours_of(8, background)
    assert len(set(colours)) == 8
    ground = parsed_colour(background)
    if ground is not None and ground.ansi is None:
        assert min(contrast(parsed_colour(colour) or ground, ground) for colour in colours) >= 3


def test_more_runs_than_marks_are_no_error_and_an_empty_run_neither() -> None:
    drawn = Overlay(ascii_only=False)
    drawn.show([Line("empty", "a", "#ffffff", RunState())])
    assert "None of these runs has it" in drawn.draw(OverlayLook(), Palette(), (60, 12)).plain


async def test_a_filter_chooses_the_runs_and_says_what_it_does_not_understand(tmp_path: Path) -> None:
    app = make(tmp_path, 6, per_epoch=5)
    async with comparing(app, (120, 40)) as (screen, pilot):
        grid = screen.query_one("#compared", Grid)
        assert grid.row_count == 6
        assert "6 of 6 runs drawn" in text_of(app)
        await pilot.press("slash", *"lr<1e-4 !failed")
        await until(pilot, lambda: grid.row_count == 3)
        await pilot.press(*" lrr<")
        await until(pilot, lambda: "nothing here is called lrr" in text_of(app))
        assert grid.row_count == 3
        await pilot.press(*["backspace"] * 5, "enter", "space")
        await until(pilot, lambda: "2 of 6 runs drawn" in text_of(app))
        await pilot.press("u")
        await until(pilot, lambda: "3 of 6 runs drawn" in text_of(app))


async def test_the_cursor_shows_the_value_of_every_run_there(tmp_path: Path) -> None:
    app = make(tmp_path, 3, per_epoch=5)
    async with comparing(app, (120, 40)) as (_, pilot):
        before = text_of(app)
        await pilot.press("v", "left")
        await until(pilot, lambda: "at epoch 2.00" in text_of(app))
        wanted = reduce(events(1, AT, per_epoch=5)).holdout[2].loss
        assert f"{wanted:.4f}" in text_of(app)
        assert f"{wanted:.4f}" not in before
        assert "seed 1" in text_of(app)
        await pilot.press("a", "n", "x", "m", "l", "plus", "0", "minus", "escape")
        await until(pilot, lambda: not isinstance(app.screen, CompareScreen))
        # left before its manifests are read
        await pilot.press("C", "escape", "C", "escape")
        await until(pilot, lambda: not any(worker.is_running for worker in app.workers if worker.group == "manifests"))
        assert app.current_mode == "runs"


async def test_marked_runs_are_compared_and_enter_opens_one(tmp_path: Path) -> None:
    app = make(tmp_path, 4, per_epoch=5)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("6")
        await until(pilot, lambda: app.screen.query("#runs") and app.screen.query_one("#runs", Grid).row_count == 4)
        await pilot.press("space", "j", "space", "C")
        await until(pilot, lambda: "2 of 4 runs drawn" in text_of(app))
        await pilot.press("j", "enter")
        await until(pilot, lambda: app.session.run == name_of(2) and app.current_mode == "monitor")


async def test_runs_of_version_0_1_are_compared(tmp_path: Path) -> None:
    shutil.copytree(OLD, tmp_path / "old")
    app = OpeddevApp(tmp_path / "old", loading.load(tmp_path / "old"), read_only=True)
    async with comparing(app, (80, 24)) as (screen, pilot):
        assert screen.query_one("#compared", Grid).row_count
        await pilot.press("n", "n", "v")
        await pilot.pause()
        assert "runs drawn" in text_of(app) or "run drawn" in text_of(app)
