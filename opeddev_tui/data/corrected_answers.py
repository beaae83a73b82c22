"""Collect a person's corrections of a grader's answers in one open batch, ``batch_corrections_NN``, of the increments.

A batch that a training has begun with stays as it is: the next correction opens the next number. The file is replaced
whole; what a row was before is kept in a history, so that a correction can be undone. Rows of the hold-out and of the
sealed test set never get in.
"""

import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from opeddev_tui.config.settings import Settings
from opeddev_tui.data import folder_files, formats, leakage
from opeddev_tui.data.answered_row import example_of
from opeddev_tui.data.batch_names import corrections_name, corrections_number
from opeddev_tui.data.batch_paths import (
    batch_name,
    folder_of_increments,
    increments,
)
from opeddev_tui.data.corrections import row_hash
from opeddev_tui.data.rows import Example
from opeddev_tui.data.sealed import load_sealed
from opeddev_tui.data.sets import Batch, find_batches, holdout_as_written, load_batch
from opeddev_tui.errors import DataProblem, Problems
from opeddev_tui.files import append_line, decoded, read_file, storage_errors, write_atomic
from opeddev_tui.format import plural
from opeddev_tui.text import clean_line
from opeddev_tui.workspace.lock import hold_lock
from opeddev_tui.workspace.paths import graded_history_file

# names the batches that trainings have begun with
Begun = Callable[[], Collection[str]]
# says what to know of a correction by the rows of all batches as they are before it
Look = Callable[[Sequence[Example]], Sequence[str]]
Row = dict[str, Any]


class Change(Struct, frozen=True, kw_only=True):
    """One line of the history: row ``row`` (``corrections.row_hash``) of ``batch`` was ``before`` and is ``after``.

    None: it was not there, or is not any more. ``grade`` is the person's, as it is written; ``undone`` marks the
    undoing of an earlier change. ``at`` is in Unix seconds.
    """

    row: str
    batch: str
    grade: str = ""
    before: Row | None = None
    after: Row | None = None
    undone: bool = False
    at: float = 0.0


