"""Read, check and describe the batches and the hold-out of a workspace together. Nothing here knows tokens."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from opeddev_tui.config import settings
from opeddev_tui.data import data_warnings, leakage, split_names
from opeddev_tui.data.batch_paths import folder_of_increments, increments
from opeddev_tui.data.batch_paths import resolve as resolve
from opeddev_tui.data.corrected_rows import HOLDOUT as HOLDOUT
from opeddev_tui.data.leakage import Leaks
from opeddev_tui.data.overlay import is_routine, with_corrections
from opeddev_tui.data.row_forms import family
from opeddev_tui.data.rows import Example
from opeddev_tui.data.sealed import load_sealed
from opeddev_tui.data.sets import Batch as Batch
from opeddev_tui.data.sets import Chosen as Chosen
from opeddev_tui.data.sets import LoadedBatch as LoadedBatch
from opeddev_tui.data.sets import find_batches as find_batches
from opeddev_tui.data.sets import find_holdout as find_holdout
from opeddev_tui.data.sets import holdout_as_written, up_to
from opeddev_tui.data.sets import load_batch as load_batch
from opeddev_tui.errors import DataProblem, Problem, Problems
from opeddev_tui.workspace.paths import Workspace


class BatchSummary(Struct, frozen=True):
    """Figures of a batch; ``cumulative`` counts the rows up to and with it, ``grades`` maps grades to rows."""

    name: str
    number: int
    rows: int
    cumulative: int
    grades: dict[int, int]
    characters_longest: int
    fingerprint: str


class DataReport(Struct, frozen=True):
    """All data of a workspace, with all problems; ``test`` is sealed: its rows must not be shown."""

    batches: list[LoadedBatch]
    holdout: LoadedBatch | None
    problems: list[Problem]
    warnings: list[str]
    test: LoadedBatch | None = None
    # those of the warnings that say what was done as it was wished
    routine: list[str] = []


class StepData(Struct, frozen=True):
    """The data that one step trains on and is scored on, without problems."""

    batches: list[LoadedBatch]
    holdout: LoadedBatch
    warnings: list[str]
    # those of the warnings that say what was done as it was wished
    routine: list[str] = []

    @property
    def examples(self) -> list[Example]:
        """All training rows, base first."""
        return [example for batch in self.batches for example in batch.examples]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the batches' fingerprints."""
        return hashlib.sha256("".join(batch.fingerprint for batch in self.batches).encode()).hexdigest()

    def describe(self, workspace: Workspace) -> dict[str, Any]:
        """Return the data part of a manifest (``runs.manifest.DataRecord``)."""
        return {
            "fingerprint": self.fingerprint,
            "batches": [_described(workspace, batch) for batch in self.batches],
            "holdout": _described(workspace, self.holdout),
        }


def _described(workspace: Workspace, batch: LoadedBatch) -> dict[str, Any]:
    return {
        "name": batch.batch.name,
        "path": workspace.relative(batch.batch.path),
        "rows": len(batch.examples),
        "fingerprint": batch.fingerprint,
        "schema": batch.schema,
        "corrections": batch.corrections,
        "corrected": batch.corrected,
        "identity": batch.identity,
    }


# --- reading


def load_holdout(workspace: Path, settings: settings.Settings) -> LoadedBatch:
    """Read the hold-out; raises ``DataProblem`` only if there is none."""
    return with_corrections(workspace, settings, [holdout_as_written(workspace, settings)], None)[0][0]


def check_agreement(batches: Sequence[LoadedBatch]) -> list[DataProblem]:
    """Return a problem for every set whose rows have another form than those of the first, the base set."""
    readable = [loaded for loaded in batches if loaded.schema]
    return [
        DataProblem(
            f"{loaded.batch.name} has {loaded.schema} rows, {readable[0].batch.name} has {readable[0].schema} rows.",
            where=str(loaded.batch.path),
            cure=f"Bring all sets into one form, that of {readable[0].batch.path}.",
        )
        for loaded in readable[1:]
        if family(loaded.schema) != family(readable[0].schema)
    ]


def describe(loaded: LoadedBatch, before: int = 0) -> BatchSummary:
    """Return the figures of a batch; ``before`` counts the rows of the batches before it."""
    sizes = [sum(len(message.content) for message in row.prompt) + len(row.completion) for row in loaded.examples]
    grades = Counter(example.grade for example in loaded.examples if example.grade is not None)
    return BatchSummary(
        name=loaded.batch.name,
        number=loaded.batch.number,
        rows=len(sizes),
        cumulative=before + len(sizes),
        grades=dict(sorted(grades.items())),
        characters_longest=max(sizes, default=0),
        fingerprint=loaded.fingerprint,
    )


def inventory(batches: Sequence[LoadedBatch]) -> list[BatchSummary]:
    """Return the figures of the batches in order, with the rows so far."""
    summaries: list[BatchSummary] = []
    for loaded in batches:
        summaries.append(describe(loaded, summaries[-1].cumulative if summaries else 0))
    return summaries


# --- everything together


def find_leaks(train: Sequence[LoadedBatch], holdout: LoadedBatch, near_duplicate: float) -> Leaks:
    """Compare every training row with the hold-out, and with the training rows before it."""
    return leakage.find((row for loaded in train for row in loaded.examples), holdout.examples, near_duplicate)


