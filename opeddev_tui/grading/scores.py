"""The figures of a grader against the reference, all over the same rows, and paired differences of two graders.

A text without a grade counts in every figure as the grade farthest from the reference, so that no way looks better by
answering less; ``answered`` says how many there were.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from opeddev_tui.grading import intervals
from opeddev_tui.grading.intervals import Estimate
from opeddev_tui.grading.ordinal import Grades
from opeddev_tui.grading.scale import Positions, Scale

Floats = NDArray[np.float64]
MISSING = -1


class Predictions(Struct, frozen=True):
    """Grades [n] (positions, ``MISSING`` for none) and probabilities [n, grades] where the way has them."""

    grades: Positions
    probabilities: Floats | None = None

    @staticmethod
    def of(grades: Grades) -> "Predictions":
        """Return the medians and probabilities of ``grades``."""
        return Predictions(grades.median, grades.probabilities)

    @staticmethod
    def written(grades: Sequence[int | None], scale: Scale) -> "Predictions":
        """Return grades read from texts, numbers as in ``Example.grade``, None where a text has none on the scale."""
        return Predictions(
            np.array([MISSING if grade is None else grade - scale.minimum for grade in grades], dtype=np.int64)
        )

    def rows(self, places: NDArray[np.int64]) -> "Predictions":
        """Return the predictions of the rows at ``places``."""
        return Predictions(self.grades[places], None if self.probabilities is None else self.probabilities[places])


class Reference(Struct, frozen=True):
    """The right positions [n] on a scale of ``size`` grades, and which rows belong together (empty: none)."""

    grades: Positions
    size: int
    groups: Sequence[str] = ()

    def rows(self, places: NDArray[np.int64]) -> "Reference":
        """Return the reference of the rows at ``places``."""
        return Reference(
            self.grades[places], self.size, [self.groups[place] for place in places] if self.groups else ()
        )


def figures(predictions: Predictions, reference: Reference) -> dict[str, Estimate]:
    """Return every figure by name with its interval; those of probabilities only where there are some."""
    found: dict[str, Estimate] = {}
    groups = reference.groups
    grades, right = counted_grades(predictions, reference), reference.grades
    found["kappa"] = intervals.kappa_estimate(grades.astype(float), right.astype(float), groups=groups)
    found["exact"] = intervals.share(grades == right, groups=groups)
    found["within_one"] = intervals.share(_is_within_one(predictions, reference), groups=groups)
    for name in ("mae", "signed_error", "nll", "expected_distance", "brier"):
        values = _PER_ROW[name](predictions, reference)
        if values is not None:
            found[name] = intervals.mean(values, groups=groups)
    if predictions.probabilities is not None:
        confident = _given(predictions.probabilities, grades)
        found["calibration_error"] = intervals.calibration(confident, grades == right)
    return found


def answered(predictions: Predictions) -> float:
    """Return the share of rows with a grade."""
    return float((predictions.grades != MISSING).mean()) if len(predictions.grades) else 0.0


def paired_difference(
    one: Predictions, other: Predictions, reference: Reference, figure: str = "kappa"
) -> Estimate | None:
    """Return ``figure`` of ``one`` less that of ``other`` on the same rows; None where one of them has none.

    The interval is that of the paired differences of the rows' influences, so what both find hard cancels.
    """
    mine, theirs = (_influences(item, reference, figure) for item in (one, other))
    if mine is None or theirs is None or math.isnan(mine[0] - theirs[0]):
        return None
    gap = mine[1] - theirs[1]
    return intervals.from_influences(mine[0] - theirs[0], gap, groups=reference.groups)


def counted_grades(predictions: Predictions, reference: Reference) -> Positions:
    """Return the grades [n] that count: a missing one is the grade farthest from the reference."""
    farthest = np.where(reference.grades * 2 >= reference.size - 1, 0, reference.size - 1)
    return np.where(predictions.grades == MISSING, farthest, predictions.grades).astype(np.int64)


def _influences(predictions: Predictions, reference: Reference, figure: str) -> tuple[float, Floats] | None:
    if figure == "kappa":
        grades = counted_grades(predictions, reference)
        return intervals.kappa(grades.astype(float), reference.grades.astype(float))
    values = _PER_ROW[figure](predictions, reference)
    return None if values is None else (float(values.mean()), values - values.mean())


def _given(probabilities: Floats, grades: Positions) -> Floats:
    return np.asarray(probabilities[np.arange(len(grades)), grades], dtype=np.float64)


def _exact(predictions: Predictions, reference: Reference) -> Floats:
    return np.asarray(counted_grades(predictions, reference) == reference.grades, dtype=np.float64)


def _within_one(predictions: Predictions, reference: Reference) -> Floats:
    return np.asarray(_is_within_one(predictions, reference), dtype=np.float64)


def _is_within_one(predictions: Predictions, reference: Reference) -> NDArray[np.bool_]:
    # on a short scale even the farthest grade may be one off: no grade is never within one
    near = np.abs(counted_grades(predictions, reference) - reference.grades) <= 1
    return np.asarray(near & (predictions.grades != MISSING), dtype=np.bool_)


def _signed(predictions: Predictions, reference: Reference) -> Floats:
    return np.asarray(counted_grades(predictions, reference) - reference.grades, dtype=np.float64)


def _distance(predictions: Predictions, reference: Reference) -> Floats:
    return np.abs(_signed(predictions, reference))


def _surprise(predictions: Predictions, reference: Reference) -> Floats | None:
    if predictions.probabilities is None:
        return None
    return np.asarray(-np.log(np.maximum(_given(predictions.probabilities, reference.grades), 1e-6)), dtype=np.float64)


def _brier(predictions: Predictions, reference: Reference) -> Floats | None:
    if predictions.probabilities is None:
        return None
    wanted = np.eye(reference.size)[reference.grades]
    return np.asarray(((predictions.probabilities - wanted) ** 2).sum(1), dtype=np.float64)


def _expected_distance(predictions: Predictions, reference: Reference) -> Floats | None:
    if predictions.probabilities is None:
        return None
    distances = np.abs(np.arange(reference.size)[None, :] - reference.grades[:, None])
    return np.asarray((predictions.probabilities * distances).sum(1), dtype=np.float64)


_PER_ROW: Mapping[str, Callable[[Predictions, Reference], Floats | None]] = {
    "exact": _exact,
    "within_one": _within_one,
    "mae": _distance,
    "signed_error": _signed,
    "nll": _surprise,
    "expected_distance": _expected_distance,
    "brier": _brier,
}
