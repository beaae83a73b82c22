"""Prepare columns of numbers for a plot: reduce, smooth and cut them, and find limits and round ticks.

numpy is imported when the first point arrives: the first frame of the app has none and must not wait for it.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Column = NDArray[np.float64]
    # anything numpy reads as a column of numbers, ``array("d")`` included
    Numbers = Sequence[float] | Column

_BLOCK = 256
# the newest smoothed value is computed from this many points at most: older ones weigh nothing
_NEWEST = 2000


def column(values: Numbers) -> Column:
    """Return a copy of ``values`` as floats, infinities as NaN. A view would keep an ``array`` from growing."""
    import numpy as np

    copied = np.array(values, dtype=np.float64)
    copied[~np.isfinite(copied)] = np.nan
    return copied


def _first_of_bins(bins: NDArray[np.intp], indices: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the first of ``indices`` in each bin (``bins[indices]`` ascends)."""
    import numpy as np

    of = bins[indices]
    return indices[np.flatnonzero(np.diff(of, prepend=-1))]


def reduce_points(xs: Numbers, ys: Numbers, columns: int) -> tuple[Column, Column]:
    """Return at most three points per column: its lowest, its highest and a NaN where it has a gap, in order of x."""
    import numpy as np

    x, y = column(xs), column(ys)
    known = ~np.isnan(x)
    x, y = x[known], y[known]
    if np.any(np.diff(x) < 0):
        order = np.argsort(x, kind="stable")
        x, y = x[order], y[order]
    columns = max(columns, 1)
    if len(x) <= 2 * columns:
        return x, y
    span = x[-1] - x[0]
    bins = np.zeros(len(x), dtype=np.intp)
    if span > 0:
        bins = np.minimum((x - x[0]) * (columns / span), columns - 1).astype(np.intp)
    gap = np.isnan(y)
    kept = [_first_of_bins(bins, np.flatnonzero(gap))]
    numbers = np.flatnonzero(~gap)
    if len(numbers):
        starts = np.flatnonzero(np.diff(bins[numbers], prepend=-1))
        nth = np.cumsum(np.diff(bins[numbers], prepend=-1) > 0) - 1
        for extreme in (np.minimum, np.maximum):
            extremes = extreme.reduceat(y[numbers], starts)[nth]
            kept.append(_first_of_bins(bins, numbers[y[numbers] == extremes]))
    indices = np.unique(np.concatenate(kept))
    return x[indices], y[indices]


@functools.lru_cache(maxsize=8)
def _kernel(weight: float) -> Column:
    """Return the weight of each value of a block (columns) in each of its means (rows); cached for all pictures."""
    import numpy as np

    ages = np.arange(_BLOCK)[:, None] - np.arange(_BLOCK)[None, :]
    return np.where(ages >= 0, (1 - weight) * weight ** np.maximum(ages, 0), 0.0)


