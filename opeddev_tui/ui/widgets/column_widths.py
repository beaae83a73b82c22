"""How wide the columns of a list are: as their cells are, or less where the list would not fit. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.cells import cell_len


def natural(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the cells that each column needs for its title and its texts."""
    return [max(cell_len(title), *(cell_len(row[at]) for row in rows), 0) for at, title in enumerate(titles)]


def shortened(titles: Sequence[str], needed: Sequence[int], gives: Mapping[str, int], room: int) -> tuple[int, ...]:
    """Return widths that add up to ``room`` where the columns that give way can give so much, else all they can give.

    A column gives down to its title or its cells in ``gives``, whichever is more.
    """
    widths = list(needed)
    for title, least in gives.items():
        over = sum(widths) - room
        if over > 0 and title in titles:
            at = titles.index(title)
            widths[at] -= min(over, max(0, widths[at] - max(least, cell_len(title))))
    return tuple(widths)
