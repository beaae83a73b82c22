"""Sets of grades that hold the right one with a wanted probability, however good the head's probabilities are.

Split conformal prediction on out-of-fold scores 1 − p(right grade). Rows of one group count together as one draw
(Lee, Barber and Willett 2023), so that many rows of few authors do not promise more than the authors can.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from opeddev_tui.grading.intervals import drawn_together
from opeddev_tui.grading.scale import Positions

Floats = NDArray[np.float64]
COVERAGE = 0.9


def set_limit(probabilities: Floats, grades: Positions, *, groups: Sequence[str] = ()) -> float:
    """Return the largest 1 − p that a grade in the set may have; 1 where there are too few rows for a promise.

    ``probabilities`` [n, grades] are out of fold, ``grades`` [n] the right positions.
    """
    count = len(grades)
    names = drawn_together(count, groups)
    sizes = {name: names.count(name) for name in set(names)} if len(set(names)) < count else {}
    draws = len(set(names))
    share = np.array([1.0 / sizes.get(name, 1) for name in names]) / (draws + 1)
    misfit = 1.0 - probabilities[np.arange(count), grades]
    order = np.argsort(misfit, kind="stable")
    reached = np.cumsum(share[order]) >= COVERAGE - 1e-12
    return float(misfit[order][reached][0]) if reached.any() else 1.0


def grade_sets(probabilities: Floats, limit: float) -> NDArray[np.bool_]:
    """Return which grades are in each row's set, [n, grades]; never none: the likeliest is always there."""
    inside = 1.0 - probabilities <= limit
    inside[np.arange(len(probabilities)), probabilities.argmax(1)] = True
    return inside
