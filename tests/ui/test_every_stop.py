"""On one walk through every screen and dialog: what is around a dialog, themes, and a terminal that shrinks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.style import Style
from screen_text import strips_of
from textual.geometry import Region
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input, TextArea
from tour import STOPS, fake_graders, make, screens, tour

from opeddev_tui.terminal.textual_private import Dialog
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.widgets.dialogs import LinesScreen

Cells = list[list[tuple[str, Style | None]]]
SIZE = (80, 24)
# a dark one, a light one, one of the terminal's own colours, one of high contrast
LOOKS = ("opeddev-dark", "opeddev-light", "ansi-dark", "opeddev-high-contrast")


def cells(screen: Screen[Any]) -> Cells:
    """Return what a screen draws, a list of (letter, style) per line."""
    lines = strips_of(screen)
    return [[(letter, piece.style) for piece in strip for letter in piece.text] for strip in lines]


def looks(lines: Cells, box: Region) -> list[tuple[int, int, str, str]]:
    """Return position, letter and colours of all cells outside ``box``."""
    return [
        (x, y, letter, str(style and style.without_color + Style(color=style.color, bgcolor=style.bgcolor)))
        for y, line in enumerate(lines)
        for x, (letter, style) in enumerate(line)
        if not box.contains(x, y)
    ]


def seen_around(dialog: Screen[Any], below: Screen[Any], name: str) -> bool:
    """Assert that around a dialog the screen below is as it is, without what a click does; False if it covers all."""
    if isinstance(below, Dialog) or not dialog.query(".dialog"):
        return False
    box, around = dialog.query_one(".dialog").region, cells(dialog)
    assert looks(around, box) == looks(cells(below), box), name
    assert not any(style and style.meta for _, style in around[0]), name
    return bool(looks(around, box))


async def in_all_looks(app: OpeddevApp, pilot: Pilot[str], name: str) -> None:
    """Assert that a dialog can be drawn in every look; the screens below are in ``test_every_theme``."""
    shown, now = app.screen, LOOKS.index(app.theme)
    for theme in (*LOOKS[now + 1 :], *LOOKS[:now]):
        app.theme = theme
        await pilot.pause()
        assert app.screen is shown, name


def texts_have_room(app: OpeddevApp, name: str) -> None:
    """Assert that what can be typed into has room, and that it has the focus where it should."""
    texts = [text for text in app.screen.query("Input, TextArea") if text.display and text.region]
    assert all(text.content_size.width and text.content_size.height for text in texts), name
    assert name == "recovery" or isinstance(app.focused, Input | TextArea) == STOPS[name].text, name


async def shrunk(app: OpeddevApp, pilot: Pilot[str], name: str) -> None:
    """Assert that a screen outlives a terminal of a few cells."""
    shown = app.screen
    for size in ((1, 1), (5, 4), SIZE):
        await pilot.resize_terminal(*size)
        await pilot.pause()
    assert app.screen is shown, name


def can_be_searched(screen: Screen[Any], name: str) -> None:
    """Assert that / searches the list of a screen: where it did nothing, what is typed next would act as keys."""
    if screen.query("Grid, LongList") and not isinstance(screen, Dialog):
        assert "slash" in screen._bindings.key_to_bindings, name


async def test_every_screen_and_dialog(tmp_path: Path) -> None:
    """One walk for all that is true of every stop: getting there takes longer than looking at it."""
    app, walked, around, kinds = make(tmp_path, LOOKS[0]), set(), set(), set[type[Screen[Any]]]()
    async with fake_graders(), app.run_test(size=SIZE) as pilot:
        async for name in tour(app, pilot):
            walked.add(name)
            can_be_searched(app.screen, name)
            texts_have_room(app, name)
            if isinstance(app.screen, Dialog) and seen_around(app.screen, app.screen_stack[-2], name):
                around.add(type(app.screen))
            if len(app.screen_stack) > 1 and type(app.screen) not in kinds:
                await in_all_looks(app, pilot, name)
            kinds.add(type(app.screen))
            await shrunk(app, pilot, name)
    assert walked == {"recovery", *STOPS}
    assert len(around) > 5
    # what follows an export is in test_checkpoints
    missed = {kind for kind in screens() if not any(issubclass(found, kind) for found in kinds)} - {LinesScreen}
    assert not missed, "the tour passes these by"
