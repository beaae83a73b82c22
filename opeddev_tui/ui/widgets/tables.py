"""Owns small text tables that fit the width they get: columns of little use go first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from msgspec import Struct
from rich.cells import cell_len, set_cell_size
from textual.content import Content

Row = TypeVar("Row")
GAP = 2


class Column(Struct, Generic[Row], frozen=True):
    """One column. ``rank`` 0 always stays; higher ranks are dropped first where the width is short."""

    title: str
    cell: Callable[[Row], str]
    rank: int = 0
    right: bool = True
    style: Callable[[Row], str] | str = ""
    widest: int = 40


def table(rows: Sequence[Row], columns: Sequence[Column[Row]], width: int) -> Content:
    """Return ``rows`` as aligned lines under a heading, at most ``width`` cells wide."""
    cells = [[column.cell(row) for column in columns] for row in rows]
    widths = [
        min(column.widest, max([cell_len(column.title), *(cell_len(line[at]) for line in cells)]))
        for at, column in enumerate(columns)
    ]
    kept = _fitting(columns, widths, width)
    lines: list[Content] = [_line([columns[at].title for at in kept], ["$muted"] * len(kept), columns, widths, kept)]
    for row, line in zip(rows, cells, strict=True):
        styles = [_style(columns[at], row) for at in kept]
        lines.append(_line([line[at] for at in kept], styles, columns, widths, kept))
    return Content("\n").join(lines)


def _style(column: Column[Any], row: Any) -> str:
    return column.style if isinstance(column.style, str) else column.style(row)


def _fitting(columns: Sequence[Column[Any]], widths: list[int], width: int) -> list[int]:
    """Return which columns fit, lower ranks first; shrinks the first one if even the needed ones do not."""
    kept = [at for at, column in enumerate(columns) if column.rank == 0]
    needed = sum(widths[at] + GAP for at in kept) - GAP
    if needed > width:
        widths[0] = max(6, widths[0] - (needed - width))
        return kept
    for at in sorted(range(len(columns)), key=lambda at: columns[at].rank):
        if columns[at].rank and needed + GAP + widths[at] <= width:
            kept.append(at)
            needed += GAP + widths[at]
    return sorted(kept)


def _line(
    texts: list[str], styles: list[str], columns: Sequence[Column[Any]], widths: list[int], kept: list[int]
) -> Content:
    parts: list[Content] = []
    for text, style, at in zip(texts, styles, kept, strict=True):
        fitted = fit(text, widths[at], right=columns[at].right)
        parts.append(Content.styled(fitted, style) if style else Content(fitted))
    return Content(" " * GAP).join(parts)


def fit(text: str, width: int, *, right: bool = False) -> str:
    """Return ``text`` in exactly ``width`` cells, cut with an ellipsis or padded."""
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, max(0, width - 1)) + "…" if width > 0 else ""
    return " " * (width - length) + text if right else text + " " * (width - length)
