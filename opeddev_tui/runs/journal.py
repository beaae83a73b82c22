"""Write and read a run's append-only journal, ``events.jsonl``: the single source of truth.

Each event is one line, written with one call; a ``DurableEvent`` is synced to disk. Readers skip a line that a crash
cut short or that is damaged, count it, and say so (``JournalReader.damage``); the next writer ends a cut line.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from opeddev_tui.files import open_file, read_file, reason_of, storage_errors
from opeddev_tui.format import plural
from opeddev_tui.runs.events import AnyEvent, DurableEvent, decode, decode_lines, encode

JOURNAL_NAME = "events.jsonl"
# bytes; a hundred times the journal of a long run
_MOST_BYTES = 1 << 30


class Journal:
    """The writing end; only the process that holds the workspace's lock may use it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL_NAME
        with storage_errors(self.path):
            folder.mkdir(parents=True, exist_ok=True)
            self._descriptor = open_file(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            self._close_cut_line()
        # True while the last line may lack its end
        self._cut = False

    def _close_cut_line(self) -> None:
        size = os.fstat(self._descriptor).st_size
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
            os.write(self._descriptor, b"\n")

    def emit(self, event: AnyEvent) -> None:
        """Append ``event``; raises ``StorageProblem``."""
        with storage_errors(self.path):
            line = encode(event) + b"\n"
            if self._cut:
                self._close_cut_line()
            self._cut = True
            # a short write means a full disk: writing the rest raises the reason, or finds room after all
            while line := line[os.write(self._descriptor, line) :]:
                pass
            self._cut = False
            if isinstance(event, DurableEvent):
                os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


class JournalReader:
    """The reading end: all events so far, then only new ones. Any number of processes may read."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL_NAME
        self.skipped = 0
        self._offset = 0
        self._unreadable = ""

    @property
    def size(self) -> int:
        """The number of bytes read."""
        return self._offset

    @property
    def damage(self) -> str:
        """What cannot be read of the journal, in words without a full stop; "" if nothing."""
        lines = f"{plural(self.skipped, 'line')} of its journal cannot be read" if self.skipped else ""
        return f"its journal cannot be read: {self._unreadable}" if self._unreadable else lines

    def read_new(self) -> list[AnyEvent]:
        """Return the events appended since the last call, without a line that is still being written."""
        try:
            content = read_file(self.path, most=_MOST_BYTES, start=self._offset)
        except FileNotFoundError:
            return []
        except OSError as error:
            self._unreadable = reason_of(error)
            return []
        self._unreadable = ""
        end = content.rfind(b"\n") + 1
        self._offset += end
        try:
            return decode_lines(content[:end])
        except (ValueError, RecursionError):
            return list(self._decoded(content[:end]))

    def _decoded(self, content: bytes) -> Iterator[AnyEvent]:
        """Decode line by line; skip and count lines that a crash cut short or that are damaged."""
        for line in content.split(b"\n"):
            if not line:
                continue
            try:
                yield decode(line)
            except (ValueError, RecursionError):
                # bad JSON, bytes that are no UTF-8, an event of a later version, brackets without end
                self.skipped += 1


def length(folder: Path) -> int:
    """Return the size of the journal in ``folder`` in bytes, 0 if there is none."""
    path = folder / JOURNAL_NAME
    return path.stat().st_size if path.is_file() else 0


def read(folder: Path) -> list[AnyEvent]:
    """Return all events of the run in ``folder``."""
    return JournalReader(folder).read_new()
