"""What can be trusted of recorded grades: calibration, how much can be graded without a person, coverage, halves.

Takes what a journal records of one way; reads no model. Thresholds are also checked on rows that did not choose them.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from opeddev_tui.grading import intervals
from opeddev_tui.grading.calibration import (
    Automatic,
    Bin,
    automatic_curve,
    halves,
    reliability,
    threshold_for,
)
from opeddev_tui.grading.intervals import Estimate
from opeddev_tui.grading.ordinal import Grades, fold_numbers
from opeddev_tui.grading.scores import Reference
from opeddev_tui.runs.grade_records import WayGrades
from opeddev_tui.runs.grade_words import too_few

# agreements that can be wanted, in percent
WANTED = tuple(range(80, 100))


class Alone(Struct, frozen=True):
    """Grading alone with a wanted agreement.

    ``chosen`` is the point of the curve that grades most rows, None where no threshold reaches the wanted agreement.
    ``checked`` has the share of rows that thresholds chosen on other rows let pass, and the agreement on these.
    """

    chosen: Automatic | None
    checked_share: float
    checked: Estimate | None


class Trust(Struct, frozen=True):
    """What can be trusted of one way on ``rows`` rows, where a grade ``tolerance`` grades off still counts as right.

    ``alone`` is by wanted agreement in percent. ``covered`` is the share of the 90% sets that hold the right grade and
    ``set_size`` their mean size, None where the way promises no sets. ``confident`` and ``other`` are the figures of
    the surer half of the rows and of the other.
    """

    rows: int
    tolerance: int
    bins: tuple[Bin, ...]
    curve: tuple[Automatic, ...]
    alone: dict[int, Alone]
    covered: Estimate | None
    set_size: float | None
    confident: Mapping[str, Estimate]
    other: Mapping[str, Estimate]


def trust(way: WayGrades, reference: Sequence[str], labels: Sequence[str], tolerance: int = 0) -> Trust | None:
    """Return what can be trusted of ``way``; None where it has no probabilities or too few rows."""
    if len(way.probabilities) != len(reference) or too_few(len(reference)):
        return None
    places = {label: place for place, label in enumerate(labels)}
    if any(label not in places for label in reference):
        return None
    right = np.array([places[label] for label in reference], dtype=np.int64)
    probabilities = np.asarray(way.probabilities, dtype=np.float64)
    # they are recorded with four digits
    grades = Grades(probabilities / probabilities.sum(1, keepdims=True))
    agrees = np.abs(grades.median - right) <= tolerance
    confidence = grades.within(tolerance)
    curve = automatic_curve(grades, right, tolerance=tolerance)
    parts = halves(grades, Reference(right, len(labels)))
    covered = [label in inside for label, inside in zip(reference, way.sets, strict=False)]
    has_sets = len(covered) == len(reference)
    return Trust(
        len(reference),
        tolerance,
        tuple(reliability(confidence, agrees)),
        tuple(curve),
        _alone(curve, confidence, agrees),
        intervals.share(np.array(covered)) if has_sets else None,
        float(np.mean([len(inside) for inside in way.sets])) if has_sets else None,
        parts.confident,
        parts.other,
    )


def _alone(curve: Sequence[Automatic], confidence: NDArray[np.float64], agrees: NDArray[np.bool_]) -> dict[int, Alone]:
    """Return what each wanted agreement lets pass, and what thresholds chosen on nine tenths give on the last tenth."""
    folds = fold_numbers(len(agrees))
    passed = {wanted: np.zeros(len(agrees), dtype=bool) for wanted in WANTED}
    for fold in np.unique(folds):
        inside = folds == fold
        thresholds, shares = _thresholds(confidence[~inside], agrees[~inside])
        for wanted in WANTED:
            reaching = np.flatnonzero(shares >= wanted / 100)
            if len(reaching):
                passed[wanted][inside] = confidence[inside] >= thresholds[reaching[-1]]
    return {
        wanted: Alone(
            threshold_for(curve, wanted / 100),
            float(passed[wanted].mean()),
            intervals.share(agrees[passed[wanted]]) if passed[wanted].any() else None,
        )
        for wanted in WANTED
    }


def _thresholds(
    confidence: NDArray[np.float64], agrees: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return every threshold, the strictest first, and the share of agreement among the rows that reach it."""
    order = np.argsort(-confidence, kind="stable")
    sure = confidence[order]
    shares = np.cumsum(agrees[order]) / np.arange(1, len(order) + 1)
    # rows of equal confidence are taken together
    last = np.r_[sure[1:] != sure[:-1], True] if len(sure) else np.zeros(0, dtype=bool)
    return sure[last], shares[last]
