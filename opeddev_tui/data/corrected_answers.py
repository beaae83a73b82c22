"""Collect a person's corrections of a grader's answers in one open batch, ``batch_corrections_NN``, of the increments.

A batch that a training has begun with stays as it is: the next correction opens the next number. The file is replaced
whole; what a row was before is kept in a history, so that a correction can be undone. Rows of the hold-out and of the
sealed test set never get in.
"""

import json
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from msgspec import Struct

from opeddev_tui.config.settings import Settings
from opeddev_tui.data import folder_files, formats, leakage
from opeddev_tui.data.answer_history import Change, Row, add_to_history, read_history, standing
from opeddev_tui.data.answered_row import example_of
from opeddev_tui.data.batch_names import corrections_name, corrections_number
from opeddev_tui.data.batch_paths import (
    batch_name,
    folder_of_increments,
    increments,
)
from opeddev_tui.data.corrections import row_hash
from opeddev_tui.data.grade_scale import written
from opeddev_tui.data.raw_rows import FileRows
from opeddev_tui.data.rows import Example
from opeddev_tui.data.sealed import load_sealed
from opeddev_tui.data.sets import Batch, LoadedBatch, find_batches, holdout_as_written, load_batch
from opeddev_tui.errors import DataProblem, Problems, StorageProblem
from opeddev_tui.files import storage_errors, write_atomic
from opeddev_tui.format import plural
from opeddev_tui.text import clean_line
from opeddev_tui.workspace.lock import hold_lock
from opeddev_tui.workspace.paths import graded_history_file

# names the batches that trainings have begun with
Begun = Callable[[], Collection[str]]
# says what to know of a correction, and the number of the step that trains its batch: by all batches as they are
# before it, its own last
Look = Callable[[Sequence[LoadedBatch]], tuple[Sequence[str], int | None]]


class Kept(Struct, frozen=True):
    """What a correction did: its ``change``, the file of the batch, the rows in it now, and what to know of it.

    ``step`` is the number of the step that trains the batch, None where it is not known.
    """

    change: Change
    path: Path
    rows: int
    notes: tuple[str, ...] = ()
    step: int | None = None

    @property
    def words(self) -> str:
        """What happened, in one sentence: the submission, its grades, the batch and when that is trained."""
        return self.told(self.change.file)

    def told(self, file: str) -> str:
        """Return ``words``; a row without an id is called ``file``, where one is given."""
        change = self.change
        name = name_of(change.asked or change.after or change.before or {}, file, change.row)
        count = plural(self.rows, "row")
        if change.after is None:
            left = f"{change.batch} has {count} now" if self.rows else f"{change.batch} is gone with it"
            return f"{name}: {f'grade {change.was}' if change.was else 'its correction'} is undone; {left}."
        grades = change.grade if change.was in ("", change.grade) else f"{change.was} → {change.grade}"
        again = ", the correction before it" if change.undone else ""
        return f"{name}: grade {grades}{again}, in {change.batch} ({count}): {its_turn(self.step)}."


def name_of(row: Row, file: str, key: str) -> str:
    """Return what to call a corrected row in a line: its id, its file, the beginning of its text, else its ``key``."""
    start = " ".join(str(row.get("submission") or "").split())[:40]
    return clean_line(str(row.get("id") or file or start or key[:10]), max_chars=60)


def its_turn(step: int | None = None) -> str:
    """Return when a batch of corrections is trained, in words; ``step`` is the number of its step if it is known."""
    return f"data of step {step}" if step is not None else "a batch of its own, trained after all others"


class OpenBatch(Struct):
    """The open batch: its lines that hold a row, their examples, and what to know of it."""

    path: Path
    lines: list[bytes]
    examples: list[Example]
    notes: list[str]

    @property
    def name(self) -> str:
        """Its name, also where it is not there yet."""
        return self.path.name.removesuffix(".jsonl")

    def place_of(self, row: str) -> int | None:
        """Return the place of the row with the hash ``row``, None where it is not in the batch."""
        return next((at for at, example in enumerate(self.examples) if row_hash(example) == row), None)


