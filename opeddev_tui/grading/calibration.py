"""Whether a grader's confidence can be trusted, and how much it may grade alone.

A threshold counts only where it is borne out: thresholds that are chosen in the same way on nine tenths of the rows
must reach the wanted agreement on the last tenth. Rows that share a group (author, repository) are drawn together:
they lie in one tenth, and groups count instead of rows.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from opeddev_tui.grading import intervals
from opeddev_tui.grading.intervals import Estimate, drawn_together
from opeddev_tui.grading.ordinal import Grades, fold_numbers
from opeddev_tui.grading.scale import Positions
from opeddev_tui.grading.scores import Predictions, Reference, figures

Floats = NDArray[np.float64]
Hits = NDArray[np.bool_]
# neither a threshold nor its check rests on fewer rows, or on fewer groups where rows have any
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
    ``checked_groups`` says of how many groups these are, None where no row has a group.
    """

    chosen: Automatic | None
    checked_rows: int
    checked: Estimate | None
    checked_groups: int | None = None


class Halves(Struct, frozen=True):
    """Figures of the more confident half of the rows and of the other."""

    confident: dict[str, Estimate]
    other: dict[str, Estimate]


def reliability(confidences: Floats, right: Hits, groups: Sequence[str] = ()) -> list[Bin]:
    """Return bins of equal size from the least confident rows to the most; the diagonal is perfect."""
    parts = np.array_split(np.argsort(confidences, kind="stable"), intervals.bin_count(len(right)))
    return [Bin(float(confidences[rows].mean()), _share(right, rows, groups), len(rows)) for rows in parts if len(rows)]


def _share(hits: Hits, rows: Positions, groups: Sequence[str]) -> Estimate:
    return intervals.share(hits[rows], groups=_of(groups, rows))


def _of(groups: Sequence[str], rows: Positions) -> list[str]:
    """Return the groups of ``rows``, none where no row has one."""
    return [groups[row] for row in rows.tolist()] if any(groups) else []


def automatic_curve(
    grades: Grades, reference: Positions, *, tolerance: int = 0, groups: Sequence[str] = ()
) -> list[Automatic]:
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
        agreement = _share(right, order[:count], groups)
        found.append(Automatic(float(confidence[order[count - 1]]), count / len(order), agreement))
    return found


def bears_out(agrees: Hits, wanted: int, groups: Sequence[str] = ()) -> bool:
    """Return whether enough rows [n] show ``wanted`` percent of agreement, even were there one more wrong row.

    Where rows have ``groups`` [n], these count: enough of them, and one more wrong group of the usual size. Rows of one
    author may be right or wrong together, so a hundred rows of five authors tell hardly more than five.
    """
    return _bears_out(agrees, wanted, _draws(len(agrees), groups))


def _bears_out(agrees: Hits, wanted: int, draws: int) -> bool:
    return draws >= FEWEST_ALONE and 100 * int(agrees.sum()) * draws >= wanted * len(agrees) * (draws + 1)


def _draws(rows: int, groups: Sequence[str]) -> int:
    """Return how many independent draws ``rows`` rows are."""
    return len(set(drawn_together(rows, groups))) if any(groups) else rows


def grading_alone(
    grades: Grades, reference: Positions, wanted: Sequence[int], *, tolerance: int = 0, groups: Sequence[str] = ()
) -> dict[int, Alone]:
    """Return what can be graded alone for each ``wanted`` agreement in percent; ``groups`` [n] is empty without any.

    A threshold that just reaches the wanted agreement on the rows that chose it reaches less on others. So the aim is
    raised above the wanted agreement until the check bears it out. No row that checks shares a group with one that
    chose.
    """
    confidence, agrees = grades.within(tolerance), np.abs(grades.median - reference) <= tolerance
    folds, aims = fold_numbers(len(agrees), groups), range(min(wanted), 101)
    chosen = _thresholds(confidence, agrees, aims)
    limits = np.empty((len(agrees), len(aims)))
    for fold in np.unique(folds):
        limits[folds == fold] = _thresholds(confidence[folds != fold], agrees[folds != fold], aims)
    passing = [np.flatnonzero(confidence >= column) for column in limits.T]
    draws = [_draws(len(rows), _of(groups, rows)) for rows in passing]
    found = {}
    for want in wanted:
        plain = want - aims[0]
        reached = [
            at
            for at in range(plain, len(aims))
            if chosen[at] < np.inf and _bears_out(agrees[passing[at]], want, draws[at])
        ]
        # without one that is borne out, the check of the plain threshold tells why
        at = reached[0] if reached else plain
        point = _point(confidence, agrees, float(chosen[at]), groups) if reached else None
        checked = _share(agrees, passing[at], groups) if len(passing[at]) else None
        found[want] = Alone(point, len(passing[at]), checked, draws[at] if any(groups) else None)
    return found


def _point(confidence: Floats, agrees: Hits, threshold: float, groups: Sequence[str]) -> Automatic:
    """Return the point of the curve at ``threshold``."""
    passing = np.flatnonzero(confidence >= threshold)
    return Automatic(threshold, len(passing) / len(agrees), _share(agrees, passing, groups))


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
