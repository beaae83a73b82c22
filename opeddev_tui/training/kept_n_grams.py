"""Keep the n-gram grader with a checkpoint, and record what it gives the hold-out: then a person can have it grade.

It is kept where it is surely better than the way that grades, and where ``grading.mode`` asks for it. Else no piece of
the rows' text leaves with a checkpoint.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from opeddev_tui.checkpoints import folders
from opeddev_tui.grading import store
from opeddev_tui.grading.intervals import Estimate
from opeddev_tui.grading.n_grams import FittedNGrams, fit_n_grams
from opeddev_tui.grading.race import Race, Way, best_cheap
from opeddev_tui.grading.race_report import RaceRows
from opeddev_tui.grading.records import way_grades
from opeddev_tui.grading.scores import Predictions, Reference, figures
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.bus import Bus
from opeddev_tui.runs.grade_records import N_GRAMS, WORDS
from opeddev_tui.runs.grade_words import too_few


def wanted(race: Race, ways: Sequence[Way], mode: str, rows: int) -> bool:
    """Return whether the n-gram grader of a ``race`` of ``ways`` on ``rows`` hold-out rows is kept."""
    if N_GRAMS not in {way.name for way in ways}:
        return False
    name, better = best_cheap(race, ways)
    return mode == N_GRAMS or (name == N_GRAMS and better and not too_few(rows))


def keep(checkpoint: Path, rows: RaceRows, bus: Bus, epoch: int, ids: tuple[str, ...]) -> None:
    """Fit the grader on the training ``rows``, add it to the ``checkpoint`` of ``epoch`` and record its reading.

    ``ids`` name the graded hold-out rows. Raises ``StorageProblem``.
    """
    began = time.perf_counter()
    fitted = fit_n_grams(rows.train.texts, rows.train.labels, rows.scale)
    grader = fitted.grader
    grades = grader.grades(rows.held.texts, rows.held.kinds)
    stored = store.StoredHead(
        store.Origin(base="", prompt="", layers=(), model=store.N_GRAMS),
        *(grader.head, None, _out_of_fold(fitted, rows), grader.pieces),
    )
    folders.add(checkpoint, lambda _digest: store.save_head(checkpoint, stored))
    reference, labels = rows.reference, rows.scale.labels
    seconds = time.perf_counter() - began
    way = way_grades(
        N_GRAMS, WORDS[N_GRAMS], grades, rows.scale, reference, sets=grader.head.sets(grades), seconds=seconds
    )
    earlier = bus.state.readings.get(epoch)
    if earlier is None:
        right = tuple(labels[place] for place in reference.grades.tolist())
        earlier = ev.GradesRead(
            epoch=epoch, labels=labels, ids=ids, reference=right, ways=(), groups=tuple(reference.groups)
        )
    ways = (*(item for item in earlier.ways if item.way != N_GRAMS), way)
    bus.emit(replace(earlier, ways=ways, seconds=earlier.seconds + seconds, at=time.time()))


def _out_of_fold(fitted: FittedNGrams, rows: RaceRows) -> dict[str, Estimate]:
    labels = rows.train.labels
    used = np.flatnonzero(labels.used)
    reference = Reference(labels.grades, rows.scale.size, labels.groups).rows(used)
    return figures(Predictions.of(fitted.out_of_fold).rows(used), reference)
