"""Owns the data of a workspace: finding, reading and describing batches and the hold-out."""

import hashlib
import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from opeddev_tui import firewall, formats, rows, settings
from opeddev_tui.errors import DataProblem, Problem, Problems, SettingsProblem
from opeddev_tui.firewall import Leaks
from opeddev_tui.rows import Example
from opeddev_tui.text import clean_line
from opeddev_tui.workspace import Workspace, expand

HOLDOUT = "hold-out"
_HELD_OUT_SPLITS = ("validation", "test", "holdout")


class Batch(Struct, frozen=True):
    """One set of rows: 0 is the base set, 1 and up the increments in natural order, -1 the hold-out."""

    name: str
    number: int
    path: Path


class LoadedBatch(Struct, frozen=True):
    """A batch that was read; ``examples`` are its good rows, ``problems`` what is wrong with the others."""

    batch: Batch
    schema: str
    examples: list[Example]
    fingerprint: str
    problems: list[Problem]


class BatchSummary(Struct, frozen=True):
    """What a person wants to know of a batch; ``cumulative`` counts the rows up to and with it."""

    name: str
    number: int
    rows: int
    cumulative: int
    grades: dict[int, int]
    characters_median: int
    characters_longest: int
    fingerprint: str


class DataReport(Struct, frozen=True):
    """All data of a workspace, with everything that is wrong with it."""

    batches: list[LoadedBatch]
    holdout: LoadedBatch | None
    problems: list[Problem]
    warnings: list[str]


class StepData(Struct, frozen=True):
    """What one step trains on and is scored on; nothing in it is wrong."""

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
        """Return the data part of a manifest."""
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
    }


# --- finding


def resolve(workspace: Path, text_path: str) -> Path:
    """Return the place a setting names: relative to the workspace, absolute, or from the home folder."""
    try:
        return expand(workspace, text_path)
    except RuntimeError:
        cure = "Write the path without ~."
        raise SettingsProblem(f"{text_path}: there is no such home folder.", cure=cure) from None


def find_batches(workspace: Path, paths: settings.Paths) -> list[Batch]:
    """Return the base set and the increments in natural order (batch_100_2 before batch_100_10)."""
    base, increments = resolve(workspace, paths.base), resolve(workspace, paths.increments)
    if not base.exists():
        cure = f"Put the first training set at {base}, or run opeddev-tui demo."
        raise DataProblem("the base set does not exist.", where=str(base), cure=cure)
    found = sorted(_increments(increments), key=lambda path: (_natural(path.name), path.name))
    seen: dict[str, Path] = {}
    for path in found:
        name = _batch_name(path)
        if name in seen:
            message = f"{seen[name].name} and {path.name} are both the batch {clean_line(name)}."
            raise DataProblem(message, where=str(increments), cure="Rename or remove one of the two.")
        seen[name] = path
    numbered = enumerate(seen.items(), 1)
    return [Batch("base", 0, base), *(Batch(name, number, path) for number, (name, path) in numbered)]


def _increments(folder: Path) -> Iterator[Path]:
    try:
        if not folder.exists():
            return
        for path in folder.iterdir():
            if not path.name.startswith(".") and (path.is_dir() or path.suffix.lower() in formats.EXTENSIONS):
                yield path
    except OSError as error:
        cure = "paths.increments must be a folder that you may read."
        raise DataProblem(f"cannot be listed: {error.strerror}.", where=str(folder), cure=cure) from error


def _batch_name(path: Path) -> str:
    return path.stem if path.suffix.lower() in formats.EXTENSIONS and not path.is_dir() else path.name


def _natural(name: str) -> list[tuple[int, int, str]]:
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def find_holdout(workspace: Path, paths: settings.Paths) -> tuple[Path, str | None]:
    """Return where the hold-out is and which split of it: its own place, else a split of the base set."""
    holdout, base = resolve(workspace, paths.holdout), resolve(workspace, paths.base)
    for place in (holdout, base):
        # a link that leads nowhere is told, not passed over in silence
        names = formats.splits(place) if place.exists() or place.is_symlink() else []
        held_out = next((name for name in _HELD_OUT_SPLITS if name in names), None)
        if held_out or (place == holdout and holdout.exists()):
            return place, held_out
    cure = f"Put rows that are never trained on at {holdout}, or give the base set a validation split."
    raise DataProblem("there is no hold-out.", where=str(holdout), cure=cure)


# --- reading


