"""Owns a run's append-only ``events.jsonl``: the single source of truth.

One event is one line, written with one call; facts that a crash must not lose are synced. A line cut short
by a crash is skipped by readers and closed by the next writer.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from opeddev_tui.files import storage_errors
from opeddev_tui.runs.events import DURABLE, AnyEvent, decode, decode_lines, encode

JOURNAL_NAME = "events.jsonl"


class Journal:
    """The writing end. One process writes a run's journal while it holds the workspace lock."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL_NAME
        with storage_errors(self.path):
            folder.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
            self._close_cut_line()
        # True while a line may lack its end
        self._cut = False

    def _close_cut_line(self) -> None:
        size = os.fstat(self._descriptor).st_size
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
            os.write(self._descriptor, b"\n")

    def emit(self, event: AnyEvent) -> None:
        """Append ``event``; raises ``StorageProblem`` if the disk does not take it."""
        with storage_errors(self.path):
            line = encode(event) + b"\n"
            if self._cut:
                self._close_cut_line()
            self._cut = True
            # a short write means a full disk: the rest tells the reason, or finds room after all
            while line := line[os.write(self._descriptor, line) :]:
                pass
            self._cut = False
            if isinstance(event, DURABLE):
                os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file; the journal can be opened again."""
        os.close(self._descriptor)


class JournalReader:
    """The reading end: everything so far, then only what is new. Any number of processes may read."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL_NAME
        self.skipped = 0
        self._offset = 0

    @property
    def size(self) -> int:
        """How many bytes have been read."""
        return self._offset

    def read_new(self) -> list[AnyEvent]:
        """Return the events appended since the last call; a line still being written waits for the next one."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                content = file.read()
        except FileNotFoundError:
            return []
        end = content.rfind(b"\n") + 1
        self._offset += end
        try:
            return decode_lines(content[:end])
        except msgspec.DecodeError:
            return list(self._decoded(content[:end]))

    def _decoded(self, content: bytes) -> Iterator[AnyEvent]:
        """Read line by line, without those that a crash cut short."""
        for line in content.split(b"\n"):
            if not line:
                continue
            try:
                yield decode(line)
            except msgspec.DecodeError:
                self.skipped += 1


def length(folder: Path) -> int:
    """Return how many bytes the journal in ``folder`` has, 0 where there is none."""
    path = folder / JOURNAL_NAME
    return path.stat().st_size if path.is_file() else 0


def read(folder: Path) -> list[AnyEvent]:
    """Return all events of the run in ``folder`` (empty if it has none)."""
    return JournalReader(folder).read_new()
