"""Around a dialog the screen below is seen as it is, and a click there does nothing of that screen's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.style import Style
from textual.geometry import Region
from textual.screen import Screen
from tour import AT_REST, fake_graders, make, tour

from opeddev_tui.terminal.textual_private import Dialog

DIALOGS = {name for name, stop in AT_REST.items() if issubclass(stop.shown, Dialog)}
Cells = list[list[tuple[str, Style | None]]]


def cells(screen: Screen[Any]) -> Cells:
    """Return what a screen draws, a list of (letter, style) per line."""
    lines = screen._compositor.render_strips()
    return [[(letter, piece.style) for piece in strip for letter in piece.text] for strip in lines]


def looks(lines: Cells, box: Region) -> list[tuple[int, int, str, str]]:
    """Return position, letter and colours of all cells outside ``box``."""
    return [
        (x, y, letter, str(style and style.without_color + Style(color=style.color, bgcolor=style.bgcolor)))
        for y, line in enumerate(lines)
        for x, (letter, style) in enumerate(line)
        if not box.contains(x, y)
    ]


async def test_the_screen_below_is_seen_unchanged_and_does_nothing(tmp_path: Path) -> None:
    app, walked = make(tmp_path), set()
    async with fake_graders(), app.run_test(size=(110, 36)) as pilot:
        async for name in tour(app, pilot, DIALOGS):
            dialog, below = app.screen, app.screen_stack[-2]
            if isinstance(below, Dialog) or not dialog.query(".dialog"):
                continue
            box = dialog.query_one(".dialog").region
            around = cells(dialog)
            assert looks(around, box) == looks(cells(below), box), name
            assert not any(style and style.meta for _, style in around[0]), name
            if looks(around, box):
                walked.add(type(dialog))
    assert len(walked) > 5
