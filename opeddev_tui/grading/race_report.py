"""Everything that is told of a race: figures, sets, disputes, areas, parts, calibration and a forecast.

Takes ways and heads that have read the hold-out; knows no model, no disk and no screen. Every figure is of hold-out
rows, or out of fold.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from opeddev_tui.grading import intervals
from opeddev_tui.grading.areas import Areas
from opeddev_tui.grading.calibration import Bin, reliability
from opeddev_tui.grading.criteria import CriteriaHeads
from opeddev_tui.grading.disputes import disputes
from opeddev_tui.grading.graded_rows import GradedRows
from opeddev_tui.grading.growth import GradeForecast
from opeddev_tui.grading.intervals import Estimate
from opeddev_tui.grading.ordinal import Grades
from opeddev_tui.grading.race import AUTO, Part, Race, Way, parts, run_race
from opeddev_tui.grading.raters import RaterAgreement, rater_agreement
from opeddev_tui.grading.scale import Scale
from opeddev_tui.grading.scores import Reference, counted_grades

MOST_DISPUTED = 10


class RaceRows(Struct, frozen=True):
    """The graded rows: ``train`` to fit on, ``held`` to compare on. ``ungraded`` counts those left out of each."""

    train: GradedRows
    held: GradedRows
    scale: Scale
    areas: Areas
    ungraded: tuple[int, int]

    @property
    def reference(self) -> Reference:
        """The right grades of the hold-out."""
        return Reference(self.held.labels.grades, self.scale.size, self.held.labels.groups)


class HeadEntry(Struct, frozen=True):
    """A head in the race: its ``way``, its sets [n, grades] of the hold-out, which promise ``coverage``, its claim.

    ``out_of_fold`` are grades of the training rows by fits without them, None where they are not known any more;
    ``from_sum``: the areas' sum gives the grade.
    """

    way: Way
    sets: NDArray[np.bool_]
    coverage: float
    claim: str
    out_of_fold: Grades | None = None
    criteria: CriteriaHeads | None = None
    from_sum: bool = False


class SetFigures(Struct, frozen=True):
    """Sets of grades on the hold-out: what they promise, how often they hold the right grade, how many they have."""

    promised: float
    covered: Estimate
    mean_size: float


class DisputedRow(Struct, frozen=True):
    """A training row whose grade the head, fitted without it, disputes most; ``surprise`` is −log p of ``given``."""

    id: str
    where: str
    given: str
    graded: str
    surprise: float


class AreaFigures(Struct, frozen=True):
    """The rubric's areas in the rows, how many rows fail each, and how well heads name them, out of fold.

    ``f1`` and ``f1_all`` (naming all) are None where too few rows tell areas for heads; ``gives_grade``: the areas' sum
    gives the grade.
    """

    failed: dict[str, int]
    f1: float | None = None
    f1_all: float | None = None
    gives_grade: bool = False


class Plea(Struct, frozen=True):
    """What a change that is no reason for another grade did to the grades of ``way`` on ``rows`` hold-out rows.

    ``changed`` is the share of grades that moved, ``shift`` their mean move in grades; above zero: to its favour.
    """

    change: str
    words: str
    way: str
    rows: int
    changed: Estimate
    shift: Estimate


class Report(Struct, frozen=True):
    """Everything that is told of the race; sets, disputes and areas are those of the head on the base model.

    ``parts`` (figures per kind, grade and length) and ``calibration`` are those of the way that grades;
    ``disputes`` counts the rows of which ``disputed`` are the first.
    """

    rows: int
    holdout_rows: int
    ungraded: tuple[int, int]
    race: Race
    sets: SetFigures | None = None
    disputed: tuple[DisputedRow, ...] = ()
    areas: AreaFigures | None = None
    # what each head claims of itself against the hold-out, by the way's name
    claims: dict[str, str] = field(default_factory=dict)
    # how far people agree, where rows have several grades: the ceiling of every way
    raters: RaterAgreement | None = None
    disputes: int = 0
    parts: tuple[Part, ...] = ()
    calibration: tuple[Bin, ...] = ()
    forecast: GradeForecast | None = None
    # whether graders can be talked into a grade, where that was asked for
    pleas: tuple[Plea, ...] = ()


def report_of(
    rows: RaceRows,
    ways: Sequence[Way],
    heads: Sequence[HeadEntry],
    *,
    mode: str = AUTO,
    forecast: GradeForecast | None = None,
) -> Report:
    """Return the race of ``ways`` and ``heads``; the head on the base model comes first where there is one."""
    reference = rows.reference
    every = [*ways, *(head.way for head in heads)]
    race = run_race(every, reference, mode=mode)
    grader = next((way for way in every if way.name == race.chosen), every[0])
    base = next((head for head in heads if not head.way.tuned), None)
    disputed = _disputed(rows, base.out_of_fold) if base is not None and base.out_of_fold is not None else []
    return Report(
        len(rows.train.examples),
        len(rows.held.examples),
        rows.ungraded,
        race,
        _set_figures(base, reference) if base is not None else None,
        tuple(disputed[:MOST_DISPUTED]),
        _area_figures(rows.areas, base),
        {head.way.name: head.claim for head in heads if head.claim},
        rater_agreement(rows.train.examples, rows.held.examples, rows.scale, (grader.words, grader.predictions.grades)),
        len(disputed),
        tuple(parts_of(rows, grader)),
        tuple(_bins(grader, reference)),
        forecast,
    )


def parts_of(rows: RaceRows, way: Way) -> list[Part]:
    """Return the figures of ``way`` on the hold-out per kind, grade and length of the submission."""
    lengths = [len(text) for text in rows.held.texts]
    return parts(way.predictions, rows.reference, rows.held.kinds, lengths, rows.scale.labels)


def _bins(way: Way, reference: Reference) -> list[Bin]:
    chances = way.predictions.probabilities
    if chances is None:
        return []
    grades = counted_grades(way.predictions, reference)
    return reliability(chances[np.arange(len(grades)), grades], grades == reference.grades, reference.groups)


def _set_figures(head: HeadEntry, reference: Reference) -> SetFigures | None:
    if not head.sets.size:
        return None
    right = head.sets[np.arange(len(reference.grades)), reference.grades]
    covered = intervals.share(right, groups=reference.groups)
    return SetFigures(head.coverage, covered, float(head.sets.sum(1).mean()))


def _disputed(rows: RaceRows, out_of_fold: Grades) -> list[DisputedRow]:
    labels, examples = rows.scale.labels, rows.train.examples
    settled = [at for at, example in enumerate(examples) if example.settled]
    ranked = disputes(out_of_fold, rows.train.labels.grades, settled)
    # a row whose grade is the one that would be given is not disputed, however unsure the head is
    return [
        DisputedRow(
            examples[item.row].id,
            examples[item.row].where,
            labels[item.given],
            labels[item.proposed],
            item.surprise,
        )
        for item in ranked
        if item.given != item.proposed
    ]


def _area_figures(areas: Areas, base: HeadEntry | None) -> AreaFigures | None:
    if not areas.names:
        return None
    failed = Counter[str]()
    for column, name in enumerate(areas.names):
        failed[name] = int((np.nan_to_num(areas.failed[:, column]) >= 0.5).sum())
    if base is None or base.criteria is None:
        return AreaFigures(dict(failed))
    return AreaFigures(dict(failed), base.criteria.f1, base.criteria.f1_all, base.from_sum)
