"""What a training says that its journal does not keep, in one small file for whoever watches from another process.

That is what is done before the run exists, and texts while they grow. A thread writes the newest of it now and then:
the training waits for no disk, and a disk that does not take it changes nothing. A file of a process that has died
is never believed: it must agree with the lock, which dies with its process.
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
from opeddev_tui.workspace.lock import Holder, who_trains
from opeddev_tui.workspace.paths import Workspace

# seconds between two writings
_EVERY = 0.25
# how long the end of a training waits for a slow disk
_LAST_SECONDS = 1.0


class Unrecorded(Struct, frozen=True):
    """The newest of what is not in the journal. ``holder`` is whose words they are, ``run`` the run they belong to."""

    holder: Holder
    run: str = ""
    phase: PhaseChanged | None = None
    streaming: SamplesStreaming | None = None


class LiveFile:
    """A sink that keeps the file while the block lasts; enter it while this process holds the workspace's lock."""

    def __init__(self, workspace: Workspace, sink: Sink) -> None:
        self._sink, self._path = sink, workspace.live_file
        self._words = Unrecorded(who_trains(workspace) or Holder(os.getpid()))
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
        """Show ``event``; keep it for the file if the journal does not."""
        self._sink.emit(event)
        match event:
            case RunStarted():
                self._in_run = True
                self._keep(replace(self._words, run=event.run, phase=None))
            case Resumed():
                self._in_run = True
            case Interrupted() | RunFailed() | RunFinished():
                self._in_run = False
            case PhaseChanged() if not self._in_run:
                self._keep(replace(self._words, phase=event))
            case SamplesStreaming():
                self._keep(replace(self._words, streaming=event))
            case SamplesGenerated():
                self._keep(replace(self._words, streaming=None))

    def _keep(self, words: Unrecorded) -> None:
        with self._changed:
            self._words, self._unwritten = words, True
            self._changed.notify()

    def _write_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._unwritten or self._closing)
                if self._closing:
                    break
                words, self._unwritten = self._words, False
            with contextlib.suppress(OSError):
                _put(self._path, msgspec.json.encode(words))
            with self._changed:
                self._changed.wait_for(lambda: self._closing, _EVERY)
        with contextlib.suppress(OSError):
            self._path.unlink()


def _put(path: Path, content: bytes) -> None:
    """Replace ``path``; what a power failure leaves of it is of no use to anybody, so nothing is synced."""
    half = path.with_name(f".{path.name}.new")
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    os.replace(half, path)


def read_live(workspace: Workspace, holder: Holder) -> Unrecorded:
    """Return what the process that holds the lock says beside its journal; nothing where the file is another's."""
    nothing = Unrecorded(holder)
    try:
        found = msgspec.json.decode(workspace.live_file.read_bytes(), type=Unrecorded)
    except (OSError, ValueError):
        return nothing
    return found if found.holder == holder else nothing
