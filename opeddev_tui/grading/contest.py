"""The race on a workspace's own rows: which rows take part, what enters, and everything that is told of it.

Takes rows and features; knows no model, no disk and no screen. Every figure is of hold-out rows, or out of fold.
"""

import time
from collections import Counter
from collections.abc import Sequence

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from opeddev_tui.config.settings import Settings
from opeddev_tui.data.batches import StepData
from opeddev_tui.errors import DataProblem
from opeddev_tui.grading import intervals, rivals, step_head
from opeddev_tui.grading.areas import Areas
from opeddev_tui.grading.disputes import disputes
from opeddev_tui.grading.graded_rows import GradedRows, areas_of_rows, graded_rows
from opeddev_tui.grading.head import cannot_fit
from opeddev_tui.grading.honesty import check_claim
from opeddev_tui.grading.intervals import Estimate
from opeddev_tui.grading.race import Race, Way, run_race
from opeddev_tui.grading.raters import RaterAgreement, rater_agreement
from opeddev_tui.grading.reader import TokenGrades
from opeddev_tui.grading.scale import Scale
from opeddev_tui.grading.scores import Predictions, Reference, figures

Singles = NDArray[np.float32]
MOST_DISPUTED = 10


class ContestRows(Struct, frozen=True):
    """The graded rows: ``train`` to fit on, ``held`` to compare on. ``ungraded`` counts those left out of each."""

    train: GradedRows
    held: GradedRows
    scale: Scale
    areas: Areas
    ungraded: tuple[int, int]


class Entrant(Struct, frozen=True):
    """A model that enters: features [n, d] of ``train`` and ``held``, and its grade-token grades where it has them.

    ``name`` and ``words`` name the model ("base", "the base model"); ``tuned``: a checkpoint; ``remembered``: how many
    of the rows it has trained on.
    """

    name: str
    words: str
    train: Singles
    held: Singles
    tokens: TokenGrades | None = None
    tuned: bool = False
    remembered: int = 0


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
    """The rubric's areas that rows tell, how many rows fail each, and how well heads name them, out of fold.

    ``f1`` and ``f1_all`` (naming all) are None where too few rows tell areas for heads; ``gives_grade``: the areas' sum
    gives the grade.
    """

    failed: dict[str, int]
    f1: float | None = None
    f1_all: float | None = None
    gives_grade: bool = False


class Report(Struct, frozen=True):
    """Everything that is told of the race; sets, disputes and areas are those of the head on the base model."""

    rows: int
    holdout_rows: int
    ungraded: tuple[int, int]
    race: Race
    sets: SetFigures
    disputed: tuple[DisputedRow, ...]
    areas: AreaFigures | None
    # what each head claims of itself against the hold-out, by the way's name
    claims: dict[str, str] = field(default_factory=dict)
    # how far people agree, where rows have several grades: the ceiling of every way
    raters: RaterAgreement | None = None


def contest_rows(data: StepData, settings: Settings) -> ContestRows:
    """Return the rows that take part; raises ``DataProblem`` where there is nothing to fit or to compare on."""
    scale = Scale.of(settings.grading)
    train, held = graded_rows(data.examples, scale), graded_rows(data.holdout.examples, scale)
    base = str(data.batches[0].batch.path)
    cure = "Give the rows grades; opeddev-tui check shows which are read."
    if not train.examples:
        raise DataProblem("no training row has a grade, so there is nothing to race for.", where=base, cure=cure)
    if reason := cannot_fit(train.labels):
        raise DataProblem(reason, where=base, cure="Add graded rows of different grades.")
    if not held.examples:
        raise DataProblem("no row of the hold-out has a grade.", where=str(data.holdout.batch.path), cure=cure)
    ungraded = (len(data.examples) - len(train.examples), len(data.holdout.examples) - len(held.examples))
    return ContestRows(train, held, scale, areas_of_rows(train, scale, settings.grading), ungraded)


