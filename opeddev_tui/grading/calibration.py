"""Whether a grader's confidence can be trusted, and how much it may grade alone.

A threshold counts only where it is borne out: thresholds that are chosen in the same way on nine tenths of the rows
must reach the wanted agreement on the last tenth.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from opeddev_tui.grading import intervals
from opeddev_tui.grading.intervals import Estimate
from opeddev_tui.grading.ordinal import Grades, fold_numbers
from opeddev_tui.grading.scale import Positions
from opeddev_tui.grading.scores import Predictions, Reference, figures

Floats = NDArray[np.float64]
Hits = NDArray[np.bool_]
# neither a threshold nor its check rests on fewer rows
FEWEST_ALONE = 10


class Bin(Struct, frozen=True):
    """Rows of similar confidence: their mean confidence and the share that was right."""

    confidence: float
    right: Estimate
    rows: int


class Automatic(Struct, frozen=True):
    """Grading alone from ``threshold`` of confidence on: the share of rows, and the agreement on these."""

    threshold: float
    share: float
    agreement: Estimate


class Alone(Struct, frozen=True):
    """Grading alone with a wanted agreement.

    ``chosen`` is the point of the curve that is borne out, None where none is: a person looks at all rows then.
    ``checked`` is the agreement of the ``checked_rows`` that thresholds chosen on other rows let pass, None of no row.
    """

    chosen: Automatic | None
    checked_rows: int
    checked: Estimate | None


class Halves(Struct, frozen=True):
    """Figures of the more confident half of the rows and of the other."""

    confident: dict[str, Estimate]
    other: dict[str, Estimate]


def reliability(confidences: Floats, right: Hits) -> list[Bin]:
    """Return bins of equal size from the least confident rows to the most; the diagonal is perfect."""
    parts = np.array_split(np.argsort(confidences, kind="stable"), intervals.bin_count(len(right)))
    return [
        Bin(float(confidences[rows].mean()), intervals.share(right[rows]), len(rows)) for rows in parts if len(rows)
    ]


def automatic_curve(grades: Grades, reference: Positions, *, tolerance: int = 0) -> list[Automatic]:
    """Return share graded alone against agreement, one point per confidence that occurs, the strictest first.

    ``tolerance`` is how many grades apart still counts as agreement; confidence is then that of being so near.
    """
    confidence = grades.within(tolerance)
    right = np.abs(grades.median - reference) <= tolerance
    order = np.argsort(-confidence, kind="stable")
    found: list[Automatic] = []
    for count in range(1, len(order) + 1):
        # rows of equal confidence are taken together
        if count < len(order) and confidence[order[count]] == confidence[order[count - 1]]:
            continue
        agreement = intervals.share(right[order[:count]])
        found.append(Automatic(float(confidence[order[count - 1]]), count / len(order), agreement))
    return found


def bears_out(agrees: Hits, wanted: int) -> bool:
    """Return whether enough rows [n] show ``wanted`` percent of agreement, even were there one more wrong row."""
    return len(agrees) >= FEWEST_ALONE and 100 * int(agrees.sum()) >= wanted * (len(agrees) + 1)


def grading_alone(
    grades: Grades, reference: Positions, wanted: Sequence[int], *, tolerance: int = 0
) -> dict[int, Alone]:
    """Return what can be graded alone for each ``wanted`` agreement in percent.

    A threshold that just reaches the wanted agreement on the rows that chose it reaches less on others. So the aim is
    raised above the wanted agreement until the check bears it out.
    """
    confidence, agrees = grades.within(tolerance), np.abs(grades.median - reference) <= tolerance
    folds, aims = fold_numbers(len(agrees)), range(min(wanted), 101)
    chosen = _thresholds(confidence, agrees, aims)
    limits = np.empty((len(agrees), len(aims)))
    for fold in np.unique(folds):
        limits[folds == fold] = _thresholds(confidence[folds != fold], agrees[folds != fold], aims)
    checked = [agrees[confidence >= column] for column in limits.T]
    found = {}
    for want in wanted:
        at = want - aims[0]
        reached = [at for at in range(at, len(aims)) if chosen[at] < np.inf and bears_out(checked[at], want)]
        # without one that is borne out, the check of the plain threshold tells why
        rows = checked[reached[0] if reached else at]
        point = _point(confidence, agrees, float(chosen[reached[0]])) if reached else None
        found[want] = Alone(point, len(rows), intervals.share(rows) if len(rows) else None)
    return found


def _point(confidence: Floats, agrees: Hits, threshold: float) -> Automatic:
    """Return the point of the curve at ``threshold``."""
    passing = confidence >= threshold
    return Automatic(threshold, float(passing.mean()), intervals.share(agrees[passing]))


def _thresholds(confidence: Floats, agrees: Hits, aims: Sequence[int]) -> Floats:
    """Return the lowest confidence from which at least each of ``aims`` percent agreed; infinite where none."""
    order = np.argsort(-confidence, kind="stable")
    sure, rows = confidence[order], np.arange(1, len(order) + 1)
    # rows of equal confidence are taken together
    usable = np.r_[sure[1:] != sure[:-1], True] & (rows >= FEWEST_ALONE) if len(sure) else np.zeros(0, dtype=bool)
    reaching = [sure[usable & (100 * np.cumsum(agrees[order]) >= aim * rows)] for aim in aims]
    return np.array([found[-1] if len(found) else np.inf for found in reaching])


def halves(grades: Grades, reference: Reference) -> Halves:
    """Return the figures of the half of the rows with the less entropy, and of the other."""
    chances = np.maximum(grades.probabilities, 1e-12)
    order = np.argsort(-(chances * np.log(chances)).sum(1), kind="stable")
    cut = len(order) // 2
    one, other = (
        figures(Predictions.of(grades).rows(places), reference.rows(places)) for places in (order[:cut], order[cut:])
    )
    return Halves(one, other)