def check_data(workspace: Path, settings: settings.Settings, *, fetch: bool = True) -> DataReport:
    """Read all data and return it with all problems; none are raised. ``fetch`` off: nothing is asked of the hub."""
    return _read_all(workspace, settings, None, fetch=fetch)


def load_step(workspace: Path, settings: settings.Settings, step: Chosen) -> StepData:
    """Return the chosen batches and the hold-out; raises ``Problems`` with all that is wrong."""
    report = _read_all(workspace, settings, step)
    if report.problems or report.holdout is None:
        raise Problems(report.problems)
    return StepData(report.batches, report.holdout, report.warnings, report.routine)


def load_rows(workspace: Path, settings: settings.Settings, step: Chosen) -> tuple[list[LoadedBatch], list[str]]:
    """Return the chosen batches with corrections, and what a person should know; raises ``Problems``.

    Neither the hold-out nor the test set is opened.
    """
    report = _read_all(workspace, settings, step, held=False)
    if report.problems:
        raise Problems(report.problems)
    return report.batches, report.warnings


def read_shown(workspace: Path, settings: settings.Settings) -> list[LoadedBatch]:
    """Return all training sets and the hold-out with the grades of their files; raises ``Problems`` if none is."""
    found = _read_sets(workspace, settings, None)
    if not any(loaded.examples for loaded in found.shown):
        raise Problems(found.problems or [problem for loaded in found.shown for problem in loaded.problems])
    return found.shown


class _Found(Struct):
    """What was read so far; ``existing`` names all sets of the workspace, None where they cannot be listed."""

    batches: list[LoadedBatch]
    holdout: LoadedBatch | None
    test: LoadedBatch | None
    existing: list[str] | None
    problems: list[Problem]

    @property
    def shown(self) -> list[LoadedBatch]:
        """The sets whose rows may be shown."""
        return [*self.batches, self.holdout] if self.holdout else self.batches


def _read_all(
    workspace: Path,
    settings: settings.Settings,
    step: Chosen,
    *,
    held: bool = True,
    fetch: bool = True,
) -> DataReport:
    found = _read_sets(workspace, settings, step, held=held, fetch=fetch)
    warnings: list[str] = []
    try:
        every, warnings = with_corrections(workspace, settings, found.shown, found.existing)
        found.batches, found.holdout = every[: len(found.batches)], every[-1] if found.holdout else None
    except Problem as problem:
        found.problems.append(problem)
    batches, holdout, problems, every = found.batches, found.holdout, found.problems, found.shown
    examples = [row for loaded in every for row in loaded.examples]
    problems += [problem for loaded in [*every, *([found.test] if found.test else [])] for problem in loaded.problems]
    problems += check_agreement([*every, *([found.test] if found.test else [])])
    problems += data_warnings.unread_grades(examples, settings.grading)
    # a wrong template is found in every set, but is one problem
    problems = list({str(problem): problem for problem in problems}.values())
    warnings += [note for loaded in every for note in loaded.notes]
    warnings += data_warnings.scale_note(examples, settings.grading)
    if batches:
        warnings += increments(folder_of_increments(workspace, settings.paths))[1]
    warnings += _unused_splits(every)
    for leaks in _leaks(found, settings.data.near_duplicate):
        warnings = [*leaks.near, *leaks.repeated, *leaks.groups, *warnings]
        problems += leaks.exact
    routine = [note for note in warnings if is_routine(note)]
    return DataReport(batches, holdout, problems, warnings, found.test, routine)


def _read_sets(
    workspace: Path, settings: settings.Settings, step: Chosen, *, held: bool = True, fetch: bool = True
) -> _Found:
    found = _Found([], None, None, None, [])
    try:
        batches = find_batches(workspace, settings.paths, fetch=fetch)
        found.existing = [*(batch.set for batch in batches), HOLDOUT]
        found.batches = [load_batch(batch, settings) for batch in up_to(batches, step)]
    except Problem as problem:
        found.problems.append(problem)
    if not held:
        return found
    try:
        found.holdout = holdout_as_written(workspace, settings, fetch=fetch)
    except Problem as problem:
        found.problems.append(problem)
    try:
        found.test = load_sealed(workspace, settings, fetch=fetch)
    except Problem as problem:
        found.problems.append(problem)
    return found


def _leaks(found: _Found, near_duplicate: float) -> list[Leaks]:
    leaks = [] if found.holdout is None else [find_leaks(found.batches, found.holdout, near_duplicate)]
    if found.test is not None:
        train = [row for loaded in found.batches for row in loaded.examples]
        held = found.holdout.examples if found.holdout is not None else []
        leaks.append(leakage.find_sealed(train, held, found.test.examples, near_duplicate))
    return leaks


def _unused_splits(loaded: Sequence[LoadedBatch]) -> list[str]:
    used: dict[Path, list[str]] = {}
    for item in loaded:
        used.setdefault(item.batch.path, []).append(item.batch.split or split_names.TRAIN)
    return [note for path, splits in used.items() for note in data_warnings.not_used(path, splits)]
