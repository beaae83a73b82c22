"""Texts of a list over several lines, where the list has fewer rows than its place has lines. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from textual.content import Content

from opeddev_tui.text import clean
from opeddev_tui.ui.widgets.tables import cut


@lru_cache(maxsize=1024)
def broken(text: str, width: int, most: int) -> tuple[str, ...]:
    """Return ``text`` in at most ``most`` cleaned lines of ``width`` cells, without empty ones.

    A last line that is not the end of the text ends in "…".
    """
    # no more is laid out than could be shown: a text may be very long
    cleaned = clean(text, max_chars=(width + 1) * (most + 1)).expandtabs(4)
    found: list[str] = []
    for part in cleaned.split("\n"):
        if part.strip():
            found += [line.plain.rstrip() for line in Content(part.rstrip()).wrap(max(1, width))]
        if len(found) > most:
            break
    if len(found) > most:
        found = [*found[: most - 1], cut(f"{found[most - 1]}…", width)]
    return tuple(found)


def most_lines(needed: Sequence[int], room: int) -> int:
    """Return how many lines a row gets at most, at least 1, for rows that need ``needed`` to fit into ``room``."""
    most = 1
    while most < max(needed, default=1) and sum(min(need, most + 1) for need in needed) <= room:
        most += 1
    return most
