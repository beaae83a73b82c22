"""Where there are greys only, or no colours at all: what is selected is turned round in every kind of list."""

from __future__ import annotations

from pathlib import Path

import pytest
import tour
from textual.widgets import DataTable, OptionList

from opeddev_tui.ui.widgets.long_list import LongList

PARTS = {
    DataTable: "datatable--cursor",
    LongList: "long-list--cursor",
    OptionList: "option-list--option-highlighted",
}
STOPS = ("choice", "runs", "rows", "palette", "choose-checkpoint")


async def test_the_selected_line_of_every_list_is_reversed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app, seen = tour.make(tmp_path), set[str]()
    async with tour.fake_graders(), app.run_test(size=(80, 24)) as pilot:
        async for name in tour.tour(app, pilot, STOPS):
            for kind, part in PARTS.items():
                for widget in app.screen.query(kind):
                    assert widget.get_component_rich_style(part).reverse, f"{name}: {widget}"
                    seen.add(name)
    assert seen == set(STOPS)
