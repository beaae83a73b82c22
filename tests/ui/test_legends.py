"""A legend tells of the columns in view only and is never cut; what a row is chosen by is in view at every width."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.cells import cell_len
from scenes import SIZES, make, opened, settle
from textual.pilot import Pilot
from textual.widgets import Static
from tour import fake_graders, tour
from tour import make as make_tour

from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.screens.base import BaseScreen
from opeddev_tui.ui.screens.rows import listing
from opeddev_tui.ui.screens.rows.screen import RowsScreen
from opeddev_tui.ui.widgets.grid import Grid
from opeddev_tui.ui.widgets.legend import explained, fitting
from opeddev_tui.ui.widgets.pane import Pane

WIDTHS = (80, 100, 120, 200)
# every stop of the tour with a line that explains, and what a person chooses a row of its list by
NEEDED: dict[str, set[str]] = {
    "generations": set(),
    "grades": {"row", "reference", "before", "now"},
    "probes": {"row", "change", "grades", "now"},
    "checkpoints": {"checkpoint", "hold-out", "marks", "verified"},
    "log": set(),
    "settings": {"setting", "from", "value"},
    "runs": {"run", "state", "hold-out", "Δ 0", "best"},
    "grading": set(),
    "trust": set(),
    "disputed": {"row", "given", "head", "surprise", "now"},
    "rows": {"row", "id", "grade", "read", "off", "loss"},
    "grader": set(),
    "choose-checkpoint": {"checkpoint", "hold-out", "what"},
    "compare": {"value", "what differs", "best loss"},
}


def shown_of(app: OpeddevApp) -> set[str]:
    """Return the titles that can be read, of the list on show."""
    screen = app.screen
    if isinstance(screen, BaseScreen) and screen.query("#rows-list"):
        return set(screen.titles_in_view("rows-list"))
    grid = next((grid for grid in screen.query(Grid) if grid.size.width), None)
    return set(grid.titles_in_view) if grid is not None else set()


def check_legend(screen: BaseScreen) -> int:
    """Check the line that explains what has the focus; return how many columns it tells of."""
    line = screen.query_one("#explained", Static)
    text = str(line.content)
    assert text
    assert cell_len(text) <= line.size.width, text
    name = next(str(node.id) for node in screen.focused.ancestors_with_self if node.id in screen.explanations)  # type: ignore[union-attr]
    legend = screen.explanations[name]
    if isinstance(legend, str):
        return 0
    told = {title for title in legend if title and f"{title}: " in text}
    assert told <= set(screen.titles_in_view(name))
    return len(told)


async def at_width(pilot: Pilot[str], width: int) -> None:
    await pilot.resize_terminal(width, 40)
    for _ in range(4):
        await pilot.pause()


async def test_legends_and_columns_of_every_list(tmp_path: Path) -> None:
    app = make_tour(tmp_path)
    told: dict[str, dict[int, int]] = {}
    async with fake_graders(), app.run_test(size=(80, 40)) as pilot:
        async for name in tour(app, pilot, NEEDED):
            if isinstance(app.screen, RowsScreen):
                # as for a set that has values for all columns
                app.screen._columns = listing.columns(1)
                app.screen._draw()
                app.screen.explain()
            # from the width that the stop before was left at to the other end: each change costs more than a look
            for width in sorted(WIDTHS, reverse=app.size.width == WIDTHS[-1]):
                if app.size.width != width:
                    await at_width(pilot, width)
                assert NEEDED[name] <= shown_of(app), (name, width)
                if isinstance(app.screen, BaseScreen) and app.screen.query("#explained"):
                    told.setdefault(name, {})[width] = check_legend(app.screen)
                for grid in app.screen.query(Grid):
                    # a list goes far beyond the edge, or not at all
                    assert grid.max_scroll_x == 0 or grid.max_scroll_x > 4, (name, width, grid.max_scroll_x)
    assert set(told) == {*NEEDED} - {"choose-checkpoint", "compare"}
    # what is wider tells of more columns
    assert [told["rows"][width] for width in WIDTHS] == [2, 2, 3, 3]
    assert told["checkpoints"][WIDTHS[0]] < told["checkpoints"][WIDTHS[-1]]


async def test_the_list_of_runs_is_not_scrolled_at_120_columns_and_keeps_its_selection(tmp_path: Path) -> None:
    app = make_tour(tmp_path)
    async with fake_graders(), app.run_test(size=(120, 40)) as pilot:
        async for _ in tour(app, pilot, {"runs"}):
            grid = app.screen.query_one("#runs", Grid)
            assert grid.max_scroll_x == 0
            await pilot.press("j", "j")
            selected = grid.selected
            assert selected == grid.keys[2]
            assert grid.titles[0] == "started"
            await at_width(pilot, 80)
            assert (grid.selected, grid.titles[0]) == (selected, "run")
            await pilot.press("l")
            await pilot.pause()
            assert "run" not in grid.titles_in_view
            assert grid.titles[-1] in grid.titles_in_view
            await pilot.press("h")
            await pilot.pause()
            assert grid.scroll_offset.x == 0


@pytest.mark.parametrize("size", SIZES)
async def test_what_a_pane_of_the_monitor_says_of_itself_fits_its_frame(tmp_path: Path, size: tuple[int, int]) -> None:
    app = make(tmp_path, "awaiting")
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await settle(app, "awaiting")
        for number in (1, 2, 3, 4):
            await pilot.press(f"alt+{number}")
            await pilot.pause()
            pane = app.focused
            assert pane is not None
            text = str(pane.border_subtitle)
            assert text
            assert cell_len(text) <= pane.size.width, text
            if isinstance(pane, Pane) and pane.id == "epochs":
                assert "exact: " in text
                heading = pane.plain_text().split("\n")[0].split()
                assert all(title in heading for title in ("exact", "±1") if f"{title}: " in text)


def test_a_legend_is_cut_at_clauses() -> None:
    assert fitting("One. Two; three.", 80) == "One. Two; three."
    assert fitting("One. Two; three.", 10) == "One. Two."
    assert fitting("One. Two; three.", 1) == "One."
    assert explained({"a": "first", "b": "second", "": "all"}, ["a"], 80) == "a: first; all."
    assert explained({"a": "first"}, [], 80) == ""
