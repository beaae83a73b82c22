"""Publish what a training does beside its journal, in one small file for other processes that watch.

That is the phase before the run exists, and texts while they grow. A thread writes the newest state now and then, so
the training never waits for the disk, and a failed write changes nothing. Readers trust the file only if it names the
process that holds the workspace's lock: the file of a dead process is ignored.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from types import TracebackType

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from opeddev_tui.files import read_record
from opeddev_tui.runs.events import (
    AnyEvent,
    Interrupted,
    PhaseChanged,
    Resumed,
    RunFailed,
    RunFinished,
    RunStarted,
    SamplesGenerated,
    SamplesStreaming,
    Sink,
)
from opeddev_tui.runs.state import RunState
from opeddev_tui.workspace.lock import Holder, who_trains
from opeddev_tui.workspace.paths import Workspace

# least seconds between two writes
_INTERVAL = 0.25
# most seconds that the end of a training waits for a slow disk
_LAST_SECONDS = 1.0


class Unrecorded(Struct, frozen=True):
    """The newest of what the journal does not have; ``holder`` is the process that wrote it."""

    holder: Holder
    run: str = ""
    phase: PhaseChanged | None = None
    streaming: SamplesStreaming | None = None


class LiveFile:
    """A sink that keeps the file up to date inside a ``with`` block, in which this process must hold the lock."""

    def __init__(self, workspace: Workspace, sink: Sink) -> None:
        self._sink, self._path = sink, workspace.live_file
        self._newest = Unrecorded(who_trains(workspace) or Holder(os.getpid()))
        self._changed = threading.Condition()
        self._unwritten = self._closing = False
        self._in_run = False
        self._thread = threading.Thread(target=self._write_all, name="live file", daemon=True)

    def __enter__(self) -> LiveFile:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(_LAST_SECONDS)

    def emit(self, event: AnyEvent) -> None:
        """Pass ``event`` on, and publish it if the journal does not have it."""
        self._sink.emit(event)
        match event:
            case RunStarted():
                self._in_run = True
                self._keep(replace(self._newest, run=event.run, phase=None))
            case Resumed():
                self._in_run = True
            case Interrupted() | RunFailed() | RunFinished():
                self._in_run = False
            case PhaseChanged() if not self._in_run:
                self._keep(replace(self._newest, phase=event))
            case SamplesStreaming():
                self._keep(replace(self._newest, streaming=event))
            case SamplesGenerated():
                self._keep(replace(self._newest, streaming=None))

    def _keep(self, newest: Unrecorded) -> None:
        with self._changed:
            self._newest, self._unwritten = newest, True
            self._changed.notify()

    def _write_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._unwritten or self._closing)
                if self._closing:
                    break
                newest, self._unwritten = self._newest, False
            with contextlib.suppress(OSError):
                _put(self._path, msgspec.json.encode(newest))
            with self._changed:
                self._changed.wait_for(lambda: self._closing, _INTERVAL)
        with contextlib.suppress(OSError):
            self._path.unlink()


def _put(path: Path, content: bytes) -> None:
    """Replace ``path``. Nothing is synced: the file is of no use after a power failure."""
    half = path.with_name(f".{path.name}.new")
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    os.replace(half, path)


def read_live(workspace: Workspace, holder: Holder) -> Unrecorded:
    """Return what the process that holds the lock published; empty if the file is missing or another process's."""
    try:
        published = read_record(workspace.live_file, Unrecorded)
    except (OSError, ValueError):
        return Unrecorded(holder)
    return published if published.holder == holder else Unrecorded(holder)


def not_begun(state: RunState, holder: Holder, live: Unrecorded) -> bool:
    """Return whether the process that trains has recorded nothing yet of the run that it begins or resumes.

    ``state`` is the newest run's, empty where there is none; ``live`` is what ``holder`` publishes.
    """
    newest_at = live.phase.at if live.phase is not None else holder.since
    # the process says itself which run it trains: clocks may have been set back since the lock was taken
    is_this = state.started is not None and live.run == state.started.run and not state.over
    before = state.last_event_at < holder.since or (state.over and newest_at > state.last_event_at)
    return before and not is_this
