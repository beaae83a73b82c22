"""Find, read, check and describe the batches and the hold-out of a workspace. Nothing here knows tokens."""

import hashlib
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from opeddev_tui.config import settings
from opeddev_tui.data import data_warnings, folder_files, formats, leakage, raw_rows, rows, split_names
from opeddev_tui.data.batch_paths import batch_name, folder_of_increments, increments, natural, source_of
from opeddev_tui.data.batch_paths import resolve as resolve
from opeddev_tui.data.leakage import Leaks
from opeddev_tui.data.row_forms import family
from opeddev_tui.data.row_schemas import read_examples
from opeddev_tui.data.rows import Example
from opeddev_tui.errors import DataProblem, Problem, Problems
from opeddev_tui.text import clean_line, is_text
from opeddev_tui.workspace.paths import Workspace

HOLDOUT = "hold-out"


class Batch(Struct, frozen=True):
    """One set of rows: 0 is the base set, 1 and up the increments in natural order, -1 the hold-out.

    ``split`` is set if a source names one (hub:owner/name:train).
    """

    name: str
    number: int
    path: Path
    split: str | None = None


# base + batches 1 to a number, these batches in this order, or (None) all
Chosen = int | Sequence[Batch] | None


class LoadedBatch(Struct, frozen=True):
    """A batch that was read: the examples of its good rows, the problems of the others, and its form (``schema``).

    ``notes`` say what was not read, or not as it is written.
    """

    batch: Batch
    schema: str
    examples: list[Example]
    fingerprint: str
    problems: list[Problem]
    notes: tuple[str, ...] = ()
    # SHA-256 of the rows as a person wrote them: it stays where settings change what is trained
    identity: str = ""


class BatchSummary(Struct, frozen=True):
    """Figures of a batch; ``cumulative`` counts the rows up to and with it, ``grades`` maps grades to rows."""

    name: str
    number: int
    rows: int
    cumulative: int
    grades: dict[int, int]
    characters_median: int
    characters_longest: int
    fingerprint: str


class DataReport(Struct, frozen=True):
    """All data of a workspace, with all problems."""

    batches: list[LoadedBatch]
    holdout: LoadedBatch | None
    problems: list[Problem]
    warnings: list[str]


class StepData(Struct, frozen=True):
    """The data that one step trains on and is scored on, without problems."""

    batches: list[LoadedBatch]
    holdout: LoadedBatch
    warnings: list[str]

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

    def train_texts(self) -> tuple[list[str], list[int]]:
        """Return (submissions, grades) of the graded training rows."""
        graded = [(item.submission, item.grade) for item in self.examples if item.grade is not None]
        return [text for text, _ in graded], [grade for _, grade in graded]


def _described(workspace: Workspace, batch: LoadedBatch) -> dict[str, Any]:
    return {
        "name": batch.batch.name,
        "path": workspace.relative(batch.batch.path),
        "rows": len(batch.examples),
        "fingerprint": batch.fingerprint,
        "schema": batch.schema,
        "identity": batch.identity,
    }


# --- finding


def find_batches(workspace: Path, paths: settings.Paths, *, fetch: bool = True) -> list[Batch]:
    """Return the base set and the increments in natural order (batch_100_2 before batch_100_10).

    A base set on the hub is fetched if it is not in the cache, unless ``fetch`` is off. Raises ``DataProblem``.
    """
    base, split = source_of(workspace, paths.base, fetch=fetch)
    if not base.exists():
        cure = f"Put the first training set at {base}, or run opeddev-tui demo."
        raise DataProblem("the base set does not exist.", where=str(base), cure=cure)
    folder = folder_of_increments(workspace, paths)
    by_name: dict[str, Path] = {}
    for path in sorted(increments(folder)[0], key=lambda path: (natural(path.name), path.name)):
        name = batch_name(path)
        if not is_text(name):
            raise DataProblem("the batch's name is not UTF-8 text.", where=str(path), cure="Rename it.")
        if (other := by_name.setdefault(name, path)) != path:
            message = f"{other.name} and {path.name} are both the batch {clean_line(name)}."
            raise DataProblem(message, where=str(folder), cure="Rename or remove one of the two.")
    numbered = enumerate(by_name.items(), 1)
    return [Batch("base", 0, base, split), *(Batch(name, number, path) for number, (name, path) in numbered)]


