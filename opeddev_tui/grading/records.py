"""Turn grades and figures into what events record of them."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from opeddev_tui.grading.intervals import Estimate
from opeddev_tui.grading.ordinal import Grades
from opeddev_tui.grading.scale import Scale
from opeddev_tui.grading.scores import Predictions, Reference, figures
from opeddev_tui.runs.grade_records import Figure, WayGrades

DIGITS = 4


def figure(estimate: Estimate) -> Figure:
    """Return ``estimate`` as it is recorded: None instead of NaN."""
    return Figure(*(None if math.isnan(end) else end for end in (estimate.value, estimate.low, estimate.high)))


def recorded(found: Mapping[str, Estimate]) -> dict[str, Figure]:
    """Return figures by name as events record them."""
    return {name: figure(estimate) for name, estimate in found.items()}


def way_grades(
    way: str,
    words: str,
    grades: Grades,
    scale: Scale,
    reference: Reference,
    *,
    sets: NDArray[np.bool_] | None = None,
    seconds: float = 0.0,
) -> WayGrades:
    """Return ``grades`` [n, grades] of the rows of ``reference`` by ``way``, with figures and ``sets`` [n, grades]."""
    inside = sets if sets is not None else np.zeros((0, scale.size), bool)
    return WayGrades(
        way,
        words,
        tuple(scale.labels[place] for place in grades.median.tolist()),
        tuple(tuple(round(chance, DIGITS) for chance in row) for row in grades.probabilities.tolist()),
        tuple(tuple(label for label, is_in in zip(scale.labels, row, strict=True) if is_in) for row in inside.tolist()),
        recorded(figures(Predictions.of(grades), reference)),
        seconds,
    )
