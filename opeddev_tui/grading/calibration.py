"""Whether a grader's confidence can be trusted, and how much it may grade alone.

A threshold is chosen on rows that the head did not see in its fit (out of fold) and reported on others (the hold-out).
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from opeddev_tui.grading import intervals
from opeddev_tui.grading.intervals import Estimate
from opeddev_tui.grading.ordinal import Grades
from opeddev_tui.grading.scale import Positions
from opeddev_tui.grading.scores import Predictions, Reference, figures

Floats = NDArray[np.float64]


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


class Halves(Struct, frozen=True):
    """Figures of the more confident half of the rows and of the other."""

    confident: dict[str, Estimate]
    other: dict[str, Estimate]


def reliability(confidences: Floats, right: NDArray[np.bool_]) -> list[Bin]:
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


def threshold_for(curve: Sequence[Automatic], wanted: float) -> Automatic | None:
    """Return the point that grades most rows alone with at least the ``wanted`` agreement; None where none does."""
    reaching = [point for point in curve if point.agreement.value >= wanted]
    return max(reaching, key=lambda point: point.share) if reaching else None


def halves(grades: Grades, reference: Reference) -> Halves:
    """Return the figures of the half of the rows with the less entropy, and of the other."""
    chances = np.maximum(grades.probabilities, 1e-12)
    order = np.argsort(-(chances * np.log(chances)).sum(1), kind="stable")
    cut = len(order) // 2
    one, other = (
        figures(Predictions.of(grades).rows(places), reference.rows(places)) for places in (order[:cut], order[cut:])
    )
    return Halves(one, other)