def find_holdout(workspace: Path, paths: settings.Paths) -> tuple[Path, str | None]:
    """Return place and split of the hold-out: its own place, else a split of the base set; raises ``DataProblem``."""
    holdout, split = source_of(workspace, paths.holdout, fetch=True)
    if split is not None:
        return holdout, split
    base, _ = source_of(workspace, paths.base, fetch=True)
    names: list[str] = []
    for place in [base] if folder_files.is_empty(holdout) else [holdout, base]:
        # a link to nowhere is reported, not passed over in silence
        names = formats.splits(place) if place.exists() or place.is_symlink() else []
        held_out = next((name for name in split_names.HELD_OUT if name in names), None)
        if held_out or (place == holdout and holdout.exists()):
            return place, held_out
    has = f" (it has: {clean_line(', '.join(names))})" if names else ""
    cure = f"Put rows that are never trained on at {holdout}, or give the base set a validation split{has}."
    raise DataProblem("there is no hold-out.", where=str(holdout), cure=cure)


# --- reading


def load_batch(batch: Batch, settings: settings.Settings) -> LoadedBatch:
    """Read a batch; its problems are returned, never raised."""
    schema, examples, problems, notes, identity = "", list[Example](), list[Problem](), list[str](), ""
    try:
        files = formats.read_split(batch.path, settings.data, split=batch.split)
        problems += files.problems
        notes += files.notes
        identity = raw_rows.identity(files.rows)
        if files.rows:
            read = read_examples(files.rows, settings)
            schema, examples = read.schema, read.examples
            problems += read.problems
            notes += read.notes
    except Problem as problem:
        problems.append(problem)
    notes += data_warnings.notes_of(batch.name, examples, settings.grading)
    return LoadedBatch(batch, schema, examples, rows.fingerprint(examples), problems, tuple(notes), identity)


def load_holdout(workspace: Path, settings: settings.Settings) -> LoadedBatch:
    """Read the hold-out; raises ``DataProblem`` only if there is none."""
    path, split = find_holdout(workspace, settings.paths)
    return load_batch(Batch(HOLDOUT, -1, path, split), settings)


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
        characters_median=int(statistics.median(sizes)) if sizes else 0,
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


def check_data(workspace: Path, settings: settings.Settings) -> DataReport:
    """Read all data and return it with all problems; none are raised."""
    return _read_all(workspace, settings, None)


def load_step(workspace: Path, settings: settings.Settings, step: Chosen) -> StepData:
    """Return the chosen batches and the hold-out; raises ``Problems`` with all that is wrong."""
    report = _read_all(workspace, settings, step)
    if report.problems or report.holdout is None:
        raise Problems(report.problems)
    return StepData(report.batches, report.holdout, report.warnings)


def _read_all(workspace: Path, settings: settings.Settings, step: Chosen) -> DataReport:
    problems: list[Problem] = []
    batches: list[LoadedBatch] = []
    holdout: LoadedBatch | None = None
    try:
        chosen = _up_to(find_batches(workspace, settings.paths), step)
        batches = [load_batch(batch, settings) for batch in chosen]
    except Problem as problem:
        problems.append(problem)
    try:
        holdout = load_holdout(workspace, settings)
    except Problem as problem:
        problems.append(problem)
    every = [*batches, holdout] if holdout else batches
    examples = [row for loaded in every for row in loaded.examples]
    problems += [problem for loaded in every for problem in loaded.problems]
    problems += check_agreement(every)
    problems += data_warnings.unread_grades(examples, settings.grading)
    # a wrong template is found in every set, but is one problem
    problems = list({str(problem): problem for problem in problems}.values())
    warnings = [note for loaded in every for note in loaded.notes]
    warnings += data_warnings.scale_note(examples, settings.grading)
    if batches:
        warnings += increments(folder_of_increments(workspace, settings.paths))[1]
    warnings += _unused_splits(every)
    if holdout is not None:
        leaks = find_leaks(batches, holdout, settings.data.near_duplicate)
        warnings = [*leaks.near, *leaks.repeated, *leaks.groups, *warnings]
        problems += leaks.exact
    return DataReport(batches, holdout, problems, warnings)


def _unused_splits(loaded: Sequence[LoadedBatch]) -> list[str]:
    used: dict[Path, list[str]] = {}
    for item in loaded:
        used.setdefault(item.batch.path, []).append(item.batch.split or split_names.TRAIN)
    return [note for path, splits in used.items() for note in data_warnings.not_used(path, splits)]


def _up_to(batches: list[Batch], step: Chosen) -> list[Batch]:
    if step is not None and not isinstance(step, int):
        return list(step)
    if step is not None and not 0 <= step < len(batches):
        cure = "Add batches to the folder of increments, or choose a smaller step."
        message = f"step {step} does not exist: there are steps 0 to {len(batches) - 1}."
        raise DataProblem(message, where=str(batches[-1].path), cure=cure)
    return batches if step is None else batches[: step + 1]