def load_batch(batch: Batch, settings: settings.Settings, *, split: str | None = None) -> LoadedBatch:
    """Read a batch; what is wrong with it is in its ``problems``, never raised."""
    schema, examples, problems = "", list[Example](), list[Problem]()
    try:
        raw = formats.read_rows(batch.path, settings.data, split=split)
        schema, examples, wrong = rows.read_examples(raw, settings.grading)
        problems.extend(wrong)
    except Problem as problem:
        problems.append(problem)
    return LoadedBatch(batch, schema, examples, rows.fingerprint(examples), problems)


def load_holdout(workspace: Path, settings: settings.Settings) -> LoadedBatch:
    """Read the hold-out; raises ``DataProblem`` only where there is none."""
    path, split = find_holdout(workspace, settings.paths)
    return load_batch(Batch(HOLDOUT, -1, path), settings, split=split)


def check_agreement(batches: Sequence[LoadedBatch]) -> list[DataProblem]:
    """Return a problem for every set whose rows are not of the schema of the first one, the base set."""
    readable = [loaded for loaded in batches if loaded.schema]
    return [
        DataProblem(
            f"{loaded.batch.name} has {loaded.schema} rows, {readable[0].batch.name} has {readable[0].schema} rows.",
            where=str(loaded.batch.path),
            cure=f"Bring all sets into one form, that of {readable[0].batch.path}.",
        )
        for loaded in readable[1:]
        if loaded.schema != readable[0].schema
    ]


def describe(loaded: LoadedBatch, before: int = 0) -> BatchSummary:
    """Return the figures of a batch; ``before`` is the number of rows in the batches before it."""
    sizes = [_characters(example) for example in loaded.examples]
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


def _characters(example: Example) -> int:
    return sum(len(message.content) for message in example.prompt) + len(example.completion)


# --- everything together


def find_leaks(train: Sequence[LoadedBatch], holdout: LoadedBatch, near_duplicate: float) -> Leaks:
    """Compare every training row with the hold-out, and with the training rows before it."""
    return firewall.find((row for loaded in train for row in loaded.examples), holdout.examples, near_duplicate)


def _unreadable_grades(every: Sequence[LoadedBatch], grading: settings.Grading) -> list[Problem]:
    """A grade that is written in a way the pattern does not read would be scored as never given."""
    graded = next((row for loaded in every for row in loaded.examples if row.grade is not None), None)
    if graded is None or rows.parse_grade(graded.completion, grading) == graded.grade:
        return []
    return [
        SettingsProblem(
            "grading.pattern does not read the grade that grading.completion_template writes.",
            where=graded.where,
            cure="Change one of the two so that they agree.",
        )
    ]


def check_data(workspace: Path, settings: settings.Settings) -> DataReport:
    """Read everything there is and return all that is wrong with it; bad data is never raised."""
    return _read_all(workspace, settings, None)


def load_step(workspace: Path, settings: settings.Settings, step: int) -> StepData:
    """Return base + batches 1..``step`` and the hold-out, or raise ``Problems`` with all that is wrong."""
    report = _read_all(workspace, settings, step)
    if report.problems or report.holdout is None:
        raise Problems(report.problems)
    return StepData(report.batches, report.holdout, report.warnings)


def _read_all(workspace: Path, settings: settings.Settings, step: int | None) -> DataReport:
    problems: list[Problem] = []
    batches: list[LoadedBatch] = []
    holdout: LoadedBatch | None = None
    try:
        wanted = _up_to(find_batches(workspace, settings.paths), step)
        batches = [load_batch(batch, settings) for batch in wanted]
    except Problem as problem:
        problems.append(problem)
    try:
        holdout = load_holdout(workspace, settings)
    except Problem as problem:
        problems.append(problem)
    every = [*batches, holdout] if holdout else batches
    problems += [problem for loaded in every for problem in loaded.problems]
    problems += check_agreement(every)
    problems += _unreadable_grades(every, settings.grading)
    # a wrong template is found in every set, and is one problem
    problems = list({str(problem): problem for problem in problems}.values())
    if holdout is None:
        return DataReport(batches, holdout, problems, [])
    leaks = find_leaks(batches, holdout, settings.data.near_duplicate)
    return DataReport(batches, holdout, [*problems, *leaks.exact], [*leaks.near, *leaks.repeated])


def _up_to(found: list[Batch], step: int | None) -> list[Batch]:
    if step is not None and not 0 <= step < len(found):
        cure = "Add batches to the folder of increments, or choose a smaller step."
        message = f"step {step} does not exist: there are steps 0 to {len(found) - 1}."
        raise DataProblem(message, where=str(found[-1].path), cure=cure)
    return found if step is None else found[: step + 1]
