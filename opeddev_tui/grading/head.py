"""Fit and use the grade head: kernel ridge on features, cumulative logit, a set of grades with promised coverage.

Everything that is claimed of the head (its probabilities' cut points, the sets, the figures) comes from predictions of
rows by fits without them. The head is kept in primal form: no row's features leave with it.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from opeddev_tui.analysis.one_thread import one_thread
from opeddev_tui.errors import DataProblem
from opeddev_tui.grading.conformal import COVERAGE, grade_sets, set_limit
from opeddev_tui.grading.ordinal import Grades, Ordinal, fit_ordinal, fold_numbers, out_of_fold_probabilities
from opeddev_tui.grading.ridge import KIND_WEIGHT, RidgeFit, RidgeSystem, centred, kind_factor
from opeddev_tui.grading.scale import Positions, Scale
from opeddev_tui.grading.steady import steadying

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
FEWEST_ROWS = 10
# a target that fewer rows know is their mean
FEWEST_KNOWN = 3
# a kind with fewer rows has no part of its own: it would be these rows' features
FEWEST_OF_KIND = 5
# a feature of no greater spread is the same in all rows
_CONSTANT = 2e-6


class Labels(Struct, frozen=True):
    """What is known of n graded rows besides their text; empty sequences where nothing is known.

    ``grades`` are positions on the scale; ``weights`` multiply a row's part in the fit, 0 leaves it out; rows of one
    ``groups`` entry (author, repository) are left out together.
    """

    grades: Positions
    kinds: Sequence[str] = ()
    weights: Sequence[float] = ()
    groups: Sequence[str] = ()

    @property
    def used(self) -> NDArray[np.bool_]:
        """Which rows take part in the fit, [n]."""
        return np.asarray(self.weights, dtype=np.float64) > 0 if len(self.weights) else np.ones(len(self.grades), bool)

    def chosen(self, rows: NDArray[np.bool_]) -> "Labels":
        """Return the labels of ``rows`` alone."""
        places = np.flatnonzero(rows).tolist()
        return Labels(
            self.grades[places],
            [self.kinds[place] for place in places] if len(self.kinds) else (),
            [self.weights[place] for place in places] if len(self.weights) else (),
            [self.groups[place] for place in places] if len(self.groups) else (),
        )


class LinearScores(Struct, frozen=True):
    """Scores that are linear in standardised features, with a part of its own per known kind.

    ``mean`` and ``spread`` [d]; ``weights`` [targets, 1 + kinds, d]; ``intercepts`` and ``penalties`` [targets]. A row
    of an unknown kind is scored by the common part.
    """

    mean: Singles
    spread: Singles
    kinds: tuple[str, ...]
    weights: Singles
    intercepts: tuple[float, ...]
    penalties: tuple[float, ...]

    def scores(self, features: NDArray[np.floating], kinds: Sequence[str] = ()) -> Floats:
        """Return scores [n, targets] of ``features`` [n, d]."""
        standard = (np.asarray(features, np.float64) - self.mean) / self.spread
        found = standard @ self.weights[:, 0].T.astype(np.float64)
        for place, kind in enumerate(self.kinds, 1):
            rows = np.flatnonzero(np.asarray(list(kinds), dtype=object) == kind)
            if len(rows):
                found[rows] += standard[rows] @ self.weights[:, place].T.astype(np.float64)
        return np.asarray(found + np.asarray(self.intercepts), dtype=np.float64)


class GradeHead(Struct, frozen=True):
    """A fitted head; ``coverage`` is what its sets promise, ``rows`` how many it was fitted on."""

    scale: Scale
    linear: LinearScores
    ordinal: Ordinal
    set_limit: float
    coverage: float
    rows: int

    def grades(self, features: NDArray[np.floating], kinds: Sequence[str] = ()) -> Grades:
        """Return the grades of ``features`` [n, d]."""
        return Grades(self.ordinal.probabilities(self.linear.scores(features, kinds)[:, 0]))

    def sets(self, grades: Grades) -> NDArray[np.bool_]:
        """Return which grades are in each row's set, [n, grades]."""
        return grade_sets(grades.probabilities, self.set_limit)


