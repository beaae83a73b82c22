"""Write and read a run's append-only journal, ``events.jsonl``: the single source of truth.

Each event is one line, written with one call; a ``DurableEvent`` is synced to disk. Readers skip a line that a crash
cut short or that is damaged, count it, and say so (``JournalReader.damage``); the next writer ends a cut line.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from opeddev_tui.errors import BusyProblem
from opeddev_tui.files import fsync, open_file, read_file, reason_of, storage_errors
from opeddev_tui.format import plural
from opeddev_tui.runs.events import AnyEvent, DurableEvent, decode, decode_lines, encode
from opeddev_tui.workspace.lock import locked

JOURNAL_NAME = "events.jsonl"
# a note takes a moment to be written
_LOCK_SECONDS = 2.0
# bytes; a hundred times the journal of a long run
_MOST_BYTES = 1 << 30


class Journal:
    """The writing end, for one process at a time; raises ``BusyProblem`` where another one writes it.

    Only the process that holds the workspace's lock may use it. That lock can be deleted, the journal's own cannot.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL_NAME
        with storage_errors(self.path):
            folder.mkdir(parents=True, exist_ok=True)
            self._descriptor = open_file(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
            self._lock()
            self._close_cut_line()
        # True while the last line may lack its end
        self._cut = False

    def _lock(self) -> None:
        end = time.monotonic() + _LOCK_SECONDS
        # a file system without locks: then the workspace's lock says so
        with contextlib.suppress(OSError):
            while not locked(self._descriptor):
                if time.monotonic() > end:
                    os.close(self._descriptor)
                    raise BusyProblem(
                        "another process writes this run's journal.",
                        where=str(self.path),
                        cure="Wait for its end, or see: opeddev-tui status.",
                    )
                time.sleep(0.02)

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
                fsync(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def is_written(folder: Path) -> bool:
    """Return whether a process writes the journal of the run in ``folder`` now."""
    try:
        descriptor = open_file(folder / JOURNAL_NAME)
    except OSError:
        return False
    try:
        return not locked(descriptor)
    except OSError:
        return False  # a file system without locks
    finally:
        os.close(descriptor)


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
            # the decoder passes over a field that it does not know, such as a damaged name, unread
            content[:end].decode()
            return decode_lines(content[:end])
        except (ValueError, RecursionError):
            return list(self._decoded(content[:end]))

    def _decoded(self, content: bytes) -> Iterator[AnyEvent]:
        """Decode line by line; skip and count lines that a crash cut short or that are damaged."""
        for line in content.split(b"\n"):
            if not line:
                continue
            try:
                line.decode()
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
