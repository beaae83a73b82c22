"""The race on a workspace's own rows: which rows take part, and which ways enter by which models.

Takes rows, features and written texts; knows no model, no disk and no screen. What is told of a race is
``race_report``'s.
"""

import time
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from opeddev_tui.config.settings import Settings
from opeddev_tui.data.batches import StepData
from opeddev_tui.errors import DataProblem
from opeddev_tui.grading import rivals, step_head
from opeddev_tui.grading.graded_rows import areas_of_rows, graded_rows
from opeddev_tui.grading.growth import GradeForecast, grade_forecast
from opeddev_tui.grading.head import cannot_fit
from opeddev_tui.grading.honesty import check_claim
from opeddev_tui.grading.race import AUTO, Way
from opeddev_tui.grading.race_report import HeadEntry, RaceRows, Report, report_of
from opeddev_tui.grading.reader import TokenGrades, WrittenGrades
from opeddev_tui.grading.scale import Scale
from opeddev_tui.grading.scores import Predictions, Reference, figures
from opeddev_tui.runs.grade_records import N_GRAMS, WORDS
from opeddev_tui.runs.grade_words import too_few

Singles = NDArray[np.float32]
# a forecast fits heads on parts of the rows; with more than these it takes minutes
MOST_FORECAST = 3000
# rows of the next batch, as far as a forecast goes
NEXT_ROWS = 100


class Entrant(Struct, frozen=True):
    """A model that enters: features [n, d] of ``train`` and ``held``; ``tokens`` and ``written`` are of ``held``.

    ``name`` and ``words`` name the model ("base", "the base model"); ``tuned``: a checkpoint; ``remembered``: how many
    of the rows it has trained on. ``written`` are grades that it writes, None where no texts were generated. ``moves``
    [m, d]: how features of training rows move when a comment is added, to hold its head steady; none for a plain head.
    """

    name: str
    words: str
    train: Singles
    held: Singles
    tokens: TokenGrades | None = None
    written: WrittenGrades | None = None
    tuned: bool = False
    remembered: int = 0
    moves: Singles | None = None

    def heads(self, rows: RaceRows) -> step_head.StepHead:
        """Return the heads fitted on this model's features of the training ``rows``."""
        return step_head.fit_step(self.train, rows.train, rows.scale, rows.areas, differences=self.moves)


def contest_rows(data: StepData, settings: Settings) -> RaceRows:
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
    return RaceRows(train, held, scale, areas_of_rows(train, scale, settings.grading), ungraded)


def hold_race(rows: RaceRows, entrants: Sequence[Entrant], *, mode: str = AUTO, ahead: bool = False) -> Report:
    """Return the race of the cheap ways and of ``entrants``, the base model first; ``DataProblem`` for too few rows.

    ``mode`` is ``grading.mode``. With ``ahead``, kappa is forecast for more rows.
    """
    reference = rows.reference
    fitted = [_fit(rows, entrant, reference) for entrant in entrants]
    written = [way for entrant in entrants for way in (_text_way(entrant, rows.scale), _token_way(entrant)) if way]
    base = entrants[0]
    forecast = forecast_of(rows, base.train, base.held, base.moves) if ahead else None
    return report_of(rows, [*cheap_ways(rows), *written], fitted, mode=mode, forecast=forecast)


def cheap_ways(rows: RaceRows) -> list[Way]:
    """Return the ways that need no language model: those that the training rows allow."""
    train, held, scale = rows.train, rows.held, rows.scale
    count = len(held.examples)
    ways = [Way("middle", "the middle grade", rivals.middle(scale, count), 0.0, cheap=True)]
    if train.examples:
        commonest = rivals.commonest(train.labels.grades, scale, count)
        ways.insert(0, Way("commonest", "the commonest grade", commonest, 0.0, cheap=True))
    began = time.perf_counter()
    try:
        read = rivals.n_grams(train.texts, train.labels, scale, held.texts, held.kinds)
    except DataProblem:
        # too few rows, one grade, no text: a head says so of the same rows, or every row shows it
        return ways
    seconds = time.perf_counter() - began
    return [*ways, Way(N_GRAMS, WORDS[N_GRAMS], Predictions.of(read.grades), seconds, mode=N_GRAMS, cheap=True)]


def forecast_of(rows: RaceRows, train: Singles, held: Singles, moves: Singles | None) -> GradeForecast | None:
    """Forecast the gain of ``NEXT_ROWS`` rows for the head on these features; None where there are too few rows.

    ``moves`` as in ``Entrant``.
    """
    used = np.flatnonzero(rows.train.labels.used)
    if len(used) > MOST_FORECAST or too_few(len(rows.held.examples)):
        return None
    labels = rows.train.labels.chosen(rows.train.labels.used)
    holdout = (held, rows.held.kinds, rows.held.labels.grades)
    return grade_forecast(train[used], labels, rows.scale, holdout, NEXT_ROWS, differences=moves)


def _fit(rows: RaceRows, entrant: Entrant, reference: Reference) -> HeadEntry:
    began = time.perf_counter()
    heads = entrant.heads(rows)
    reading = step_head.read(heads, entrant.held, rows.held.kinds, rows.held.prompts)
    seconds = time.perf_counter() - began
    name, words = f"{entrant.name} head", f"the head on {entrant.words}"
    way = Way(name, words, Predictions.of(reading.grades), seconds, mode="head", tuned=entrant.tuned)
    seen, remembered = figures(way.predictions, reference), entrant.remembered > 0
    claim = check_claim(heads.measured, seen, len(reference.grades), remembered=remembered).words
    return HeadEntry(way, reading.sets, heads.head.coverage, claim, heads.out_of_fold, heads.criteria, heads.from_sum)


def _token_way(entrant: Entrant) -> Way | None:
    found = entrant.tokens
    if found is None:
        return None
    words = f"the grade tokens of {entrant.words}"
    name = f"{entrant.name} tokens"
    return Way(name, words, Predictions.of(found.grades), found.seconds, mode="tokens", tuned=entrant.tuned)


def _text_way(entrant: Entrant, scale: Scale) -> Way | None:
    found = entrant.written
    if found is None:
        return None
    name, words = f"{entrant.name} text", f"the texts that {entrant.words} writes"
    predictions = Predictions.written(found.grades, scale)
    return Way(name, words, predictions, found.seconds, mode="text", tuned=entrant.tuned)
