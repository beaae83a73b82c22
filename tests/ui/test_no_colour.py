"""Where there are greys only, or no colours at all: what is selected is turned round in every kind of list."""

from __future__ import annotations

from pathlib import Path

import pytest
import screen_text
import tour
from scenes import until
from textual.color import Color
from textual.widget import Widget
from textual.widgets import DataTable, OptionList

from opeddev_tui.terminal.cell_diff import cells_of
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.theme_colours import contrast
from opeddev_tui.ui.widgets.long_list import LongList

STOPS = ("choice", "runs", "rows", "palette", "choose-checkpoint")


def grounds(app: OpeddevApp, widget: Widget) -> list[Color]:
    """Return what is behind the first letters of each line of a list, as it is shown."""
    found = []
    region = widget.region
    for strip in screen_text.strips_of(app.screen)[region.y : region.bottom]:
        _, style = cells_of(strip)[region.x + 2]
        ground = None if style is None else style.color if style.reverse else style.bgcolor
        assert ground is not None
        found.append(Color.from_rich_color(ground))
    return found


@pytest.mark.parametrize("theme", ["opeddev-dark", "opeddev-light"])
async def test_the_selected_line_of_every_list_is_turned_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, theme: str
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app, seen = tour.make(tmp_path, theme), set[str]()
    async with tour.fake_graders(), app.run_test(size=(80, 24)) as pilot:
        async for name in tour.tour(app, pilot, STOPS):
            for widget in app.screen.query("DataTable, LongList, OptionList"):
                assert isinstance(widget, DataTable | LongList | OptionList)

                def turned(widget: Widget = widget) -> bool:
                    shown = grounds(app, widget)
                    return any(contrast(one, shown[-1]) > 10 for one in shown[:-1])

                await until(pilot, turned)
                seen.add(name)
    assert seen == set(STOPS)
