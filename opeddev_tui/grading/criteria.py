"""Heads for the rubric's areas: which failed, how likely, and a grade from their sum.

The same kernel as the grade head. Areas of different kinds that are never asked together share a head, so each learns
from all rows. Which areas are named is decided by one threshold, chosen for the F1 of rows that the fits did not see.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from opeddev_tui.grading.areas import Areas, asked_areas, columns_of
from opeddev_tui.grading.head import (
    FittedHead,
    Floats,
    GradeHead,
    Labels,
    LinearScores,
    fit_linear,
    fit_probabilities,
    limit_of,
)
from opeddev_tui.grading.ordinal import Grades, Ordinal, fit_ordinal
from opeddev_tui.grading.scale import Scale
from opeddev_tui.grading.scores import Predictions, Reference, figures

FEWEST_READ = 20
_THRESHOLDS = tuple(np.linspace(0.1, 0.7, 31).tolist())


class CriteriaHeads(Struct, frozen=True):
    """Heads of the areas in ``areas`` (whose rows are forgotten); ``columns``: the head of each area.

    ``threshold`` is the probability from which an area is named; ``f1`` that of naming so, out of fold.
    """

    areas: Areas
    columns: tuple[int, ...]
    linear: LinearScores
    ordinals: tuple[Ordinal, ...]
    threshold: float
    f1: float
    f1_all: float

    def probabilities(self, features: NDArray[np.floating], kinds: Sequence[str], prompts: Sequence[str]) -> Floats:
        """Return the probability [n, areas] that each area failed; 0 where it is not asked of the row."""
        scores = self.linear.scores(features, kinds)
        return _area_probabilities(self, scores, asked_areas(self.areas, kinds, prompts))

    def named(self, probabilities: Floats) -> list[list[str]]:
        """Return the areas to be named per row, in the rubric's order."""
        return [
            [name for name, chance in zip(self.areas.names, row, strict=True) if chance >= self.threshold]
            for row in probabilities
        ]


class FittedCriteria(Struct, frozen=True):
    """Criteria heads, out-of-fold probabilities [n, areas] of the rows, and the sum of their scores [n]."""

    heads: CriteriaHeads
    out_of_fold: Floats
    sums: Floats


def fit_criteria(
    features: NDArray[np.floating],
    labels: Labels,
    areas: Areas,
    kinds: Sequence[str],
    prompts: Sequence[str],
    *,
    differences: NDArray[np.floating] | None = None,
) -> FittedCriteria | None:
    """Return criteria heads fitted on ``features`` [n, d]; None for fewer than 20 rows with areas, or a single area.

    ``kinds`` and ``prompts`` [n] as the rows have them, without the submission: which areas are asked of each.
    ``differences`` as in ``head.fit_head``.
    """
    if len(areas.names) < 2 or int((areas.read & labels.used).sum()) < FEWEST_READ:
        return None
    asked = asked_areas(areas, kinds, prompts)
    columns = columns_of(areas, asked)
    targets = np.full((len(features), max(columns) + 1), np.nan)
    for area, column in enumerate(columns):
        rows = ~np.isnan(areas.failed[:, area])
        targets[rows, column] = areas.failed[rows, area]
    linear, scores = fit_linear(features, targets, labels, differences)
    ordinals = tuple(_failing(scores[:, column], targets[:, column], labels) for column in range(targets.shape[1]))
    heads = CriteriaHeads(_without_rows(areas), tuple(columns), linear, ordinals, 0.5, 0.0, 0.0)
    out_of_fold = _area_probabilities(heads, scores, asked)
    known = ~np.isnan(areas.failed) & labels.used[:, None]
    truth = known & (np.nan_to_num(areas.failed) >= 0.5)
    threshold = max(_THRESHOLDS, key=lambda limit: f1(known & (out_of_fold >= limit), truth))
    best = f1(known & (out_of_fold >= threshold), truth)
    heads = replace(heads, threshold=threshold, f1=best, f1_all=f1(known, truth))
    return FittedCriteria(heads, out_of_fold, scores.sum(1))


def _without_rows(areas: Areas) -> Areas:
    return replace(areas, failed=np.zeros((0, len(areas.names))), read=np.zeros(0, bool))


def grade_from_sum(criteria: FittedCriteria, labels: Labels, scale: Scale) -> tuple[Ordinal, float, Grades]:
    """Return the ordinal fit on the areas' summed scores, the limit of its sets, and out-of-fold grades."""
    ordinal, probabilities = fit_probabilities(-criteria.sums, labels, scale.size)
    return ordinal, limit_of(probabilities, labels), Grades(probabilities)


def sum_beats_head(direct: FittedHead, summed: Grades, labels: Labels) -> bool:
    """Return whether grades from the sum have the higher kappa out of fold."""
    rows = np.flatnonzero(labels.used)
    reference = Reference(labels.grades[rows], direct.head.scale.size)
    found = [
        figures(Predictions.of(grades).rows(rows), reference)["kappa"].value for grades in (direct.out_of_fold, summed)
    ]
    return found[1] > found[0]


def summed_head(direct: GradeHead, heads: CriteriaHeads, fitted: tuple[Ordinal, float, Grades]) -> GradeHead:
    """Return a grade head whose score is the negative sum of all areas' scores."""
    linear = heads.linear
    total = LinearScores(
        linear.mean,
        linear.spread,
        linear.kinds,
        -linear.weights.sum(0, keepdims=True),
        (-sum(linear.intercepts),),
        (max(linear.penalties),),
    )
    return GradeHead(direct.scale, total, fitted[0], fitted[1], direct.coverage, direct.rows)


def f1(named: NDArray[np.bool_], failed: NDArray[np.bool_]) -> float:
    """Return the F1 of ``named`` against ``failed`` areas, all rows and areas together."""
    together = int(named.sum()) + int(failed.sum())
    return 2 * int((named & failed).sum()) / together if together else 1.0


def _failing(scores: Floats, targets: Floats, labels: Labels) -> Ordinal:
    rows = ~np.isnan(targets) & labels.used
    if not rows.any():
        # nobody knows: as likely as not
        return Ordinal(0.0, (0.0,))
    return fit_ordinal(scores[rows], (targets[rows] >= 0.5).astype(np.int64), 2)


def _area_probabilities(heads: CriteriaHeads, scores: Floats, asked: NDArray[np.bool_]) -> Floats:
    by_column = [ordinal.probabilities(scores[:, column])[:, 1] for column, ordinal in enumerate(heads.ordinals)]
    return np.where(asked, np.stack([by_column[column] for column in heads.columns], axis=1), 0.0)
