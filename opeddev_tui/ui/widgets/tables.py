"""Lay out small text tables in a given width: columns of little use are left out first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from msgspec import Struct
from rich.cells import cell_len, set_cell_size
from textual.content import Content

Row = TypeVar("Row")
GAP = 2


class Column(Struct, Generic[Row], frozen=True):
    """One column. Rank 0 is always shown; where the width is short, the highest ranks are left out first.

    A column with a ``width`` has it whatever its cells are, so that no column comes or goes while they change. Without
    one it is as wide as its title and its cells.
    """

    title: str
    cell: Callable[[Row], str]
    rank: int = 0
    right: bool = True
    style: Callable[[Row], str] | str = ""
    widest: int = 40
    width: int = 0


def table(rows: Sequence[Row], columns: Sequence[Column[Row]], width: int) -> Content:
    """Return ``rows`` as aligned lines under a heading, at most ``width`` cells wide."""
    cells = [[column.cell(row) for column in columns] for row in rows]
    widths = _widths(columns, cells)
    shown = _fitting(columns, widths, width)

    def line(texts: Sequence[str], styles: Sequence[str]) -> Content:
        parts = [Content.styled(fit(texts[at], widths[at], right=columns[at].right), styles[at]) for at in shown]
        return Content(" " * GAP).join(parts)

    lines = [line([column.title for column in columns], ["$muted"] * len(columns))]
    for row, texts in zip(rows, cells, strict=True):
        lines.append(line(texts, [c.style if isinstance(c.style, str) else c.style(row) for c in columns]))
    return Content("\n").join(lines)


def shown_titles(rows: Sequence[Row], columns: Sequence[Column[Row]], width: int) -> list[str]:
    """Return the titles of the columns that ``table`` has room for: a legend explains only these."""
    widths = _widths(columns, [[column.cell(row) for column in columns] for row in rows])
    return [columns[at].title for at in _fitting(columns, widths, width)]


def _widths(columns: Sequence[Column[Any]], cells: Sequence[Sequence[str]]) -> list[int]:
    return [column.width or _widest(column, [line[at] for line in cells]) for at, column in enumerate(columns)]


def _widest(column: Column[Any], cells: Sequence[str]) -> int:
    return min(column.widest, max([cell_len(column.title), *(cell_len(cell) for cell in cells)]))


def _fitting(columns: Sequence[Column[Any]], widths: list[int], width: int) -> list[int]:
    """Return the places of the columns that fit; shrinks the first one if even those of rank 0 do not."""
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


def cut(text: str, width: int) -> str:
    """Return ``text`` in at most ``width`` cells, with an ellipsis where some of it is left out."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip("… ") + "…" if width > 0 else ""


def fit(text: str, width: int, *, right: bool = False) -> str:
    """Return ``text`` in exactly ``width`` cells, cut with an ellipsis or padded."""
    shown = cut(text, width)
    padding = " " * (width - cell_len(shown))
    return padding + shown if right else shown + padding
