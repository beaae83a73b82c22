"""Estimates with confidence intervals for the figures of a grader, and paired differences of them.

Intervals are in closed form from each row's influence on the figure, and were chosen by simulation against percentile
and BCa bootstraps: they cover as promised from 50 rows on (``benchmarks/grading_coverage.py``). Rows that share a group
(author, repository) are counted together, so that many rows of one author do not pass for many authors.
"""

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy.special import stdtrit

from opeddev_tui.intervals import CONFIDENCE, wilson

Floats = NDArray[np.float64]
_MOST_BINS = 10


class Estimate(Struct, frozen=True):
    """A figure and its confidence interval; both ends are NaN where there are too few rows for one."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """True where the interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


def standard_error(influences: Floats, groups: Sequence[str] = ()) -> tuple[float, int]:
    """Return (standard error, number of independent draws) of a figure with ``influences`` [n] of mean zero."""
    count = len(influences)
    names = _draws(count, groups)
    sums = np.bincount(names, weights=influences)
    draws = len(sums)
    if draws < 2:
        return math.nan, draws
    return math.sqrt(draws / (draws - 1) * float((sums**2).sum())) / count, draws


def mean(values: Floats, *, groups: Sequence[str] = ()) -> Estimate:
    """Return the mean of ``values`` [n] with Student's interval."""
    center = float(values.mean())
    error, draws = standard_error(values - center, groups)
    reach = _quantile(draws) * error
    return Estimate(center, center - reach, center + reach)


def share(hits: NDArray[np.bool_], *, groups: Sequence[str] = ()) -> Estimate:
    """Return the share of ``hits`` [n] with Wilson's interval (1927); groups reduce the number of rows it counts."""
    value = float(hits.mean())
    count = float(len(hits))
    if any(groups) and 0 < value < 1:
        error, draws = standard_error(hits.astype(np.float64) - value, groups)
        count = min(count, value * (1 - value) / error**2) if error > 0 else float(draws)
    return Estimate(value, *wilson(value * count, count, CONFIDENCE))


def kappa(grades: Floats, reference: Floats) -> tuple[float, Floats]:
    """Return the quadratic weighted kappa (Cohen 1968) and each row's influence on it, [n].

    1 − observed / expected squared distance. Where neither side varies, kappa is not defined: NaN.
    """
    distance = (grades - reference) ** 2
    one, other = grades.mean(), reference.mean()
    expected = grades.var() + reference.var() + (one - other) ** 2
    if expected <= 0:
        return math.nan, np.zeros(len(grades))
    observed = distance.mean()
    moved = (
        *(grades**2 - (grades**2).mean(), reference**2 - (reference**2).mean()),
        *(-2 * grades * other, -2 * reference * one, np.full(len(grades), 4 * one * other)),
    )
    influence = -(distance - observed) / expected + observed / expected**2 * np.sum(moved, axis=0)
    return float(1 - observed / expected), np.asarray(influence, dtype=np.float64)


def kappa_estimate(grades: Floats, reference: Floats, *, groups: Sequence[str] = ()) -> Estimate:
    """Return kappa with its interval on Fisher's z scale."""
    value, influence = kappa(grades, reference)
    return kappa_interval(value, influence, float(reference.var()), groups=groups)


def kappa_interval(value: float, influence: Floats, variance: float, *, groups: Sequence[str] = ()) -> Estimate:
    """Return the kappa ``value`` with its interval from rows' influences [n]; ``variance`` is that of the reference."""
    error, draws = standard_error(influence, groups)
    if math.isnan(value) or math.isnan(error):
        return Estimate(value, math.nan, math.nan)
    if value > 1 - 1e-12:
        # no row disagrees: as many as could have been overlooked, each one grade apart (Clopper and Pearson 1934)
        missed = 1 - ((1 - CONFIDENCE) / 2) ** (1 / draws)
        return Estimate(1.0, max(-1.0, 1 - missed / (2 * variance)), 1.0)
    reach = _quantile(draws) * error / (1 - value**2) if abs(value) < 1 else 0.0
    z = math.atanh(max(value, -1 + 1e-12))
    return Estimate(value, min(value, math.tanh(z - reach)), math.tanh(z + reach))


def calibration(confidences: Floats, right: NDArray[np.bool_]) -> Estimate:
    """Return the root mean square difference of confidence and agreement over bins of equal size.

    The noise of the bins is taken out (Kumar, Liang and Ma 2019), which the usual calibration error is full of: on 100
    rows that shows 0.12 for a perfect model. The interval inverts a score test, as Wilson's does for a share.
    """
    size = bin_count(len(right))
    square = first = second = 0.0
    for rows in np.array_split(np.argsort(confidences, kind="stable"), size):
        gaps = confidences[rows] - right[rows]
        part = len(rows) / len(right)
        noise = gaps.var(ddof=1) / len(rows) if len(rows) > 1 else 0.25
        square += part * (gaps.mean() ** 2 - noise)
        first += part**2 * noise
        second += (part * noise) ** 2
    reach = _quantile(len(right)) ** 2
    half = square + 2 * reach * first
    root = math.sqrt(max(0.0, half**2 - square**2 + 2 * reach * second))
    value, low, high = (math.sqrt(max(0.0, found)) for found in (square, half - root, half + root))
    return Estimate(value, min(low, value), max(high, value))


def bin_count(rows: int) -> int:
    """Return how many bins of equal size ``rows`` are looked at in: ten rows each, at most ten bins."""
    return max(1, min(_MOST_BINS, rows // 10))


def from_influences(value: float, influences: Floats, *, groups: Sequence[str] = ()) -> Estimate:
    """Return ``value`` with Student's interval from ``influences`` [n]: what paired differences use."""
    error, draws = standard_error(influences - influences.mean(), groups)
    reach = _quantile(draws) * error
    return Estimate(value, value - reach, value + reach)


def drawn_together(count: int, groups: Sequence[str]) -> list[str]:
    """Return a name for each of ``count`` rows, the same for rows of one group; a row without a group is by itself."""
    return [group or f"\0{row}" for row, group in enumerate(groups if any(groups) else [""] * count)]


def _draws(count: int, groups: Sequence[str]) -> NDArray[np.int64]:
    if not any(groups):
        return np.arange(count)
    names = np.asarray(drawn_together(count, groups))
    return np.asarray(np.unique(names, return_inverse=True)[1], dtype=np.int64)


def _quantile(draws: int) -> float:
    return float(stdtrit(draws - 1, (1 + CONFIDENCE) / 2)) if draws > 1 else math.nan
