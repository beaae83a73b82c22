"""The lock of a workspace: one training at a time, and who holds it.

It is a file lock, so it ends with its process and cannot be left behind.
"""

import contextlib
import fcntl
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from opeddev_tui.errors import BusyProblem
from opeddev_tui.storage import told_clearly
from opeddev_tui.workspace import Workspace

# locks taken ahead of the training: the next ``RunLock`` of this process takes them over
_reserved: dict[Path, int] = {}


class RunLock:
    """One training at a time in a workspace. The lock dies with its process, so it cannot go stale."""

    def __init__(self, workspace: Workspace) -> None:
        self._path = workspace.lock
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock; raise ``BusyProblem`` naming the process that holds it."""
        self._descriptor = _reserved.pop(self._path, None)
        if self._descriptor is None:
            self._descriptor = _take(self._path)

    def release(self) -> None:
        """Give the lock back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> "RunLock":
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _take(path: Path) -> int:
    with told_clearly(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = _read_holder(descriptor)
        os.close(descriptor)
        raise BusyProblem(
            f"a training is already running here (process {holder.pid if holder.pid > 0 else 'unknown'}).",
            where=str(path.parent.parent),
            cure="Take its screen with: opeddev-tui attach; or look at: opeddev-tui status.",
        ) from None
    with told_clearly(path):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n{platform.node()}\n{time.time():.3f}\n".encode(), 0)
    return descriptor


@contextlib.contextmanager
def reserved(workspace: Workspace) -> Iterator[None]:
    """Hold the lock before the training stack is loaded; the next ``RunLock`` of this process takes it over.

    Raises ``BusyProblem`` at once where another process trains.
    """
    path = workspace.lock
    if path not in _reserved:
        _reserved[path] = _take(path)
    try:
        yield
    finally:
        descriptor = _reserved.pop(path, None)
        if descriptor is not None:
            os.close(descriptor)


class Holder(Struct, frozen=True):
    """Who trains here. ``pid`` is -1 and the others are empty where the lock's text cannot be read."""

    pid: int
    host: str = ""
    since: float = 0.0


def _read_holder(descriptor: int) -> Holder:
    lines = [*os.pread(descriptor, 300, 0).decode(errors="replace").splitlines(), "", "", ""]
    since = float(lines[2]) if lines[2].replace(".", "", 1).isdecimal() else 0.0
    return Holder(int(lines[0]) if lines[0].isdecimal() else -1, lines[1], since)


def who_trains(workspace: Workspace) -> Holder | None:
    """Return who trains in ``workspace``, None if nobody does."""
    try:
        descriptor = os.open(workspace.lock, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_holder(descriptor)
    finally:
        os.close(descriptor)
    return None


def lock_holder(workspace: Workspace) -> int | None:
    """Return the id of the process that trains in ``workspace``, None if there is none."""
    holder = who_trains(workspace)
    return holder.pid if holder is not None else None