class FittedHead(Struct, frozen=True):
    """A head, and the scores and grades of its rows by fits without them.

    ``scores`` [n] and ``out_of_fold`` (probabilities [n, grades]); a row of weight 0 is simply predicted.
    """

    head: GradeHead
    scores: Floats
    out_of_fold: Grades


def cannot_fit(labels: Labels) -> str:
    """Return why no head can be fitted on ``labels``, empty where one can."""
    grades = labels.grades[labels.used]
    if len(grades) < FEWEST_ROWS:
        return f"{len(grades)} graded rows are too few for a grade head, which needs {FEWEST_ROWS}."
    return "all rows have the same grade." if len(np.unique(grades)) < 2 else ""


@one_thread()
def fit_head(
    features: NDArray[np.floating],
    labels: Labels,
    scale: Scale,
    *,
    differences: NDArray[np.floating] | None = None,
) -> FittedHead:
    """Return the head fitted on ``features`` [n, d]; raises ``DataProblem`` where ``cannot_fit`` says why.

    ``differences`` [m, d]: how features move under changes without reason, to steady the head against (``steady``).
    """
    require_fit(labels)
    targets = labels.grades.astype(np.float64)[:, None]
    linear, scores = fit_linear(features, targets, labels, differences)
    ordinal, out_of_fold = fit_probabilities(scores[:, 0], labels, scale.size)
    limit = limit_of(out_of_fold, labels)
    rows = int(labels.used.sum())
    return FittedHead(GradeHead(scale, linear, ordinal, limit, COVERAGE, rows), scores[:, 0], Grades(out_of_fold))


def require_fit(labels: Labels) -> None:
    """Raise ``DataProblem`` where no head can be fitted on ``labels``."""
    if reason := cannot_fit(labels):
        raise DataProblem(reason, cure="Add graded rows of different grades.")


def fit_linear(
    features: NDArray[np.floating], targets: Floats, labels: Labels, differences: NDArray[np.floating] | None = None
) -> tuple[LinearScores, Floats]:
    """Return linear scores for ``targets`` [n, targets] (NaN: unknown in that row) and out-of-fold scores, same shape.

    A row whose target is unknown, or whose weight is 0, is predicted. ``differences`` as in ``fit_head``.
    """
    mean, spread = _standards(features[labels.used])
    standard = (np.asarray(features, np.float64) - mean) / spread
    steady = (
        # what is the same in all rows scores nothing, and its spread is no measure of a move
        steadying(np.where(spread > _CONSTANT, differences / spread, 0.0).astype(np.float64))
        if differences is not None and len(differences)
        else None
    )
    if steady is not None:
        standard = steady.apply(standard)
    kinds = tuple(sorted({kind for kind in labels.kinds if kind}))
    weights = np.zeros((targets.shape[1], 1 + len(kinds), features.shape[1]), np.float32)
    intercepts, penalties = np.zeros(targets.shape[1]), np.zeros(targets.shape[1])
    scores = np.empty_like(targets)
    for columns, rows in _alike(targets, labels.used):
        if rows.sum() < FEWEST_KNOWN:
            for column in columns:
                intercepts[column] = float(np.nanmean(targets[rows, column])) if rows.any() else 0.0
                scores[rows, column] = intercepts[column]
            continue
        part = labels.chosen(rows)
        gram = standard[rows] @ standard[rows].T * kind_factor(part.kinds, part.kinds)
        for column, (duals, intercept, fit) in zip(
            columns, fit_gram(gram, targets[rows][:, columns], part), strict=True
        ):
            weights[column] = _primal(duals, standard[rows], part.kinds, kinds)
            intercepts[column], penalties[column] = intercept, fit.penalty
            scores[rows, column] = fit.out_of_fold
    if steady is not None:
        # scores of plain features by the weights that were found for steadied ones
        weights = steady.apply(weights.astype(np.float64)).astype(np.float32)
    linear = LinearScores(mean, spread, kinds, weights, tuple(intercepts.tolist()), tuple(penalties.tolist()))
    plain = linear.scores(features, labels.kinds)
    unknown = np.isnan(targets) | ~labels.used[:, None]
    return linear, np.where(unknown, plain, scores)


