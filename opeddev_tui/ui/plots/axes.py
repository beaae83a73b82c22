"""Choose the numbers of both axes: round ones, told apart, at least two on each axis wherever two have room. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from opeddev_tui.ui.plots.downsample import log_ticks, tick_labels, ticks, told_apart

# so many more numbers than wanted are tried until two of them have room
_MORE = 16

Numbers = tuple[list[float], list[str]]


def y_numbers(
    limits: tuple[float, float], wanted: int, row_of: Callable[[float], int], *, log: bool
) -> tuple[list[float], list[str]]:
    """Return places on the scale of the plot, and their labels; ``row_of`` is the line that a place is in.

    A line has room for one number.
    """
    best: Numbers = ([], [])
    for values in _tried(limits, wanted, log=log):
        by_row = {row_of(_place(value, log=log)): value for value in reversed(values)}
        kept = sorted(by_row.values())
        if len(kept) > len(best[0]):
            best = [_place(value, log=log) for value in kept], _labels(kept, log=log)
        if len(kept) >= 2:
            break
    return best


def x_numbers(limits: tuple[float, float], wanted: int, columns: int, width: int) -> tuple[list[float], list[str]]:
    """Return places and labels of the x axis: ``columns`` cells at the right of a line of ``width`` cells."""
    best: Numbers = ([], [])
    for values in _tried(limits, wanted, log=False):
        every = list(zip(values, tick_labels(values), strict=True))
        # where all have no room, two far apart may
        for chosen in (every, every[:1] + every[-1:]) if len(every) > 1 else (every,):
            places = [width - columns + _column(value, limits, columns) for value, _ in chosen]
            shown = _inserted(places, [label for _, label in chosen], width)
            if shown > len(best[0]):
                best = [value for value, _ in chosen], [label for _, label in chosen]
            if shown >= 2:
                return best
    return best


def _tried(limits: tuple[float, float], wanted: int, *, log: bool) -> Iterator[list[float]]:
    """Yield round values: about as many as are wanted, then more and more, then fewer."""
    for count in (*range(wanted, wanted + _MORE), *range(wanted - 1, 0, -1)):
        yield log_ticks(*limits, count) if log else ticks(*limits, count)


def _place(value: float, *, log: bool) -> float:
    return math.log10(value) if log else value


def _labels(values: Sequence[float], *, log: bool) -> list[str]:
    return told_apart(values, 4) if log else tick_labels(values)


def _column(value: float, limits: tuple[float, float], columns: int) -> int:
    """Return the column of a value as plotext has it."""
    return math.floor(round(0.5 + (columns - 1) * (value - limits[0]) / (limits[1] - limits[0]), 8))


def _inserted(places: Sequence[int], labels: Sequence[str], width: int) -> int:
    """Return how many of the labels plotext writes: it moves one aside, and leaves it out where it has no room."""
    taken = [False] * width
    shown = 0
    for place, label in zip(places, labels, strict=True):
        free = [at for at in range(max(place - len(label) + 1, 0), min(place + len(label), width - 1)) if not taken[at]]
        first, last = min(free, default=place - len(label) + 1), max(free, default=place + len(label))
        start = (last + 1 + first - len(label)) // 2
        around = range(max(start - 1, 0), min(start + len(label) + 1, width))
        if start >= 0 and start + len(label) <= width and not any(taken[at] for at in around):
            taken[start : start + len(label)] = [True] * len(label)
            shown += 1
    return shown
