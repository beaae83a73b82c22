"""Lock a file for one process at a time, with a word about the holder in it. Knows no workspace."""

import fcntl
import os
import time
from pathlib import Path

from opeddev_tui.storage import told_clearly

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
