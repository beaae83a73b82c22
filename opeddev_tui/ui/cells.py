"""Owns what the terminal shows, cell by cell, so that only cells that changed are sent: a slow line carries few bytes.

Textual sends whole widgets again when anything in them changed. Here every picture is compared with the last one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.strip import Strip

from opeddev_tui.ui.ascii_fallback import as_ascii

Cell = tuple[str, Style | None]
# unchanged cells between two changed ones that are cheaper to send again than to jump over
_GAP = 5
# terminals disagree about the width of joined characters: such a line is sent whole
_UNSURE = ("\u200d", "\ufe0f", "\U0001f3fb")
_FIRST_ASTRAL = "\U00010000"
# one cell each: most of what is shown, told apart at once
_SIMPLE = re.compile(
    "[\x20-\x7e\xa0-\xac\xae-\u02ff\u0370-\u0377\u0391-\u03ff\u2010-\u2027\u2190-\u21ff\u2500-\u25ff\u2800-\u28ff]*"
)


class ShownCells:
    """The cells of the terminal as last sent; a cell that is not known is None."""

    def __init__(self, *, ascii_only: bool = False) -> None:
        # True: only ASCII goes to the terminal
        self._ascii_only = ascii_only
        self._lines: list[list[Cell | None]] = []
        self._size = (0, 0)

    def forget(self) -> None:
        """Know nothing: the next picture is sent whole."""
        self._size = (0, 0)

    def only_changes(self, update: CompositorUpdate, size: tuple[int, int]) -> CompositorUpdate:
        """Return ``update`` without what the terminal of ``size`` (columns, lines) shows already."""
        if not isinstance(update, ChopsUpdate | LayoutUpdate):
            return update
        if size != self._size:
            self._size = size
            self._lines = [[None] * size[0] for _ in range(size[1])]
        return _Changes(self, update)

    def changed(self, x: int, y: int, strip: Strip, system: ColorSystem) -> Iterator[str]:
        """Take note of ``strip`` at (x, y) and return what must be sent for it."""
        if not 0 <= y < len(self._lines):
            return
        line, new = self._lines[y], cells_of(strip)[: max(0, self._size[0] - x)]
        if self._ascii_only:
            new = [(as_ascii(char) if char else " ", style) for char, style in new]
        old = line[x : x + len(new)]
        if new == old:
            return
        line[x : x + len(new)] = new
        whole = any(unsure(cell[0]) for cell in (*new, *old) if cell is not None)
        for start, end in [(0, len(new))] if whole else runs(old, new):
            yield f"\x1b[{y + 1};{x + start + 1}H"
            yield from _written(new[start:end], system)


class _Changes(CompositorUpdate):
    """A picture that compares itself with the terminal at the moment it is sent."""

    def __init__(self, shown: ShownCells, update: ChopsUpdate | LayoutUpdate) -> None:
        self._shown, self._update = shown, update

    def render_segments(self, console: Console) -> str:
        """Return the sequences for what changed."""
        system = console._color_system or ColorSystem.TRUECOLOR
        pieces = _chops(self._update) if isinstance(self._update, ChopsUpdate) else _lines(self._update)
        return "".join(text for x, y, strip in pieces for text in self._shown.changed(x, y, strip, system))


def _lines(update: LayoutUpdate) -> Iterator[tuple[int, int, Strip]]:
    for y, line in enumerate(update.strips, update.region.y):
        x = update.region.x
        for strip in line:
            yield x, y, strip
            x += strip.cell_length


def _chops(update: ChopsUpdate) -> Iterator[tuple[int, int, Strip]]:
    for y, left, right in update.spans:
        for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
            if strip is not None and x <= right and end > left:
                yield x, y, strip


def cells_of(strip: Strip) -> list[Cell]:
    """Return one entry a cell; the second half of a wide character is empty, a combining mark is with its base."""
    cells: list[Cell] = []
    for text, style, control in strip:
        if control:
            continue
        if _SIMPLE.fullmatch(text):
            cells += [(char, style) for char in text]
            continue
        for char in text:
            width = cell_len(char)
            if width == 0 and cells:
                cells[-1] = (cells[-1][0] + char, cells[-1][1])
            else:
                cells += [(char, style), *[("", style)] * (width - 1)]
    return cells


def unsure(text: str) -> bool:
    """True for what a terminal may draw in another width than expected."""
    return len(text) > 1 or text in _UNSURE or text >= _FIRST_ASTRAL


def runs(old: list[Cell | None], new: list[Cell]) -> Iterator[tuple[int, int]]:
    """Return the spans (from, to) of ``new`` that differ from ``old``, near ones joined, wide characters whole."""
    start = end = -1
    for at, cell in enumerate(new):
        if at < len(old) and cell == old[at]:
            continue
        if start >= 0 and at - end > _GAP:
            yield _whole(new, start, end)
            start = -1
        start, end = (at if start < 0 else start), at + 1
    if start >= 0:
        yield _whole(new, start, end)


def _whole(new: list[Cell], start: int, end: int) -> tuple[int, int]:
    while start > 0 and new[start][0] == "":
        start -= 1
    while end < len(new) and new[end][0] == "":
        end += 1
    return start, end


def _written(cells: list[Cell], system: ColorSystem) -> Iterator[str]:
    """Return text and styles of neighbouring cells."""
    text, style = "", cells[0][1]
    for char, of_char in cells:
        if of_char is not style and of_char != style:
            yield _styled(text, style, system)
            text, style = "", of_char
        text += char
    yield _styled(text, style, system)


def _styled(text: str, style: Style | None, system: ColorSystem) -> str:
    return text if style is None else str(Strip.render_style(style, text, color_system=system))