def smooth(ys: Numbers, weight: float) -> Column:
    """Return the bias-corrected exponential moving average of ``ys`` (Kingma and Ba 2015); a NaN stays one, uncounted.

    ``weight`` is that of the mean before. A block is one matrix product, so 100,000 points take milliseconds.
    """
    import numpy as np

    smoothed = column(ys)
    known = np.flatnonzero(~np.isnan(smoothed))
    if weight <= 0 or len(known) == 0:
        return smoothed
    values = np.zeros(-(-len(known) // _BLOCK) * _BLOCK)
    values[: len(known)] = smoothed[known]
    blocks = values.reshape(-1, _BLOCK) @ _kernel(weight).T
    fading = weight ** np.arange(1, _BLOCK + 1)
    carried = 0.0
    for block in blocks:
        block += fading * carried
        carried = block[-1]
    counts = np.arange(1, len(known) + 1)
    smoothed[known] = blocks.reshape(-1)[: len(known)] / (1 - weight**counts)
    return smoothed


def newest_smoothed(ys: Numbers, weight: float) -> float | None:
    """Return the last finite value of ``smooth(ys, weight)``, None where there is none."""
    import numpy as np

    smoothed = smooth(ys[-_NEWEST:], weight)
    known = smoothed[~np.isnan(smoothed)]
    return float(known[-1]) if len(known) else None


def inside(x: Column, y: Column, x_range: tuple[float, float] | None) -> tuple[Column, Column]:
    """Return the part of a curve in ``x_range``, with interpolated points at both ends.

    plotext draws a line to a point far outside cell by cell, so no such point must reach it.
    """
    import numpy as np

    if x_range is None or len(x) == 0:
        return x, y
    low, high = x_range
    within = (x >= low) & (x <= high)
    kept_x, kept_y = x[within], y[within]
    for edge, put in ((low, 0), (high, len(kept_x))):
        before, after = np.flatnonzero(x < edge)[-1:], np.flatnonzero(x > edge)[:1]
        if len(before) and len(after) and not np.any(kept_x == edge):
            pair = [before[0], after[0]]
            kept_x = np.insert(kept_x, put if put == 0 else len(kept_x), edge)
            kept_y = np.insert(kept_y, put if put == 0 else len(kept_y), np.interp(edge, x[pair], y[pair]))
    return kept_x, kept_y


def limits(columns: Sequence[Column], margin: float) -> tuple[float, float]:
    """Return the range of all columns, wider by ``margin`` of itself at both ends; never empty."""
    import numpy as np

    known = [values for values in columns if np.any(~np.isnan(values))]
    low = min(float(np.nanmin(values)) for values in known)
    high = max(float(np.nanmax(values)) for values in known)
    # a mean of equal values differs from them by rounding
    if high - low <= 1e-9 * abs(high):
        pad = abs(low) * 0.1 or 0.5
        return low - pad, high + pad
    return low - margin * (high - low), high + margin * (high - low)


def at_least(ends: tuple[float, float], least: float) -> tuple[float, float]:
    """Return ``ends``, moved apart where they are nearer than ``least``; only a margin is below 0 where nothing is.

    A difference that the figures are too short to tell would else fill the plot as a trend.
    """
    low, high = ends
    missing = least - (high - low)
    if missing <= 0:
        return ends
    below = missing / 2
    if low >= -0.04 * (high - low):
        below = min(below, low + 0.04 * least)
    return low - below, high + missing - below


def ticks(low: float, high: float, count: int) -> list[float]:
    """Return about ``count`` round numbers from ``low`` to ``high``."""
    rough = (high - low) / max(count, 1)
    if not (rough > 0 and math.isfinite(rough)):
        return [low]
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.75)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float, count: int) -> list[float]:
    """Return round values (not logarithms) for a log axis from 10**low to 10**high."""
    if high - low < 1:
        return [value for value in ticks(10**low, 10**high, count) if value > 0]
    factors = (1, 2, 5) if (high - low) * 3 <= count + 2 else (1,)
    every = max(1, round((high - low) / max(count, 1)))
    powers = range(math.floor(low), math.ceil(high) + 1, every)
    values = [10.0**power * factor for power in powers for factor in factors]
    return [value for value in values if low <= math.log10(value) <= high]


def told_apart(values: Sequence[float], digits: int) -> list[str]:
    """Return the values with ``digits`` significant digits, or with as many more as tell them apart."""
    labels: list[str] = []
    for more in range(digits, 16):
        labels = [f"{value:.{more}g}" for value in values]
        if len(set(labels)) == len(set(values)):
            break
    return labels


def tick_labels(values: Sequence[float]) -> list[str]:
    """Return the values as texts, all with the number of decimals that tells neighbours apart."""
    largest = max((abs(value) for value in values), default=0.0)
    gaps = [abs(b - a) for a, b in itertools.pairwise(values)] or [largest]
    if largest >= 1e7 or 0 < largest < 1e-3:
        return told_apart(values, 2)
    if largest >= 1e4:
        return [f"{value / 1000:.12g}k" if value else "0" for value in values]
    smallest = min(gaps)
    decimals = max(0, -math.floor(math.log10(smallest) + 1e-9)) if smallest > 0 else 0
    return [f"{value:.{decimals}f}" for value in values]
