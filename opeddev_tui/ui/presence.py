"""Owns what a training process says about its screen: is there a terminal, can one be handed to it, did it fail.

The process writes a small file (0600) whenever that changes; ``reach`` reads it, the lock and the socket.
"""

from __future__ import annotations

import contextlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from opeddev_tui.lock import who_trains
from opeddev_tui.ui.handover import connect, peer
from opeddev_tui.workspace import Workspace


class ScreenRecord(Struct, frozen=True):
    """What the process ``pid`` last said: ``terminal`` is empty without one, ``failure`` is the screen's own."""

    pid: int
    terminal: str = ""
    news: str = ""
    failure: str = ""
    at: float = 0.0


class Presence:
    """Takes the driver's news and writes them down; a disk that does not take them changes nothing."""

    def __init__(self, workspace: Workspace, *, silent: bool = False) -> None:
        self._path = workspace.screen_record
        self._silent = silent
        # one thread keeps the order, and a slow disk does not hold the event loop
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="presence")
        self.record = ScreenRecord(os.getpid())

    @property
    def attached(self) -> bool:
        """Whether somebody looks."""
        return bool(self.record.terminal)

    def changed(self, news: str) -> None:
        """Take note of what the driver tells."""
        kind, _, words = news.partition(": ")
        terminal = {"attached": words or "yes", "headless": ""}.get(kind, self.record.terminal)
        self._write(replace(self.record, terminal=terminal, news=news, at=time.time()))

    def failed(self, failure: str) -> None:
        """Take note that the screen failed; the training goes on."""
        self._write(replace(self.record, failure=failure, terminal="", at=time.time()))

    def tell(self) -> None:
        """Write down again what is known: this process trains from now on."""
        self._write(self.record)

    def close(self) -> None:
        """Leave nothing behind."""
        self._writer.submit(self._remove)
        self._writer.shutdown()

    def _write(self, record: ScreenRecord) -> None:
        self.record = record
        if not self._silent:
            self._writer.submit(self._put, record)

    def _put(self, record: ScreenRecord) -> None:
        half = self._path.with_name(f".{self._path.name}.{record.pid}")
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(record))
            os.replace(half, self._path)

    def _remove(self) -> None:
        found = None if self._silent else _read(self._path)
        if found is not None and found.pid == self.record.pid:
            with contextlib.suppress(OSError):
                self._path.unlink()


def _read(path: Path) -> ScreenRecord | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=ScreenRecord)
    except (OSError, ValueError):
        return None


class Reach(Struct, frozen=True):
    """The process that trains, and how it can be reached. ``since`` in Unix seconds."""

    pid: int
    host: str
    since: float
    attachable: bool
    terminal: str = ""
    failure: str = ""


def reach(workspace: Workspace) -> Reach | None:
    """Return how the process that trains in ``workspace`` can be reached, None if none does."""
    holder = who_trains(workspace)
    if holder is None:
        return None
    said = _read(workspace.screen_record)
    record = said if said is not None and said.pid == holder.pid else ScreenRecord(holder.pid)
    attachable = _listener(workspace) == holder.pid
    return Reach(holder.pid, holder.host, holder.since, attachable, record.terminal, record.failure)


def _listener(workspace: Workspace) -> int | None:
    """Return the process that takes terminals here, None if none does."""
    try:
        with connect(workspace.socket) as connection:
            return peer(connection)[0]
    except OSError:
        return None
