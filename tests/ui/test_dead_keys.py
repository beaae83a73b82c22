"""A key that can do nothing now says why, in one line; first and last are the same keys in every list and text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tour
from msgspec.structs import replace
from scenes import SCENES, make, opened, settle, until
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import RichLog

from opeddev_tui.ui.state.dead_keys import why_dead
from opeddev_tui.ui.state.situation_text import STOPPING
from opeddev_tui.ui.widgets.grid import Grid
from opeddev_tui.ui.widgets.long_list import LongList

ACTIONS = {
    "c": "decide('continue')", "s": "decide('stop')", "t": "start", "p": "ask('pause')", "g": "ask('sample')",
    "w": "ask('save')",
}  # fmt: skip


@pytest.mark.parametrize("name", SCENES)
async def test_no_key_of_the_bar_is_silent(tmp_path: Path, name: str) -> None:
    app = make(tmp_path, name)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await settle(app, name)
        view = app.session.view()
        views = [view, replace(view, read_only=True), replace(view, requested=(STOPPING,))]
        for one in views:
            for key, action in ACTIONS.items():
                said = app.session.keymap.text(why_dead(one, action))
                offered = one.situation.offers_action(action) or one.chosen is not None
                stops = key == "s" and one.situation.offers_action("stop_now")
                assert offered or stops or said, (name, key)
                assert len(said) <= 78
                assert "\n" not in said


@pytest.mark.parametrize(
    ("name", "key", "words"),
    [
        ("finished", "p", "Nothing is training now. t starts it."),
        ("finished", "s", "Nothing is training now. t starts it."),
        ("starting", "p", "Not yet: the training is starting."),
        ("awaiting", "p", "The training waits for your decision: c continues, s ends the step."),
        ("awaiting", "t", "A training runs here already."),
        ("training", "c", "There is no question now: it comes after the epoch."),
    ],
)
async def test_what_is_said_when_a_key_does_nothing(tmp_path: Path, name: str, key: str, words: str) -> None:
    app = make(tmp_path, name)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await settle(app, name)
        await pilot.press(key)
        assert words in app.session.view().told


async def test_once_all_is_trained_the_key_that_starts_says_so(tmp_path: Path) -> None:
    app = make(tmp_path, "finished")
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await settle(app, "finished")
        assert app.session.scan is not None
        app.session.scan = replace(app.session.scan, rows=app.session.scan.rows[:2])
        app.show_now()
        await pilot.press("t")
        assert "All batches are trained: a new batch folder" in app.session.view().told


async def test_the_text_in_full_says_that_its_keys_are_those_of_the_monitor(tmp_path: Path) -> None:
    app = make(tmp_path, "awaiting")
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await settle(app, "awaiting")
        await pilot.press("i")
        shown = [part.plain for part in app.screen.parts()]  # type: ignore[attr-defined]
        assert any(part.startswith("Keys, once this is closed\nc  Continue") for part in shown)


# where a list or a text has the focus, or the screen scrolls it
LISTS = {"probes", "grades", "checkpoints", "settings", "runs", "disputed", "rows", "compare"}
TEXTS = {"monitor", "generations", "row", "regrade", "log", "help", "blind", "reasons", "race"}


def place(screen: Screen[Any]) -> tuple[float, float]:
    """Return where the focused list or text of ``screen`` is, and where its last line is."""
    widget = screen.focused if isinstance(screen.focused, Grid | LongList | VerticalScroll | RichLog) else None
    if isinstance(widget, Grid):
        return widget.cursor_row, widget.row_count - 1
    if isinstance(widget, LongList):
        return widget.cursor, widget.count - 1
    found = widget or next(iter(screen.query(".dialog, #row, #right, #left").results(VerticalScroll)))
    return round(found.scroll_y), found.max_scroll_y


async def test_first_and_last_are_the_same_keys_in_every_list_and_text(tmp_path: Path) -> None:
    app, moved = tour.make(tmp_path), set[str]()
    names = (LISTS | TEXTS) & set(tour.STOPS)
    async with tour.fake_graders(), app.run_test(size=(80, 24)) as pilot:
        async for name in tour.tour(app, pilot, names):
            letters = [("g", "G")] if name in LISTS | {"log", "help", "reasons"} else []
            for first, last in [("home", "end"), *letters]:
                await pilot.press(last)
                await until(pilot, lambda: place(app.screen)[0] == place(app.screen)[1])
                if place(app.screen)[1] > 0:
                    moved.add(name)
                await pilot.press(first)
                await until(pilot, lambda: place(app.screen)[0] == 0)
    assert len(moved) > 6, moved
