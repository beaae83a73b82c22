"""Lock files: one holder at a time, and the lock of a workspace with who trains in it.

A lock ends with its process, so it cannot be left behind.
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

# between two looks at a lock that another process holds, in seconds
_LOOK_SECONDS = 0.05


class FileLock:
    """An exclusive lock on the file ``path``. It ends with its process, so it cannot go stale."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self, patience: float = 0.0) -> bool:
        """Take the lock; False where another holder keeps it for ``patience`` seconds.

        Raises ``StorageProblem`` where the file cannot be made.
        """
        with told_clearly(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        end = time.monotonic() + patience
        while not _locked(descriptor):
            if time.monotonic() >= end:
                os.close(descriptor)
                return False
            time.sleep(_LOOK_SECONDS)
        self._descriptor = descriptor
        return True

    def describe(self, text: str) -> None:
        """Write who holds the lock into its file; raises ``StorageProblem``."""
        assert self._descriptor is not None
        with told_clearly(self.path):
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, text.encode(), 0)

    def release(self) -> None:
        """Give the lock back; nothing happens where it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def described_holder(path: Path) -> str | None:
    """Return what the holder of the lock on ``path`` has written, at most 300 bytes; None where nobody holds it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return None if _locked(descriptor) else os.pread(descriptor, 300, 0).decode(errors="replace")
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


# locks taken ahead of the training: the next ``RunLock`` of this process takes them over
_reserved: dict[Path, FileLock] = {}


class RunLock:
    """One training at a time in a workspace. The lock dies with its process, so it cannot go stale."""

    def __init__(self, workspace: Workspace) -> None:
        self._path = workspace.lock
        self._lock: FileLock | None = None

    def acquire(self, patience: float = 0.0) -> None:
        """Take the lock, waiting at most ``patience`` seconds; raise ``BusyProblem`` naming the process that has it."""
        self._lock = _reserved.pop(self._path, None) or _take(self._path, patience)

    def release(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> "RunLock":
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _take(path: Path, patience: float = 0.0) -> FileLock:
    lock = FileLock(path)
    if not lock.acquire(patience):
        holder = _holder_of(described_holder(path) or "")
        raise BusyProblem(
            f"a training is already running here (process {holder.pid if holder.pid > 0 else 'unknown'}).",
            where=str(path.parent.parent),
            cure="Take its screen with: opeddev-tui attach; or look at: opeddev-tui status.",
        )
    lock.describe(f"{os.getpid()}\n{platform.node()}\n{time.time():.3f}\n")
    return lock


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
        lock = _reserved.pop(path, None)
        if lock is not None:
            lock.release()


class Holder(Struct, frozen=True):
    """Who trains here. ``pid`` is -1 and the others are empty where the lock's text cannot be read."""

    pid: int
    host: str = ""
    since: float = 0.0


def _holder_of(text: str) -> Holder:
    lines = [*text.splitlines(), "", "", ""]
    since = float(lines[2]) if lines[2].replace(".", "", 1).isdecimal() else 0.0
    return Holder(int(lines[0]) if lines[0].isdecimal() else -1, lines[1], since)


def who_trains(workspace: Workspace) -> Holder | None:
    """Return who trains in ``workspace``, None if nobody does."""
    text = described_holder(workspace.lock)
    return None if text is None else _holder_of(text)


def lock_holder(workspace: Workspace) -> int | None:
    """Return the id of the process that trains in ``workspace``, None if there is none."""
    holder = who_trains(workspace)
    return holder.pid if holder is not None else None