def hold_race(rows: ContestRows, entrants: Sequence[Entrant]) -> Report:
    """Return the race of the cheap ways and of ``entrants``, the base model first; ``DataProblem`` for too few rows."""
    reference = Reference(rows.held.labels.grades, rows.scale.size, rows.held.labels.groups)
    fitted = [_fit(rows, entrant) for entrant in entrants]
    tokens = [_token_way(entrant) for entrant in entrants]
    ways = [*cheap_ways(rows), *(way for way in tokens if way is not None), *(head.way for head in fitted)]
    base = fitted[0]
    race = run_race(ways, reference)
    best = next((way for way in ways if way.name == race.chosen), base.way)
    right = base.reading.sets[np.arange(len(rows.held.examples)), reference.grades]
    return Report(
        len(rows.train.examples),
        len(rows.held.examples),
        rows.ungraded,
        race,
        SetFigures(
            base.heads.head.coverage,
            intervals.share(right, groups=reference.groups),
            float(base.reading.sets.sum(1).mean()),
        ),
        _disputed(rows, base.heads),
        _area_figures(rows.areas, base.heads),
        {head.way.name: _claim(head, entrant, reference) for head, entrant in zip(fitted, entrants, strict=True)},
        rater_agreement(rows.train.examples, rows.held.examples, rows.scale, (best.words, best.predictions.grades)),
    )


def cheap_ways(rows: ContestRows) -> list[Way]:
    """Return the ways that need no language model."""
    train, held, scale = rows.train, rows.held, rows.scale
    count = len(held.examples)
    began = time.perf_counter()
    read = rivals.n_grams(train.texts, train.labels, scale, held.texts, held.kinds)
    seconds = time.perf_counter() - began
    commonest = rivals.commonest(train.labels.grades, scale, count)
    return [
        Way("commonest", "the commonest grade", commonest, 0.0, cheap=True),
        Way("middle", "the middle grade", rivals.middle(scale, count), 0.0, cheap=True),
        Way("n-grams", "the n-gram grader", Predictions.of(read.grades), seconds, cheap=True),
    ]


class _Fitted(Struct, frozen=True):
    way: Way
    heads: step_head.StepHead
    reading: step_head.Reading


def _fit(rows: ContestRows, entrant: Entrant) -> _Fitted:
    began = time.perf_counter()
    heads = step_head.fit_step(entrant.train, rows.train, rows.scale, rows.areas)
    reading = step_head.read(heads, entrant.held, rows.held.kinds, rows.held.prompts)
    seconds = time.perf_counter() - began
    predictions = Predictions.of(reading.grades)
    way = Way(
        f"{entrant.name} head", f"the head on {entrant.words}", predictions, seconds, mode="head", tuned=entrant.tuned
    )
    return _Fitted(way, heads, reading)


def _token_way(entrant: Entrant) -> Way | None:
    found = entrant.tokens
    if found is None:
        return None
    words = f"the grade tokens of {entrant.words}"
    name = f"{entrant.name} tokens"
    return Way(name, words, Predictions.of(found.grades), found.seconds, mode="tokens", tuned=entrant.tuned)


def _claim(fitted: _Fitted, entrant: Entrant, reference: Reference) -> str:
    on_holdout = figures(fitted.way.predictions, reference)
    return check_claim(fitted.heads.measured, on_holdout, remembered=entrant.remembered > 0).words


def _disputed(rows: ContestRows, heads: step_head.StepHead) -> tuple[DisputedRow, ...]:
    labels, examples = rows.scale.labels, rows.train.examples
    settled = [at for at, example in enumerate(examples) if example.settled]
    ranked = disputes(heads.out_of_fold, rows.train.labels.grades, settled)
    # a row whose grade is the one that would be given is not disputed, however unsure the head is
    differing = [item for item in ranked if item.given != item.proposed][:MOST_DISPUTED]
    return tuple(
        DisputedRow(
            examples[item.row].id,
            examples[item.row].where,
            labels[item.given],
            labels[item.proposed],
            item.surprise,
        )
        for item in differing
    )


def _area_figures(areas: Areas, heads: step_head.StepHead) -> AreaFigures | None:
    if not areas.names:
        return None
    failed = Counter[str]()
    for column, name in enumerate(areas.names):
        failed[name] = int((np.nan_to_num(areas.failed[:, column]) >= 0.5).sum())
    if heads.criteria is None:
        return AreaFigures(dict(failed))
    return AreaFigures(dict(failed), heads.criteria.f1, heads.criteria.f1_all, heads.from_sum)
