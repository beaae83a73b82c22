"""Fit all that grades after a step: the grade head, the criteria heads, and which of the two gives the grade.

Takes features and rows; knows no model and no disk.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from opeddev_tui.analysis.one_thread import one_thread
from opeddev_tui.grading.areas import Areas
from opeddev_tui.grading.criteria import (
    CriteriaHeads,
    FittedCriteria,
    fit_criteria,
    grade_from_sum,
    sum_beats_head,
    summed_head,
)
from opeddev_tui.grading.graded_rows import GradedRows
from opeddev_tui.grading.head import FittedHead, GradeHead, fit_head
from opeddev_tui.grading.intervals import Estimate
from opeddev_tui.grading.ordinal import Grades
from opeddev_tui.grading.scale import Scale
from opeddev_tui.grading.scores import Predictions, Reference, figures


class StepHead(Struct, frozen=True):
    """What was fitted: the ``head`` that grades, ``criteria`` where rows tell areas, both for rows never seen.

    ``out_of_fold`` are grades of the rows by fits without them; ``from_sum``: the areas' sum gives the grade;
    ``measured`` are the out-of-fold figures.
    """

    head: GradeHead
    criteria: CriteriaHeads | None
    out_of_fold: Grades
    from_sum: bool
    measured: dict[str, Estimate]


class Reading(Struct, frozen=True):
    """Grades of rows with their sets [n, grades], and the areas named per row."""

    grades: Grades
    sets: NDArray[np.bool_]
    named: list[list[str]]


@one_thread()
def fit_step(
    features: NDArray[np.floating],
    rows: GradedRows,
    scale: Scale,
    areas: Areas | None,
    *,
    differences: NDArray[np.floating] | None = None,
) -> StepHead:
    """Return the heads fitted on ``features`` [n, d] of ``rows``; raises ``DataProblem`` where rows are too few.

    ``differences`` [m, d] of features steady the heads against pleas (``steady.steadying_examples``).
    """
    direct = fit_head(features, rows.labels, scale, differences=differences)
    criteria = None
    if areas is not None:
        criteria = fit_criteria(features, rows.labels, areas, rows.kinds, rows.prompts, differences=differences)
    fitted, from_sum = _better(direct, criteria, rows, scale)
    used = np.flatnonzero(rows.labels.used)
    groups = rows.labels.groups
    reference = Reference(
        rows.labels.grades[used], scale.size, [groups[row] for row in used.tolist()] if len(groups) else ()
    )
    return StepHead(
        fitted.head,
        criteria.heads if criteria else None,
        fitted.out_of_fold,
        from_sum,
        figures(Predictions.of(fitted.out_of_fold).rows(used), reference),
    )


def read(fitted: StepHead, features: NDArray[np.floating], kinds: Sequence[str], prompts: Sequence[str]) -> Reading:
    """Return grades, sets and named areas of new rows; ``prompts`` without the submission (``prompt_frame``)."""
    grades = fitted.head.grades(features, kinds)
    named: list[list[str]] = [[] for _ in prompts]
    if fitted.criteria is not None:
        named = fitted.criteria.named(fitted.criteria.probabilities(features, kinds, prompts))
    return Reading(grades, fitted.head.sets(grades), named)


def _better(
    direct: FittedHead, criteria: FittedCriteria | None, rows: GradedRows, scale: Scale
) -> tuple[FittedHead, bool]:
    if criteria is None:
        return direct, False
    summed = grade_from_sum(criteria, rows.labels, scale)
    if not sum_beats_head(direct, summed[2], rows.labels):
        return direct, False
    head = summed_head(direct.head, criteria.heads, summed)
    return replace(direct, head=head, scores=-criteria.sums, out_of_fold=summed[2]), True