def correct_answer(
    workspace: Path,
    settings: Settings,
    row: Row,
    begun: Begun,
    look: Look = lambda _: ((), None),
    *,
    file: str = "",
    base: FileRows | None = None,
) -> Kept:
    """Put ``row`` (fields of a grading row with the person's grade) into the open batch, in place of an equal one.

    ``file``: where the submission lies. ``base`` are the rows of the base set's files, where they were read already:
    each batch is read once. Raises ``Problem``; then nothing is written.
    """
    with _locked(workspace):
        batches = find_batches(workspace, settings.paths)
        first = load_batch(batches[0], settings, base)
        made = example_of(row, first.schema, settings)
        found = open_batch(workspace, settings, begun)
        others = [load_batch(batch, settings) for batch in batches[1:] if batch.name != found.name]
        _must_be_new(workspace, settings, made.example, [item for one in (first, *others) for item in one.examples])
        mine = LoadedBatch(Batch(found.name, len(others) + 1, found.path), first.schema, found.examples, "", [])
        seen, step = look([first, *others, mine])
        lines, key = list(found.lines), row_hash(made.example)
        place, line = found.place_of(key), json.dumps(made.fields, ensure_ascii=False).encode()
        before, was = None, ""
        if place is None:
            lines.append(line)
        else:
            before, was, lines[place] = json.loads(lines[place]), grade_in(found.examples[place], settings), line
        change = Change(
            row=key, batch=found.name, grade=made.grade, was=was, file=file, asked=made.asked, before=before,
            after=made.fields, at=time.time(),
        )  # fmt: skip
        _write(workspace, found, lines, change)
        return Kept(change, found.path, len(lines), (*made.notes, *found.notes, *seen), step)


def undo_answer(workspace: Path, settings: Settings, begun: Begun, row: str = "") -> Kept:
    """Undo the newest correction that is not undone, or that of ``row``; raises ``DataProblem`` where there is none.

    The row is then as it was before that correction, or gone.
    """
    with _locked(workspace):
        found = open_batch(workspace, settings, begun)
        here = {row_hash(example): place for place, example in enumerate(found.examples)}
        every = [change for change in standing(read_history(workspace)) if change.batch == found.name]
        named = row or next((change.row for change in reversed(every) if change.row in here), "")
        if named not in here:
            words = "there is no correction of it to undo." if row else "there is no correction to undo."
            cure = "Rows that were trained on, or of your own files, are corrected with opeddev-tui regrade ROW GRADE."
            raise DataProblem(words, where=found.name, cure=cure)
        # a row whose line of the history is lost is gone with the undoing
        *earlier, last = [change for change in every if change.row == named] or [Change(row=named, batch=found.name)]
        place, lines = here[named], list(found.lines)
        now, was = json.loads(lines[place]), grade_in(found.examples[place], settings)
        lines[place : place + 1] = [json.dumps(last.before, ensure_ascii=False).encode()] if last.before else []
        grade = earlier[-1].grade if earlier and last.before else str((last.before or {}).get("grade", ""))
        change = Change(
            row=named, batch=found.name, grade=grade, was=was, file=last.file, asked=last.asked, before=now,
            after=last.before, undone=True, at=time.time(),
        )  # fmt: skip
        _write(workspace, found, lines, change)
        return Kept(change, found.path, len(lines))


def grade_in(example: Example, settings: Settings) -> str:
    """Return the grade of a row as it is written, empty without one."""
    return "" if example.grade is None else written(example.grade, settings.grading)


# --- the open batch


def open_batch(workspace: Path, settings: Settings, begun: Begun) -> OpenBatch:
    """Return the open batch, which may not be there yet; raises ``Problems`` where its file cannot be read."""
    folder, taken = folder_of_increments(workspace, settings.paths), begun()
    there = {batch_name(path): path for path in increments(folder)[0]}
    numbers = {number: name for name in (*there, *taken) if (number := corrections_number(name)) is not None}
    last = max(numbers, default=0)
    path = there.get(numbers.get(last, ""))
    if path is None or numbers[last] in taken or path.suffix != ".jsonl" or path.is_dir():
        return OpenBatch(folder / f"{corrections_name(last + 1)}.jsonl", [], [], [])
    read = formats.read_split(path, settings.data)
    if read.problems:
        raise Problems(read.problems)
    with folder_files.read_clearly(path):
        lines = [line for line in path.read_bytes().split(b"\n") if line.strip()]
    loaded = load_batch(Batch(batch_name(path), 1, path), settings, read)
    if loaded.problems or len(loaded.examples) != len(lines):
        cure = "Correct the file, or move it out of the increments."
        problems = loaded.problems or [DataProblem("a row of it is not trained on.", where=str(path), cure=cure)]
        raise Problems(problems)
    return OpenBatch(path, lines, list(loaded.examples), list(read.notes))


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


def _write(workspace: Path, found: OpenBatch, lines: Sequence[bytes], change: Change) -> None:
    """Replace the file of the batch, then keep ``change``: both, or nothing; raises ``StorageProblem``."""
    _replace(found.path, lines)
    try:
        add_to_history(workspace, change)
    except StorageProblem:
        # a correction that is not in the history could not be undone
        _replace(found.path, found.lines)
        raise


def _replace(path: Path, lines: Sequence[bytes]) -> None:
    """Write the file of a batch; one without rows would be an error in the data, so it goes."""
    if lines:
        write_atomic(path, b"".join(line + b"\n" for line in lines), mode=0o600)
    else:
        with storage_errors(path):
            path.unlink()


def _locked(workspace: Path) -> AbstractContextManager[None]:
    """Keep other processes from changing the open batch."""
    return hold_lock(graded_history_file(workspace).with_suffix(".lock"), "another process corrects grades here.")