def fit_gram(gram: Floats, targets: Floats, labels: Labels) -> list[tuple[Floats, float, RidgeFit]]:
    """Return per target (duals [n] and intercept for the uncentred ``gram`` [n, n], the fit).

    The score of a new row is its kernel with the n rows times the duals, plus the intercept.
    """
    kernel, divisor = centred(gram)
    system = RidgeSystem(kernel, np.asarray(labels.weights, np.float64) if len(labels.weights) else None, labels.groups)
    found = []
    for target in targets.T:
        fit = system.fit(target)
        duals = fit.duals / divisor
        # the duals sum to 0, so only the training rows' own means are left of the centring
        found.append((duals, fit.intercept - float(duals @ gram.mean(0)), fit))
    return found


def fit_probabilities(scores: Floats, labels: Labels, size: int) -> tuple[Ordinal, Floats]:
    """Return the ordinal fit on out-of-fold ``scores`` [n], and probabilities [n, size] by fits without the row."""
    used = labels.used
    part = labels.chosen(used)
    weights = np.asarray(part.weights, np.float64) if len(part.weights) else None
    ordinal = fit_ordinal(scores[used], part.grades, size, weights)
    folds = fold_numbers(len(part.grades), part.groups)
    probabilities = ordinal.probabilities(scores)
    probabilities[used] = out_of_fold_probabilities(scores[used], part.grades, size, folds.tolist(), weights)
    return ordinal, probabilities


def limit_of(probabilities: Floats, labels: Labels) -> float:
    """Return the conformal limit from out-of-fold ``probabilities`` [n, grades] of the rows in use."""
    part = labels.chosen(labels.used)
    return set_limit(probabilities[labels.used], part.grades, groups=part.groups)


def _standards(features: NDArray[np.floating]) -> tuple[Singles, Singles]:
    mean = features.mean(0, dtype=np.float64).astype(np.float32)
    spread = (features.std(0, dtype=np.float64) + _CONSTANT / 2).astype(np.float32)
    return mean, spread


def _alike(targets: Floats, used: NDArray[np.bool_]) -> list[tuple[list[int], NDArray[np.bool_]]]:
    """Return the columns that are known in the same rows together, with those rows."""
    found: dict[bytes, tuple[list[int], NDArray[np.bool_]]] = {}
    for column in range(targets.shape[1]):
        rows = ~np.isnan(targets[:, column]) & used
        found.setdefault(rows.tobytes(), ([], rows))[0].append(column)
    return list(found.values())


def _primal(duals: Floats, standard: Floats, row_kinds: Sequence[str], kinds: Sequence[str]) -> Singles:
    """Return weights [1 + kinds, d] that score as the kernel does."""
    weights = [duals @ standard]
    named = np.asarray(row_kinds, dtype=object)
    for kind in kinds:
        rows = np.flatnonzero(named == kind)
        weights.append(KIND_WEIGHT * (duals[rows] @ standard[rows]))
    return np.stack(weights).astype(np.float32)


def labels_of(
    grades: Positions, kinds: Sequence[str] = (), weights: Sequence[float] = (), groups: Sequence[str] = ()
) -> Labels:
    """Return ``Labels`` without what has no effect: equal weights, empty groups, empty kinds, kinds of a few rows."""
    counts = Counter(kinds)
    named = [kind if counts[kind] >= FEWEST_OF_KIND else "" for kind in kinds]
    return Labels(
        grades,
        named if any(named) else (),
        list(weights) if any(weight != 1 for weight in weights) else (),
        list(groups) if any(groups) else (),
    )
