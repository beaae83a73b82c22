"""Turn a score into probabilities of grades: cumulative logit with one slope and a cut point between neighbours.

P(grade ≤ k) = logistic(cut_k − slope · score) (McCullagh 1980), fitted by penalised maximum likelihood. To be fitted on
out-of-fold scores: on the scores of the fit itself it would be far too sure.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

from opeddev_tui.grading.intervals import drawn_together
from opeddev_tui.grading.scale import Positions

Floats = NDArray[np.float64]
# share of a uniform distribution mixed in, so that no grade is impossible
UNIFORM = 0.002
_SLOPE_PENALTY = 1e-3
# holds the distances of cut points to those of the plain frequencies where rows say nothing (rare grades)
_GAP_PENALTY = 0.02
_FOLDS = 10


class Ordinal(Struct, frozen=True):
    """``slope`` ≥ 0 and ascending ``cuts`` [grades − 1]."""

    slope: float
    cuts: tuple[float, ...]

    def probabilities(self, scores: Floats) -> Floats:
        """Return grade probabilities [n, grades] of ``scores`` [n]."""
        return _mixed(_plain(self.slope, np.asarray(self.cuts), np.asarray(scores, dtype=np.float64)))


class Grades(Struct, frozen=True):
    """Grades as ``probabilities`` [n, grades]; everything else is read from them. Positions count from 0."""

    probabilities: Floats

    @property
    def median(self) -> Positions:
        """The grade [n] that is given: the median of the distribution, best for absolute and squared distance."""
        below = np.cumsum(self.probabilities, axis=1) < 0.5
        return np.asarray(np.minimum(below.sum(1), self.probabilities.shape[1] - 1), dtype=np.int64)

    @property
    def expected(self) -> Floats:
        """Mean position [n]."""
        return np.asarray(self.probabilities @ np.arange(self.probabilities.shape[1]), dtype=np.float64)

    @property
    def confidence(self) -> Floats:
        """Probability [n] that the given grade is exactly right."""
        return self.within(0)

    def within(self, distance: int) -> Floats:
        """Return the probability [n] that the grade is at most ``distance`` positions from the given one."""
        places = np.arange(self.probabilities.shape[1])
        near: NDArray[np.bool_] = np.abs(places[None, :] - self.median[:, None]) <= distance
        return np.asarray((self.probabilities * near).sum(1), dtype=np.float64)


def fit_ordinal(scores: Floats, grades: Positions, size: int, weights: Floats | None = None) -> Ordinal:
    """Return the cumulative logit of ``grades`` [n] (positions of ``size``) on ``scores`` [n]."""
    share = np.ones(len(scores)) if weights is None else weights
    share = share / share.sum()
    deviation = float(scores.std())
    if deviation < 1e-9:
        return Ordinal(0.0, tuple(_start_cuts(grades, size, share).tolist()))
    level = float(scores.mean())
    standard = (scores - level) / deviation
    cuts = _start_cuts(grades, size, share) * 1.3
    start = np.r_[np.log(1.3), cuts[0], np.log(np.diff(cuts))]
    found = minimize(_loss, start, args=(standard, grades, share, start), jac=True, method="L-BFGS-B")
    slope, cuts = float(np.exp(found.x[0])), np.cumsum(np.r_[found.x[1], np.exp(found.x[2:])])
    return Ordinal(slope / deviation, tuple((cuts + slope * level / deviation).tolist()))


def out_of_fold_probabilities(
    scores: Floats, grades: Positions, size: int, folds: Sequence[int], weights: Floats | None = None
) -> Floats:
    """Return probabilities [n, grades] of rows by a fit on the rows of the other ``folds`` [n].

    ``scores`` are out of fold already; this keeps the few numbers of the ordinal fit from seeing the row's grade too.
    """
    places = np.asarray(folds)
    result = np.empty((len(scores), size))
    for fold in np.unique(places):
        inside = places == fold
        part = None if weights is None else weights[~inside]
        result[inside] = fit_ordinal(scores[~inside], grades[~inside], size, part).probabilities(scores[inside])
    return result


def fold_numbers(count: int, groups: Sequence[str] = ()) -> Positions:
    """Return a fold [n] per row, rows of one group in one fold; the same each time."""
    names = drawn_together(count, groups)
    order = {name: place for place, name in enumerate(dict.fromkeys(names))}
    shuffled = np.random.default_rng(0).permutation(len(order))
    return np.array([shuffled[order[name]] % min(_FOLDS, len(order)) for name in names], dtype=np.int64)


def _start_cuts(grades: Positions, size: int, share: Floats) -> Floats:
    """Return cut points of the plain frequencies, smoothed so that they ascend also past grades that are not there."""
    counts = np.bincount(grades, weights=share, minlength=size) + 0.5 / (len(grades) + size)
    return np.asarray(logit(np.cumsum(counts)[:-1] / counts.sum()), dtype=np.float64)


def _plain(slope: float, cuts: Floats, scores: Floats) -> Floats:
    return np.diff(_between(0.0, expit(cuts[None, :] - slope * scores[:, None]), 1.0), axis=1)


def _between(first: float, inner: Floats, last: float) -> Floats:
    """Return ``inner`` [n, k] with a column before and one behind it; ``np.c_`` takes a third of a fit's time."""
    found = np.empty((len(inner), inner.shape[1] + 2))
    found[:, 0], found[:, 1:-1], found[:, -1] = first, inner, last
    return found


def _mixed(probabilities: Floats) -> Floats:
    mixed = (1 - UNIFORM) * np.maximum(probabilities, 0.0) + UNIFORM / probabilities.shape[1]
    return np.asarray(mixed / mixed.sum(1, keepdims=True), dtype=np.float64)


def _loss(x: Floats, scores: Floats, grades: Positions, share: Floats, start: Floats) -> tuple[float, Floats]:
    """Return the penalised mean −log p and its gradient; x: log slope, first cut, logs of the gaps."""
    slope, gaps = np.exp(x[0]), np.exp(x[2:])
    cuts = np.cumsum(np.concatenate((x[1:2], gaps)))
    cumulative = expit(cuts[None, :] - slope * scores[:, None])
    rows = np.arange(len(scores))
    edges = _between(0.0, cumulative, 1.0)
    chance = (1 - UNIFORM) * (edges[rows, grades + 1] - edges[rows, grades]) + UNIFORM / (len(cuts) + 1)
    density = _between(0.0, cumulative * (1 - cumulative), 0.0) * (1 - UNIFORM)
    upper, lower = density[rows, grades + 1] / chance * share, density[rows, grades] / chance * share
    by_cut = np.zeros(len(cuts) + 2)
    np.add.at(by_cut, grades + 1, -upper)
    np.add.at(by_cut, grades, lower)
    by_cut = by_cut[1:-1]
    onward = np.cumsum(by_cut[::-1])[::-1]  # a gap moves its cut and all later ones
    pulled = x[2:] - start[2:]
    value = (
        -(share * np.log(chance)).sum()
        + _SLOPE_PENALTY * slope**2
        + _GAP_PENALTY * (pulled**2).sum() / max(1, len(pulled))
    )
    gradient = np.empty_like(x)
    gradient[0] = slope * ((upper - lower) * scores).sum() + 2 * _SLOPE_PENALTY * slope**2
    gradient[1] = onward[0]
    gradient[2:] = gaps * onward[1:] + 2 * _GAP_PENALTY * pulled / max(1, len(pulled))
    return float(value), gradient
