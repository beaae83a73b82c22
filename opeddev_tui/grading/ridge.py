"""Kernel ridge regression with exact leave-one-out (or leave-one-group-out) predictions in closed form.

The system with a free intercept is [[K + λ/w, 1], [1ᵀ, 0]] (a, b) = (y, 0); the residual of rows G that are left out
is (C⁻¹[G, G])⁻¹ a[G] with C that matrix (Cawley and Talbot 2004 for the least-squares machine; the blocks are the same
algebra). Penalties below 0.01 are not tried: near interpolation the closed form is exact and still misleads.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats = NDArray[np.float64]
PENALTIES = tuple(np.logspace(-2, np.log10(3), 12))
# rows of the same kind count 1 + this many times
KIND_WEIGHT = 3.0


class RidgeFit(Struct, frozen=True):
    """``duals`` [n] sum to 0; ``out_of_fold`` [n] predict rows by the others; ``error`` is their weighted MSE."""

    duals: Floats
    intercept: float
    penalty: float
    out_of_fold: Floats
    error: float


def kind_factor(rows: Sequence[str], others: Sequence[str]) -> Floats | float:
    """Return 1 + 3·[same kind], [rows, others]; 1 where no row has a kind. An empty kind is like no other."""
    if not any(rows) or not any(others):
        return 1.0
    numbers = {kind: number for number, kind in enumerate(dict.fromkeys(["", *rows, *others]))}
    one, other = (np.array([numbers[kind] for kind in kinds]) for kinds in (rows, others))
    return np.asarray(1.0 + KIND_WEIGHT * ((one[:, None] == other[None, :]) & (one[:, None] > 0)), dtype=np.float64)


def centred(gram: Floats) -> tuple[Floats, float]:
    """Return ``gram`` [n, n] centred in feature space and divided by its mean diagonal, and that divisor."""
    means = gram.mean(0)
    moved = gram - means[None, :] - means[:, None] + means.mean()
    scale = float(np.trace(moved)) / len(gram)
    # rows that are all equal have no kernel: any scale will do
    scale = scale if scale > 1e-12 else 1.0
    return moved / scale, scale


class RidgeSystem:
    """One kernel matrix [n, n] (centred, mean diagonal 1) for any number of targets.

    ``weights`` [n] are positive (a row of weight 0 is left out by the caller); rows that share a ``groups`` entry are
    left out together, an empty entry is a group of its own.
    """

    def __init__(self, kernel: Floats, weights: Floats | None = None, groups: Sequence[str] = ()) -> None:
        count = len(kernel)
        self._roots = np.sqrt(np.ones(count) if weights is None else weights / weights.mean())
        self._groups = _members(groups, count)
        values, self._vectors = np.linalg.eigh(kernel * np.outer(self._roots, self._roots))
        self._values = np.maximum(values, 0.0)

    def fit(self, targets: Floats, penalties: Sequence[float] = PENALTIES) -> RidgeFit:
        """Return the fit of ``targets`` [n] with the penalty of the least out-of-fold error."""
        return min((self._at(targets, penalty) for penalty in penalties), key=lambda fit: fit.error)

    def _at(self, targets: Floats, penalty: float) -> RidgeFit:
        spread = self._vectors * self._roots[:, None]
        inverse = 1.0 / (self._values + penalty)

        def solve(right: Floats) -> Floats:
            return np.asarray(spread @ (inverse * (spread.T @ right)), dtype=np.float64)

        ones = solve(np.ones(len(targets)))
        total = float(ones.sum())
        plain = solve(targets)
        intercept = float(plain.sum()) / total
        duals = plain - intercept * ones
        residuals = self._residuals(duals, spread, inverse, ones, total)
        weights = self._roots**2
        error = float((weights * residuals**2).sum() / weights.sum())
        return RidgeFit(duals, intercept, penalty, targets - residuals, error)

    def _residuals(self, duals: Floats, spread: Floats, inverse: Floats, ones: Floats, total: float) -> Floats:
        if self._groups is None:
            diagonal = (spread**2) @ inverse - ones**2 / total
            return np.asarray(duals / diagonal, dtype=np.float64)
        residuals = np.empty_like(duals)
        for rows in self._groups:
            part = spread[rows]
            block = (part * inverse) @ part.T - np.outer(ones[rows], ones[rows]) / total
            residuals[rows] = np.linalg.solve(block, duals[rows])
        return residuals


def _members(groups: Sequence[str], count: int) -> list[NDArray[np.int64]] | None:
    """Return the rows of each group, None where every row stands alone or all are one group."""
    names = [group or f"\0{row}" for row, group in enumerate(groups)]
    _, places = np.unique(np.asarray(names, dtype=object).astype(str), return_inverse=True) if names else (None, [])
    found = len(set(np.asarray(places).tolist()))
    if found in (0, 1, count):
        return None
    return [np.flatnonzero(places == group) for group in range(found)]
