"""What can be trusted of recorded grades: calibration, how much can be graded without a person, coverage, halves.

Takes what a journal records of one way; reads no model.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Struct

from opeddev_tui.config.grading_settings import LEAST_AGREEMENT, MOST_AGREEMENT
from opeddev_tui.grading import intervals
from opeddev_tui.grading.calibration import (
    Alone,
    Automatic,
    Bin,
    automatic_curve,
    grading_alone,
    halves,
    reliability,
)
from opeddev_tui.grading.intervals import Estimate
from opeddev_tui.grading.ordinal import Grades
from opeddev_tui.grading.scores import Reference
from opeddev_tui.runs.grade_records import WayGrades
from opeddev_tui.runs.grade_words import too_few

# agreements that can be wanted, in percent
WANTED = tuple(range(LEAST_AGREEMENT, MOST_AGREEMENT + 1))


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


def trust(
    way: WayGrades,
    reference: Sequence[str],
    labels: Sequence[str],
    tolerance: int = 0,
    groups: Sequence[str] = (),
) -> Trust | None:
    """Return what can be trusted of ``way``; None where it has no probabilities or too few rows.

    ``reference`` has the right grade of each row and ``groups`` its group, empty where no row has one.
    """
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
    parts = halves(grades, Reference(right, len(labels), groups))
    covered = [label in inside for label, inside in zip(reference, way.sets, strict=False)]
    has_sets = len(covered) == len(reference)
    return Trust(
        len(reference),
        tolerance,
        tuple(reliability(grades.within(tolerance), agrees, groups)),
        tuple(automatic_curve(grades, right, tolerance=tolerance, groups=groups)),
        grading_alone(grades, right, WANTED, tolerance=tolerance, groups=groups),
        intervals.share(np.array(covered), groups=groups) if has_sets else None,
        float(np.mean([len(inside) for inside in way.sets])) if has_sets else None,
        parts.confident,
        parts.other,
    )
