"""The value of a curve at the cursor: that of the line as it is drawn there, straight from point to point. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct

from opeddev_tui.ui.plots.downsample import column

if TYPE_CHECKING:
    from opeddev_tui.ui.plots.downsample import Numbers

# places that are nearer to each other are the same one
_SAME = 1e-9


class Value(Struct, frozen=True):
    """A value of a line; ``between``: of the straight line between two points, and of no point itself."""

    value: float
    between: bool = False

    @property
    def mark(self) -> str:
        """The sign in front of a value that was not measured."""
        return "≈" if self.between else ""


def of_line(xs: Numbers, ys: Numbers, x: float, *, log: bool = False) -> Value | None:
    """Return the value of the line through the points at ``x``; None before it, behind it and in a gap.

    ``log``: on a log scale, where it is straight in the logarithms.
    """
    import numpy as np

    places, values = column(xs), column(ys)
    if log:
        values[values <= 0] = np.nan
    at = np.flatnonzero(np.abs(places - x) <= _SAME)
    known = at[~np.isnan(values[at])]
    if len(known):
        return Value(float(values[known[-1]]))
    before, after = np.flatnonzero(places < x - _SAME)[-1:], np.flatnonzero(places > x + _SAME)[:1]
    if len(at) or not len(before) or not len(after):
        return None
    left, right = (float(values[place[0]]) for place in (before, after))
    if math.isnan(left) or math.isnan(right):
        return None
    share = (x - places[before[0]]) / (places[after[0]] - places[before[0]])
    if log:
        return Value(float(10 ** (math.log10(left) + share * (math.log10(right) - math.log10(left)))), between=True)
    return Value(float(left + share * (right - left)), between=True)


def of_nearest(xs: Numbers, ys: Numbers, x: float) -> float | None:
    """Return the value of the point that is nearest to ``x``, for points without a line; None where there is none."""
    import numpy as np

    places, values = column(xs), column(ys)
    known = np.flatnonzero(~np.isnan(values) & ~np.isnan(places))
    return float(values[known[np.argmin(np.abs(places[known] - x))]]) if len(known) else None