class Kept(Struct, frozen=True):
    """What a correction did: its ``change``, the file of the batch, the rows in it now, and what to know of it."""

    change: Change
    path: Path
    rows: int
    notes: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What happened, in one sentence."""
        return self.told("")

    def told(self, file: str, step: int | None = None) -> str:
        """Return what happened in one sentence; a row without an id is called ``file`` where one is given.

        ``step`` is the number of the step that trains the batch, where it is known.
        """
        change = self.change
        row = change.after or change.before or {}
        name = clean_line(str(row.get("id") or file or change.row[:10]), max_chars=60)
        count = plural(self.rows, "row")
        if change.after is None:
            left = f"{change.batch} has {count} now" if self.rows else f"{change.batch} is gone with it"
            return f"{name}: its correction is undone; {left}."
        again = "" if change.before is None else " in place of an earlier one"
        if change.undone:
            return f"{name}: the correction before it stands again, in {change.batch} ({count})."
        return f"{name}: grade {change.grade}{again}, in {change.batch} ({count}): {its_turn(step)}."


def its_turn(step: int | None = None) -> str:
    """Return when a batch of corrections is trained, in words; ``step`` is the number of its step if it is known."""
    return f"data of step {step}" if step is not None else "a batch of its own, trained after all others"


class _Open(Struct):
    """The open batch: its lines that hold a row, the rows, each with its hash."""

    path: Path
    lines: list[bytes]
    examples: list[Example]
    notes: list[str]

    @property
    def name(self) -> str:
        return batch_name(self.path) if self.path.exists() else self.path.name.removesuffix(".jsonl")

    def place_of(self, row: str) -> int | None:
        return next((at for at, example in enumerate(self.examples) if row_hash(example) == row), None)


def correct_answer(
    workspace: Path, settings: Settings, row: Mapping[str, Any], begun: Begun, look: Look = lambda _: ()
) -> Kept:
    """Put ``row`` (fields of a grading row with the person's grade) into the open batch, in place of an equal one.

    Each batch is read once; ``look`` gets the rows of all and returns notes. Raises ``Problem``; then nothing is
    written.
    """
    with _locked(workspace):
        batches = find_batches(workspace, settings.paths)
        base = load_batch(batches[0], settings)
        made = example_of(row, base.schema, settings)
        found = _open(workspace, settings, begun)
        others = [load_batch(batch, settings) for batch in batches[1:] if batch.name != found.name]
        rows = [example for loaded in (base, *others) for example in loaded.examples]
        _must_be_new(workspace, settings, made.example, rows)
        seen = look([*rows, *found.examples])
        line = json.dumps(made.fields, ensure_ascii=False).encode()
        key = row_hash(made.example)
        place = found.place_of(key)
        before = None if place is None else json.loads(found.lines[place])
        lines = list(found.lines)
        lines[len(lines) if place is None else place : len(lines) if place is None else place + 1] = [line]
        change = Change(row=key, batch=found.name, grade=made.grade, before=before, after=made.fields, at=time.time())
        _write(workspace, found, lines, change)
        return Kept(change, found.path, len(lines), (*made.notes, *found.notes, *seen))


def undo_answer(workspace: Path, settings: Settings, begun: Begun, row: str = "") -> Kept:
    """Undo the newest correction that is not undone, or that of ``row``; raises ``DataProblem`` where there is none.

    The row is then as it was before that correction, or gone.
    """
    with _locked(workspace):
        found = _open(workspace, settings, begun)
        here = [change for change in read_history(workspace) if change.batch == found.name]
        last = next((change for change in _standing(here)[::-1] if row in ("", change.row)), None)
        place = found.place_of(last.row) if last is not None else None
        if last is None or place is None:
            cure = "Rows that were trained on, or of your own files, are corrected with opeddev-tui regrade ROW GRADE."
            words = "there is no correction of it to undo." if row else "there is no correction to undo."
            raise DataProblem(words, where=found.name, cure=cure)
        lines = list(found.lines)
        now = json.loads(lines[place])
        lines[place : place + 1] = [json.dumps(last.before, ensure_ascii=False).encode()] if last.before else []
        change = Change(row=last.row, batch=found.name, before=now, after=last.before, undone=True, at=time.time())
        _write(workspace, found, lines, change)
        return Kept(change, found.path, len(lines))


def open_rows(workspace: Path, settings: Settings, begun: Begun) -> tuple[str, list[Row]]:
    """Return the name of the open batch and its rows as they are written; raises ``Problem``."""
    found = _open(workspace, settings, begun)
    return found.name, [json.loads(line) for line in found.lines]


def read_history(workspace: Path) -> list[Change]:
    """Return all changes, oldest first, without lines that cannot be read; raises ``StorageProblem``."""
    path = graded_history_file(workspace)
    if not path.exists():
        return []
    with storage_errors(path):
        content = read_file(path)
    changes = []
    for line in content.split(b"\n"):
        try:
            changes += [decoded(line, Change)] if line.strip() else []
        except ValueError:
            continue  # a cut line: its row is in the batch all the same
    return changes


def _standing(changes: Sequence[Change]) -> list[Change]:
    """Return the changes that are not undone: an undoing takes back the last one of its row."""
    standing: list[Change] = []
    for change in changes:
        if not change.undone:
            standing.append(change)
            continue
        last = next((at for at in reversed(range(len(standing))) if standing[at].row == change.row), None)
        if last is not None:
            del standing[last]
    return standing


# --- the open batch


def _open(workspace: Path, settings: Settings, begun: Begun) -> _Open:
    """Return the open batch, which may not be there yet; raises ``Problems`` where its file cannot be read."""
    folder, taken = folder_of_increments(workspace, settings.paths), begun()
    there = {batch_name(path): path for path in increments(folder)[0]}
    numbers = {number: name for name in (*there, *taken) if (number := corrections_number(name)) is not None}
    last = max(numbers, default=0)
    path = there.get(numbers.get(last, ""))
    if path is None or numbers[last] in taken or path.suffix != ".jsonl" or path.is_dir():
        return _Open(folder / f"{corrections_name(last + 1)}.jsonl", [], [], [])
    read = formats.read_split(path, settings.data)
    if read.problems:
        raise Problems(read.problems)
    with folder_files.read_clearly(path):
        lines = [line for line in path.read_bytes().split(b"\n") if line.strip()]
    loaded = load_batch(Batch(batch_name(path), 1, path), settings)
    if loaded.problems or len(loaded.examples) != len(lines):
        cure = "Correct the file, or move it out of the increments."
        problems = loaded.problems or [DataProblem("a row of it is not trained on.", where=str(path), cure=cure)]
        raise Problems(problems)
    return _Open(path, lines, list(loaded.examples), list(read.notes))


def _must_be_new(workspace: Path, settings: Settings, example: Example, others: Sequence[Example]) -> None:
    """Raise ``DataProblem`` where ``example`` is one of ``others``, or a near copy of a row of hold-out or test set."""
    near = settings.data.near_duplicate
    leaks = leakage.find([example], holdout_as_written(workspace, settings).examples, near)
    if leaks.exact or leaks.near:
        words = leaks.exact[0].message if leaks.exact else leaks.near[0].removeprefix(f"{example.where} is ")
        words = words.removesuffix(" is trained on here.") if leaks.exact else words
        told = f"this submission is {words.rstrip('.')}, and a row that was trained on measures nothing."
        cure = "To correct the grade of the hold-out row itself: opeddev-tui regrade ROW GRADE."
        raise DataProblem(told, cure=cure)
    test = load_sealed(workspace, settings)
    if test is not None and any(leakage.copies([example], test.examples, near)):
        cure = "Grade another one: the test set must be new to everything that is chosen before it."
        raise DataProblem("this submission is a row of the sealed test set, or a near copy of one.", cure=cure)
    key = row_hash(example)
    if (same := next((row for row in others if row_hash(row) == key), None)) is not None:
        cure = f"Correct the grade of that row: opeddev-tui regrade {key[:10]} GRADE."
        raise DataProblem(f"this is the training row {same.where} already.", cure=cure)


def _write(workspace: Path, found: _Open, lines: Sequence[bytes], change: Change) -> None:
    """Replace the file of the batch, then keep ``change``; a batch without rows would be an error in the data."""
    if lines:
        write_atomic(found.path, b"".join(line + b"\n" for line in lines), mode=0o600)
    else:
        with storage_errors(found.path):
            found.path.unlink()
    append_line(graded_history_file(workspace), msgspec.json.encode(change))


def _locked(workspace: Path) -> AbstractContextManager[None]:
    """Keep other processes from changing the open batch."""
    return hold_lock(graded_history_file(workspace).with_suffix(".lock"), "another process corrects grades here.")
