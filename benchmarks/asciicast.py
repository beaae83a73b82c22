"""Writes what a terminal shows as a recording that asciinema plays (asciicast, version 2).

It takes finished lines and knows no app: https://docs.asciinema.org/manual/asciicast/v2/
"""

import json
import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from rich.cells import cell_len

# a text and the escape sequence that sets its style, "" for none
Piece = tuple[str, str]
# what one column shows, "" for the second half of a wide character, and its style
Cell = tuple[str, str]
# seconds that nothing changes are shown at most, and columns that are written again rather than jumped over
LONGEST_PAUSE, GAP = 3.0, 8


class Cast:
    """A recording: frames of lines, each with its time; only columns that changed are kept, long pauses are cut."""

    def __init__(self, width: int, height: int, title: str) -> None:
        header = {"version": 2, "width": width, "height": height, "title": title, "env": {"TERM": "xterm-256color"}}
        self._events = [json.dumps(header)]
        self._shown: list[list[Cell]] = []
        self._before: float | None = None
        self._played = 0.0

    def frame(self, lines: Sequence[Sequence[Piece]], at: float) -> None:
        """Add what is shown ``at`` seconds after the beginning, if it differs from what was shown before."""
        cells = [_cells(line) for line in lines]
        text = "".join(
            _changes(row, old or [], new or []) for row, (old, new) in enumerate(zip_longest(self._shown, cells), 1)
        )
        if text:
            self._add(at, "o", text if self._shown else f"\x1b[2J\x1b[?25l{text}")
            self._shown = cells

    def marker(self, name: str, at: float) -> None:
        """Name the moment; players can jump to it."""
        self._add(at, "m", name)

    def text(self) -> str:
        """Return the file's content."""
        return "\n".join(self._events) + "\n"

    def _add(self, at: float, kind: str, data: str) -> None:
        self._played += min(LONGEST_PAUSE, at - self._before) if self._before is not None else 0.0
        self._before = at
        self._events.append(json.dumps([round(self._played, 2), kind, data], ensure_ascii=False))


def _cells(line: Sequence[Piece]) -> list[Cell]:
    cells: list[Cell] = []
    for text, style in line:
        for character in text:
            width = cell_len(character)
            if width == 0 and cells:
                cells[-1] = (cells[-1][0] + character, cells[-1][1])
            else:
                cells += [(character, style), *[("", style)] * (width - 1)]
    return cells


def _changes(row: int, old: list[Cell], new: list[Cell]) -> str:
    """Return the text that turns the line ``old`` at ``row``, from 1, into ``new``."""
    parts = []
    for start, end in _spans(old, new):
        parts.append(f"\x1b[{row};{start + 1}H")
        shown = ""
        parts.append("\x1b[0m")
        for character, style in new[start:end]:
            if style != shown:
                parts.append(_turn(shown, style))
                shown = style
            parts.append(character)
    return "".join([*parts, "\x1b[0m"]) if parts else ""


def _turn(before: str, style: str) -> str:
    """Return the sequence that turns the style ``before`` into ``style``; only a colour that differs is written."""
    colours = re.compile(r"([34]8;2;\d+;\d+;\d+);?")
    old, new = colours.findall(before), colours.findall(style)
    if len(old) != len(new) or colours.sub("", before) != colours.sub("", style):
        return f"\x1b[0m{style}"
    return f"\x1b[{';'.join(colour for was, colour in zip(old, new, strict=True) if was != colour)}m"


def _spans(old: list[Cell], new: list[Cell]) -> Iterator[tuple[int, int]]:
    """Yield the stretches of columns of ``new`` that differ, near ones as one; none begins inside a character."""
    changed = [at for at, cell in enumerate(new) if at >= len(old) or cell != old[at]]
    start = end = -1
    for at in changed:
        if start >= 0 and at - end > GAP:
            yield start, end
            start = -1
        if start < 0:
            start = at
            while start > 0 and not new[start][0]:
                start -= 1
        end = at + 1
    if start >= 0:
        yield start, end
