"""The line of the sets over the rows: all names for as long as there is room, the one on show always."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from scenes import opened, until

from opeddev_tui.config import loading
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.screens.rows.screen import RowsScreen
from opeddev_tui.ui.widgets.bars import ClickBar

COUNT = 9


@pytest.mark.parametrize(("width", "fits"), [(200, True), (80, False)])
async def test_no_set_leaves_the_line_while_there_is_room(
    workspace_factory: Callable[..., Path], width: int, fits: bool
) -> None:
    root = workspace_factory(rows=3, batches=(3,) * (COUNT - 2), holdout=3)
    app = OpeddevApp(root, loading.load(root), read_only=True)
    async with app.run_test(size=(width, 24)) as pilot:
        await opened(pilot)
        await pilot.press("8")
        screen = app.screen
        assert isinstance(screen, RowsScreen)
        bar = screen.query_one("#sets", ClickBar)
        await until(pilot, lambda: screen.rows is not None)
        names = list(screen._sets)
        assert len(names) == COUNT
        for name in names:
            await until(pilot, lambda name=name: screen.rows is not None and screen.rows.name == name)
            shown = str(bar.render())
            assert f"[{name}]" in shown
            assert all(other in shown for other in names) is fits
            assert len(shown) <= width - 2
            assert ("…" in shown) is (names[0] not in shown)
            await pilot.press("right_square_bracket")
        while "…" not in str(bar.render()) and not fits:
            await pilot.press("right_square_bracket")
            await pilot.pause()
        if not fits:
            before = screen._set
            await pilot.click("#sets", offset=(1, 0))
            await until(pilot, lambda: screen._set != before)
