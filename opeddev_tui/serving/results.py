"""A file of results that grows row by row: killed at any moment, it goes on where it was, and nothing is graded twice.

A row is known by what was asked (``Asked.content``), the checkpoint and the way to a grade. Rows are only added; a last
line that was cut is dropped.
"""

import csv
import fcntl
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from msgspec import Struct

from opeddev_tui.errors import BusyProblem, StorageProblem
from opeddev_tui.files import open_file, storage_errors
from opeddev_tui.serving.answers import COLUMNS, csv_line, csv_values, json_line
from opeddev_tui.serving.asked import Asked
from opeddev_tui.serving.choice import Choice

# one row with its feedback; far more than any has
_LONGEST = 1 << 26
# how every line begins that is written here (``answers.as_json``)
_JSON_BEGINS = '{"id": '
# the fields by which a row is known, and those that count for what came out of all
_KNOWN = ("content", "checkpoint", "way", "grade", "reference", "feedback")
Key = tuple[str, str, str]


class Done(Struct, frozen=True):
    """A row that is there already: its grade and a person's, as they are written ("" for none)."""

    grade: str
    reference: str
    ask: bool
    feedback: bool


class ResultsFile:
    """The results in the file at ``path``, as JSONL or CSV; it is locked until it is closed.

    Raises ``StorageProblem`` for a file of something else, ``BusyProblem`` where another process writes it.
    """

    def __init__(self, path: Path, *, as_csv: bool) -> None:
        self.path, self._csv = path, as_csv
        # whether what was read so far is of this command
        self._ours = False
        self._done: dict[Key, Done] = {}
        if path.is_dir():
            raise StorageProblem("is a folder.", where=str(path), cure=f"Name a file: --out {path / 'grades.jsonl'}")
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = os.fdopen(open_file(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b")
        try:
            self._lock()
            self._read()
        except BaseException:
            self._file.close()
            raise

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            cure = "Wait for it, or name another file with --out."
            raise BusyProblem("another process writes this file.", where=str(self.path), cure=cure) from None
        except OSError:
            pass  # a file system without locks

    def _read(self) -> None:
        """Take in the rows that are there, and drop a last line that was cut."""
        with storage_errors(self.path):
            whole = self._file.seek(0)
            while line := self._file.readline(_LONGEST):
                if not line.endswith(b"\n"):
                    self._require_begun(line)
                    break
                self._take(line.decode("utf-8", "replace"))
                whole = self._file.tell()
            self._file.truncate(whole)
            self._file.seek(whole)
            if self._csv and not whole:
                self._append(csv_line(COLUMNS))

    def _require_begun(self, line: bytes) -> None:
        """Raise where ``line``, which was cut, is not the beginning of what this command writes."""
        begun = (csv_line(COLUMNS) if self._csv else _JSON_BEGINS).encode()
        if not self._ours and not (line.startswith(begun) or begun.startswith(line)):
            raise self._foreign()

    def _take(self, line: str) -> None:
        if not line.strip():
            return
        found = self._of_csv(line) if self._csv else _of_json(line)
        if found is None and self._ours:
            return  # a damaged line in the middle: its row is graded again
        if found is None:
            raise self._foreign()
        self._ours = True
        if found:
            self._know(found, ask=found["ask"] == "true")

    def _of_csv(self, line: str) -> dict[str, str] | None:
        """Return the fields of a line; empty for the header, None for a line of something else."""
        try:
            values = next(csv.reader(io.StringIO(line)))
        except (csv.Error, StopIteration):
            values = []
        if not self._ours:
            return {} if tuple(values) == COLUMNS else None
        return dict(zip(COLUMNS, values, strict=True)) if len(values) == len(COLUMNS) else None

    def _foreign(self) -> StorageProblem:
        kind = "CSV" if self._csv else "JSON Lines"
        return StorageProblem(
            f"holds something else than results of this command as {kind}; it is left as it is.",
            where=str(self.path),
            cure="Name another file with --out.",
        )

    # --- rows

    def done(self, asked: Asked, choice: Choice, *, feedback: bool) -> Done | None:
        """Return the row of ``asked`` by ``choice``; None where it is still to be graded, or its text to be written."""
        known = self._done.get((asked.content, choice.checkpoint, choice.way))
        return known if known is not None and (known.feedback or not feedback) else None

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row of ``answers.as_json``; it is in the file when this returns. Raises ``StorageProblem``."""
        with storage_errors(self.path):
            self._append(csv_line(csv_values(row)) if self._csv else json_line(row))
        self._know({name: "" if row[name] is None else str(row[name]) for name in _KNOWN}, ask=bool(row["ask"]))

    def _know(self, found: Mapping[str, str], *, ask: bool) -> None:
        key = (found["content"], found["checkpoint"], found["way"])
        self._done[key] = Done(found["grade"], found["reference"], ask, bool(found["feedback"]))

    def _append(self, line: str) -> None:
        self._file.write(line.encode("utf-8", "replace") + b"\n")
        self._file.flush()

    def close(self) -> None:
        """Sync and close the file; raises ``StorageProblem``."""
        with storage_errors(self.path), self._file:
            self._file.flush()
            os.fsync(self._file.fileno())

    def __len__(self) -> int:
        return len(self._done)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._done)


def _of_json(line: str) -> dict[str, str] | None:
    """Return the fields of a line as texts, None for a line of something else."""
    try:
        found = msgspec.json.decode(line)
    except ValueError:
        return None
    if not isinstance(found, dict) or any(name not in found for name in (*_KNOWN, "ask")):
        return None
    texts = {name: "" if found[name] is None else str(found[name]) for name in _KNOWN}
    return texts | {"ask": "true" if found["ask"] else "false"}
