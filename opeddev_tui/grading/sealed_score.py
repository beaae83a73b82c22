"""Score the sealed test set: the loss of each model, and every way to a grade, as aggregates only.

No row of the test set leaves this module by name, place or text.
"""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from opeddev_tui.config.settings import Settings
from opeddev_tui.data.batches import LoadedBatch, StepData
from opeddev_tui.data.sealed import sealed_problems
from opeddev_tui.errors import DataProblem, Problem, Problems, SettingsProblem
from opeddev_tui.grading.contest import Entrant, contest_rows, hold_race
from opeddev_tui.grading.intervals import Estimate
from opeddev_tui.grading.race import Race
from opeddev_tui.grading.race_report import RaceRows
from opeddev_tui.grading.reader import FeatureReader
from opeddev_tui.intervals import percentile_interval, resampled_sums
from opeddev_tui.models.reading_batches import OnBatch
from opeddev_tui.runs.looks import Look

_SAMPLES = 2000


class Scored(Struct, frozen=True):
    """The score of the test set: its ``rows``, the loss in nats per token by model, and the race of the graded rows.

    ``race`` is None where training rows or test rows have too few grades.
    """

    rows: int
    graded: int
    losses: dict[str, Estimate]
    race: Race | None


class ModelOnTest(Struct, frozen=True):
    """What one model gave: its loss on the test rows, and what enters the race (None where there is none)."""

    name: str
    loss: Estimate
    entrant: Entrant | None


def with_test_rows(data: StepData, test: LoadedBatch | None) -> StepData:
    """Return the step's training rows with the test set in the hold-out's place.

    Raises ``SettingsProblem`` without a test set, ``DataProblem`` or ``Problems`` for one that cannot be used.
    """
    if test is None:
        raise SettingsProblem(
            "there is no test set.", where="paths.test", cure="Name a file or folder of rows that nothing else uses."
        )
    if test.problems:
        raise Problems(test.problems)
    if not test.examples:
        raise DataProblem("the test set has no rows.", where=str(test.batch.path), cure="Put the test rows there.")
    return replace(data, holdout=test)


def rows_to_grade(data: StepData, settings: Settings) -> RaceRows | None:
    """Return the graded rows, None where there are too few on one of the two sides."""
    if not any(example.grade is not None for example in data.holdout.examples):
        return None
    try:
        return contest_rows(data, settings)
    except DataProblem:
        return None


def read_model(
    reader: FeatureReader,
    name: str,
    words: tuple[str, str],
    data: StepData,
    rows: RaceRows | None,
    on_batch: OnBatch | None = None,
) -> ModelOnTest:
    """Read the test rows, and the training rows that the head is fitted on, with the model in ``reader``.

    ``words`` are the model's short name and its name in a sentence. Raises ``Problem`` without a word of a test row.
    """
    test = data.holdout.examples
    try:
        reader.check(data.examples, test)
    except Problem as problem:
        listed = list(problem.problems) if isinstance(problem, Problems) else [problem]
        raise Problems(sealed_problems(listed, data.holdout.batch.path)) from problem
    loss = _loss(*reader.losses(test, on_batch))
    if rows is None:
        return ModelOnTest(name, loss, None)
    train, held = rows.train.examples, rows.held.examples
    found = reader.features([*train, *held], on_batch).features
    moves = reader.moves(rows.train, rows.scale, found[: len(train)], on_batch)
    tokens = reader.token_grades(held, [example.completion for example in train], rows.scale, on_batch)
    short, told = words
    entrant = Entrant(
        *(short, told, found[: len(train)], found[len(train) :], tokens),
        tuned=short != "base",
        moves=moves.features,
    )
    return ModelOnTest(name, loss, entrant)


def score(data: StepData, rows: RaceRows | None, models: Sequence[ModelOnTest]) -> Scored:
    """Return the losses and the race of ``models``, the base model first."""
    entrants = [model.entrant for model in models if model.entrant is not None]
    report = hold_race(rows, entrants) if rows is not None and entrants else None
    return Scored(
        len(data.holdout.examples),
        len(rows.held.examples) if rows is not None else 0,
        {model.name: model.loss for model in models},
        report.race if report is not None else None,
    )


def as_look(scored: Scored, checkpoint: str, fingerprint: str) -> Look:
    """Return what is recorded of this look."""
    return Look(
        checkpoint=checkpoint,
        fingerprint=fingerprint,
        rows=scored.rows,
        losses={name: loss.value for name, loss in scored.losses.items()},
        figures={
            row.name: {name: [item.value, item.low, item.high] for name, item in row.figures.items()}
            for row in (scored.race.rows if scored.race is not None else ())
        },
    )


def _loss(sums: Sequence[float], tokens: Sequence[int]) -> Estimate:
    """Return the loss per token with its bootstrap interval over rows."""
    value = sum(sums) / max(1, sum(tokens))
    if len(sums) < 2:
        return Estimate(value, float("nan"), float("nan"))
    drawn, counts = resampled_sums([list(sums), [float(count) for count in tokens]], _SAMPLES)
    return Estimate(value, *percentile_interval(drawn / counts))
