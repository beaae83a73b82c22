"""What pictures of every situation showed: help always in reach, keys that work, readable texts, no stale widths."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from rich.text import Text
from scenes import make, opened, settle, until
from test_app import text_of
from textual.widgets import RichLog

from opeddev_tui.format import area
from opeddev_tui.ui.plots.legends import legend_text
from opeddev_tui.ui.screens.runs import RunsScreen
from opeddev_tui.ui.widgets.bars import KeyLine
from opeddev_tui.ui.widgets.grid import Grid
from opeddev_tui.ui.widgets.tables import cut


async def test_help_stays_among_the_keys_and_a_filter_has_keys_of_its_own(tmp_path: Path) -> None:
    app = make(tmp_path, "training")
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await settle(app, "training")
        for place in ("2", "3", "4", "5", "6", "7", "8", "9"):
            await pilot.press(place)
            await until(pilot, lambda: "? Help" in str(app.screen.query_one(KeyLine).content))
        await pilot.press("4", "slash", "c", "u", "d", "a")
        await until(pilot, lambda: "Enter Keep  Esc Drop" in str(app.screen.query_one(KeyLine).content))
        assert "1 of 44 lines" in text_of(app)
        await pilot.press("enter")
        await until(pilot, lambda: "/ Filter" in str(app.screen.query_one(KeyLine).content))


async def test_a_grown_pane_names_the_way_back_and_the_log_stays_at_its_end(tmp_path: Path) -> None:
    app = make(tmp_path, "training")
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        await settle(app, "training")
        await pilot.press("alt+2", "enter")
        await until(pilot, lambda: str(app.screen.query_one(KeyLine).content).startswith("Esc Back"))
        await pilot.press("escape", "4")
        await until(pilot, lambda: app.current_mode == "log" and "RuntimeError" in text_of(app))
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: app.screen.query_one(RichLog).is_vertical_scroll_end)
        assert "RuntimeError" in text_of(app)


@pytest.mark.parametrize(("scene", "title"), [("empty", "Where your data goes"), ("ready", "What will be trained")])
async def test_the_first_pane_is_called_what_it_shows(tmp_path: Path, scene: str, title: str) -> None:
    app = make(tmp_path, scene)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await settle(app, scene)
        await until(pilot, lambda: f"[1] {title}" in text_of(app))
        assert "Losses per token" not in text_of(app)
        assert "[1 Metrics]  2 Curves" in text_of(app)


async def test_a_dialog_takes_the_colours_of_a_theme_that_is_previewed(tmp_path: Path) -> None:
    app = make(tmp_path, "awaiting")
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("ctrl+p")
        await until(pilot, lambda: len(app.screen_stack) > 1)
        box = app.screen.query("Vertical").first()
        dark = box.styles.background
        app.theme = "opeddev-light"
        await until(pilot, lambda: box.styles.background != dark)


async def test_long_names_push_no_column_out_of_the_list_of_runs(tmp_path: Path) -> None:
    app = make(tmp_path, "hostile")
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await settle(app, "hostile")
        await pilot.press("6")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and app.screen.query_one(Grid).row_count == 2)
        assert "hold-out" in text_of(app)


def test_a_legend_says_that_curves_are_not_named() -> None:
    entries = [Text("one 1"), Text("two 2"), Text("three 3")]
    assert legend_text(entries, 30).plain == "one 1  two 2  three 3"
    assert legend_text(entries, 15).plain == "one 1  two 2 …"


def test_a_steep_area_is_connected() -> None:
    assert area([0.0, 100.0, 0.0], 100.0, 3, 3) == [" █ ", " █ ", "▁░▁"]
    assert area([math.nan, 100.0], 100.0, 2, 1) == [" █"]


def test_what_is_cut_twice_has_one_ellipsis() -> None:
    assert cut("reading the checkpoint …", 23) == "reading the checkpoint…"
    assert cut("short", 5) == "short"
