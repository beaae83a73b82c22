"""The label doctor: which training rows' grades the head disputes, and what correcting grades has changed.

Takes rows and features; reads no model. A row that a person has graded again, or confirmed, is settled.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from opeddev_tui.config.settings import Grading
from opeddev_tui.data.batches import HOLDOUT
from opeddev_tui.data.corrected_rows import SetRow
from opeddev_tui.data.rows import Example
from opeddev_tui.errors import DataProblem
from opeddev_tui.grading import intervals, step_head
from opeddev_tui.grading.disputes import disputes
from opeddev_tui.grading.graded_rows import areas_of_rows, graded_rows
from opeddev_tui.grading.head import cannot_fit
from opeddev_tui.grading.intervals import Estimate
from opeddev_tui.grading.ordinal import Grades
from opeddev_tui.grading.scale import Scale
from opeddev_tui.grading.scores import Predictions, Reference, paired_difference
from opeddev_tui.runs import manifest
from opeddev_tui.runs.history import list_runs
from opeddev_tui.workspace.paths import Workspace

Singles = NDArray[np.float32]


class Disputed(Struct, frozen=True):
    """A training row, the grade it has and the one the head would give (as written), and −log p of the one it has."""

    row: SetRow
    given: str
    graded: str
    surprise: float


class Compared(Struct, frozen=True):
    """Kappa of the head fitted without and with the corrections, both against the same grades of ``rows`` rows."""

    rows: int
    without: Estimate
    corrected: Estimate
    difference: Estimate | None


class Effect(Struct, frozen=True):
    """Kappa with and without the corrections, and how many training and hold-out rows they correct.

    ``out_of_fold`` and ``holdout`` are against the corrected grades; ``as_written`` against the hold-out's grades as in
    the person's file, None where none of them is corrected.
    """

    corrected_rows: int
    corrected_holdout: int
    out_of_fold: Compared
    holdout: Compared
    as_written: Compared | None


def graded_training_rows(rows: Sequence[SetRow]) -> list[SetRow]:
    """Return the graded training rows, the only ones that are ranked; raises ``DataProblem`` if there are none."""
    graded = [row for row in rows if row.set != HOLDOUT and row.own.grade is not None]
    if not graded:
        raise DataProblem("no training row has a grade.", cure="Give the rows grades; see opeddev-tui check.")
    return graded


def rank(rows: Sequence[SetRow], features: Singles, grading: Grading, moves: Singles | None = None) -> list[Disputed]:
    """Return the disputed of ``rows`` with ``features`` [n, d], most disputed first, without settled ones.

    ``moves`` [m, d] hold the head steady (``FeatureReader.moves``), as in the race. Raises ``DataProblem`` where no
    head can be fitted.
    """
    scale = Scale.of(grading)
    heads = _fitted([row.example for row in rows], features, scale, grading, moves)
    settled = [at for at, row in enumerate(rows) if row.correction is not None]
    grades = scale.positions([row.example.grade for row in rows if row.example.grade is not None])
    return [
        Disputed(rows[item.row], scale.labels[item.given], scale.labels[item.proposed], item.surprise)
        for item in disputes(heads.out_of_fold, grades, settled)
        # a row whose grade is the one that would be given is not disputed, however unsure the head is
        if item.given != item.proposed
    ]


def effect(
    train: Sequence[SetRow],
    features: Singles,
    held: Sequence[SetRow],
    held_features: Singles,
    grading: Grading,
    moves: Singles | None = None,
) -> Effect:
    """Return what the corrections change; features [n, d] and [m, d] of graded rows. Raises ``DataProblem``.

    ``moves`` as in ``rank``: they depend on the rows' texts, which no correction changes.
    """
    scale = Scale.of(grading)
    if not held:
        raise DataProblem("no row of the hold-out has a grade.", cure="Give the hold-out's rows grades.")
    fitted = [
        _fitted([row.own if own else row.example for row in train], features, scale, grading, moves)
        for own in (True, False)
    ]
    held_rows = graded_rows([row.own for row in held], scale)
    read = [step_head.read(heads, held_features, held_rows.kinds, held_rows.prompts).grades for heads in fitted]
    changed = sum(row.is_corrected for row in held)
    return Effect(
        sum(row.is_corrected for row in train),
        changed,
        _compared(fitted[0].out_of_fold, fitted[1].out_of_fold, _reference(train, scale)),
        _compared(read[0], read[1], _reference(held, scale)),
        _compared(read[0], read[1], _reference(held, scale, own=True)) if changed else None,
    )


def _fitted(
    examples: Sequence[Example], features: Singles, scale: Scale, grading: Grading, moves: Singles | None
) -> step_head.StepHead:
    rows = graded_rows(examples, scale)
    if reason := cannot_fit(rows.labels):
        raise DataProblem(reason, cure="Add graded rows of different grades.")
    return step_head.fit_step(features, rows, scale, areas_of_rows(rows, scale, grading), differences=moves)


def _reference(rows: Sequence[SetRow], scale: Scale, *, own: bool = False) -> Reference:
    graded = graded_rows([row.own if own else row.example for row in rows], scale)
    return Reference(graded.labels.grades, scale.size, graded.labels.groups)


def _compared(before: Grades, after: Grades, reference: Reference) -> Compared:
    one, two = (
        intervals.kappa_estimate(item.median.astype(float), reference.grades.astype(float), groups=reference.groups)
        for item in (before, after)
    )
    difference = paired_difference(Predictions.of(after), Predictions.of(before), reference)
    return Compared(len(reference.grades), one, two, difference)


def cannot_resume(workspace: Workspace, row: SetRow) -> str:
    """Return the sentence that an unfinished run began with another grade of ``row``; empty where none did."""
    newest = next(reversed(list_runs(workspace)), None)
    if newest is None or newest.state.status == "finished":
        return ""
    before = manifest.read(workspace.run_manifest(newest.id))
    if before is None or row.set not in {item.name for item in (*before.data.batches, before.data.holdout) if item}:
        return ""
    return (
        f"The unfinished run {newest.id} began with other grades: it is resumed only with those. Undo this, or train "
        "that step anew (train --new)."
    )
