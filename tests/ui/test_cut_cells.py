"""A text that the right edge of a table cuts ends in "…", at every width and wherever the table is scrolled to."""

from __future__ import annotations

from pathlib import Path

import pytest
from many import make as many_runs
from rich.cells import cell_len
from scenes import opened, until
from store import browser, make_store

from opeddev_tui.ui.widgets.grid import Grid


def check(grid: Grid) -> int:
    """Compare every line on show with the cells that it shows; return how many texts the edge cuts."""
    cut = 0
    width_seen = grid.scrollable_content_region.width
    edge = grid.scroll_offset.x + width_seen
    for at, (_, cells) in enumerate(grid._filled[: grid.size.height - 1]):
        shown = grid.render_line(at + 1).text[:width_seen].rstrip()
        begin = 0
        placed = [cells[grid.titles.index(title)] for title in grid.titles_shown]
        for column, title, cell in zip(grid.ordered_columns, grid.titles_shown, placed, strict=True):
            text = (cell if isinstance(cell, str) else cell[0]).rstrip()
            width = column.get_render_width(grid)
            # a column that gives way cuts it before the edge does
            length = min(cell_len(text), width - 2 * grid.cell_padding)
            if begin + 1 < edge < begin + 1 + length and title not in grid._right:
                assert shown.endswith("…"), shown
                cut += 1
            begin += width
    return cut


@pytest.mark.parametrize("width", [80, 90, 100, 120, 200])
async def test_runs(tmp_path: Path, width: int) -> None:
    app = many_runs(tmp_path, 4, per_epoch=5)
    async with app.run_test(size=(width, 30)) as pilot:
        await opened(pilot)
        await pilot.press("6")
        await until(pilot, lambda: app.screen.query("#runs") and app.screen.query_one("#runs", Grid).row_count == 4)
        await pilot.pause()
        grid = app.screen.query_one("#runs", Grid)
        assert bool(check(grid)) == (width in (80, 90))


@pytest.mark.parametrize("width", [40, 80, 100, 120, 200])
async def test_checkpoints(tmp_path: Path, width: int) -> None:
    app = make_store(tmp_path)
    async with app.run_test(size=(width, 30)) as pilot:
        screen = await browser(app, pilot)
        await pilot.pause()
        grid = screen.query_one(Grid)
        cut = check(grid)
        # from 80 columns on it has the columns that there is room for
        assert bool(cut) == (width == 40)
        assert (grid.max_scroll_x == 0) == (width >= 80)
        await pilot.press("l", "l", "l")
        await pilot.pause()
        check(grid)
