"""Lock files: one holder at a time, and the lock of a workspace, which says who trains there.

The operating system releases a lock when its process ends, so no lock is ever left behind.
"""

import fcntl
import os
import platform
import time
from pathlib import Path

from msgspec import Struct

from opeddev_tui.errors import BusyProblem
from opeddev_tui.files import storage_errors
from opeddev_tui.workspace.paths import Workspace

# seconds between two tries for a lock that another process holds
_RETRY_SECONDS = 0.05


class FileLock:
    """An exclusive lock on the file ``path``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self, patience: float = 0.0) -> bool:
        """Take the lock; return False if another holder keeps it for ``patience`` seconds.

        Raises ``StorageProblem`` if the file cannot be made.
        """
        with storage_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        end = time.monotonic() + patience
        while not _locked(descriptor):
            if time.monotonic() >= end:
                os.close(descriptor)
                return False
            time.sleep(_RETRY_SECONDS)
        self._descriptor = descriptor
        return True

    def describe(self, text: str) -> None:
        """Write who holds the lock into its file; raises ``StorageProblem``."""
        assert self._descriptor is not None
        with storage_errors(self.path):
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, text.encode(), 0)

    def release(self) -> None:
        """Release the lock; does nothing if it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def described_holder(path: Path) -> str | None:
    """Return what the holder of the lock on ``path`` wrote (at most 300 bytes), None if nobody holds it."""
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


class RunLock(FileLock):
    """The lock of a workspace: one training at a time. A ``with`` block waits ``patience`` seconds for it at most."""

    def __init__(self, workspace: Workspace, patience: float = 0.0) -> None:
        super().__init__(workspace.lock)
        self._root = workspace.root
        self._patience = patience

    def acquire(self, patience: float = 0.0) -> bool:
        """Take the lock within ``patience`` seconds; raise ``BusyProblem`` naming the process that has it."""
        if self._descriptor is not None:
            return True
        # a process that only looks who trains holds the lock for a moment
        if not super().acquire(max(patience, 2 * _RETRY_SECONDS)):
            raise busy(_holder_of(described_holder(self.path) or "").pid, self._root)
        # every digit: an event of the same millisecond must not look older than the lock
        self.describe(f"{os.getpid()}\n{platform.node()}\n{time.time()!r}\n")
        return True

    def __enter__(self) -> "RunLock":
        self.acquire(self._patience)
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def busy(pid: int, root: Path) -> BusyProblem:
    """Return the problem of a workspace in which process ``pid`` trains (not positive: unknown)."""
    return BusyProblem(
        f"a training is already running here (process {pid if pid > 0 else 'unknown'}).",
        where=str(root),
        cure="Follow it with: opeddev-tui; or see: opeddev-tui status.",
    )


class Holder(Struct, frozen=True):
    """The process that trains: its id, its machine and its start in Unix seconds; -1, "" and 0 if they are unknown."""

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
