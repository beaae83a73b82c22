"""Lock files: one holder at a time, and the lock of a workspace, which says who trains there.

The operating system releases a lock when its process ends, so no lock is ever left behind. Whoever holds the lock of a
file that was deleted holds nothing: the file's inode is compared, and a training makes its lock file again.
"""

import contextlib
import fcntl
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct

from opeddev_tui.errors import BusyProblem, StorageProblem
from opeddev_tui.files import on_network, read_file, storage_errors
from opeddev_tui.workspace.paths import Workspace

# seconds between two tries for a lock that another process holds
_RETRY_SECONDS = 0.05
# seconds to wait for a process that changes a file for a moment
_PATIENCE = 10.0
# seconds between two looks of a training at its lock file
_LOOK_SECONDS = 1.0


class FileLock:
    """An exclusive lock on the file ``path``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self, patience: float = 0.0) -> bool:
        """Take the lock; return False if another holder keeps it for ``patience`` seconds.

        Raises ``StorageProblem`` if the file cannot be made or its file system has no locks.
        """
        end = time.monotonic() + patience
        while (descriptor := self._locked_file()) is None:
            if time.monotonic() >= end:
                return False
            time.sleep(_RETRY_SECONDS)
        self._descriptor = descriptor
        return True

    def _locked_file(self) -> int | None:
        """Return a descriptor of the locked file, None if another holder has it or the file was deleted meanwhile."""
        with storage_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                if locked(descriptor) and _is_at(descriptor, self.path):
                    return descriptor
            except OSError:
                os.close(descriptor)
                raise
        os.close(descriptor)
        return None

    @property
    def valid(self) -> bool:
        """True while the lock is held and its file is the one that others would lock."""
        return self._descriptor is not None and _is_at(self._descriptor, self.path)

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
    """Return what the holder of the lock on ``path`` wrote (at most 300 bytes), None if nobody holds it.

    Raises ``PermissionError`` where that cannot be known: the file is another user's.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except PermissionError:
        raise
    except OSError:
        return None
    try:
        return None if locked(descriptor) else _text_of(descriptor)
    except OSError:
        return None  # a file system without locks: nobody can train there
    finally:
        os.close(descriptor)


def _text_of(descriptor: int) -> str:
    return os.pread(descriptor, 300, 0).decode(errors="replace")


def locked(descriptor: int) -> bool:
    """Lock an open file if nobody else holds its lock; return whether that was done. Raises ``OSError``."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def hold_lock(path: Path, busy: str, *, cure: str = "Try again.", patience: float = _PATIENCE) -> Iterator[None]:
    """Hold the lock on ``path`` for the block.

    Raises ``BusyProblem`` with the sentence ``busy`` if another holder keeps it for ``patience`` seconds.
    """
    lock = FileLock(path)
    if not lock.acquire(patience):
        raise BusyProblem(busy, where=str(path), cure=cure)
    try:
        yield
    finally:
        lock.release()


def _is_at(descriptor: int, path: Path) -> bool:
    """True if ``path`` still names the open file."""
    mine = os.fstat(descriptor)
    try:
        there = path.stat()
    except OSError:
        return False
    return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)


class RunLock(FileLock):
    """The lock of a workspace: one training at a time. A ``with`` block waits ``patience`` seconds for it at most.

    ``tell`` is called, on a thread of its own, with a sentence when the lock file was deleted while it was held.
    """

    def __init__(self, workspace: Workspace, patience: float = 0.0) -> None:
        super().__init__(workspace.lock)
        self._root = workspace.root
        self._patience = patience
        self.tell: Callable[[str], None] = lambda _: None
        self._over = threading.Event()
        # held while the file is looked after: a lock that is being released must not be taken again
        self._turn = threading.Lock()

    def acquire(self, patience: float = 0.0) -> bool:
        """Take the lock within ``patience`` seconds; raise ``BusyProblem`` naming the process that has it."""
        if self._descriptor is not None:
            return True
        # a process that only looks who trains holds the lock for a moment
        if not super().acquire(max(patience, 2 * _RETRY_SECONDS)):
            raise busy(_holder_of(described_holder(self.path) or "").pid, self._root)
        # every digit: an event of the same millisecond must not look older than the lock
        self._description = f"{os.getpid()}\n{platform.node()}\n{time.time()!r}\n{namespace()}\n"
        self.describe(self._description)
        self._over.clear()
        threading.Thread(target=self._look_after, name="lock", daemon=True).start()
        return True

    def _look_after(self) -> None:
        """Make the lock file again where it was deleted, for as long as the lock is held."""
        lost = False
        while not self._over.wait(_LOOK_SECONDS):
            with self._turn:
                if self._over.is_set() or self.valid:
                    lost = False
                    continue
                regained = self._regain()
            if regained or not lost:
                what = "was made again" if regained else "is held by another process: two trainings may run here"
                self.tell(f"the lock file {self.path} was deleted or replaced while this training ran; it {what}.")
            lost = not regained

    def _regain(self) -> bool:
        try:
            descriptor = self._locked_file()
            if descriptor is None:
                return False
            old, self._descriptor = self._descriptor, descriptor
            if old is not None:
                os.close(old)
            self.describe(self._description)
        except (OSError, StorageProblem):
            return False
        return True

    def release(self) -> None:
        """Release the lock; its file says no longer who holds it."""
        self._over.set()
        with self._turn:
            if self._descriptor is not None:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._descriptor, 0)
            super().release()

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
    """The process that trains: its id, its machine and its start in Unix seconds; -1, "" and 0 if they are unknown.

    ``certain`` is False where it cannot be known whether it lives. ``elsewhere``: its id counts in another container.
    """

    pid: int
    host: str = ""
    since: float = 0.0
    certain: bool = True
    elsewhere: bool = False


def _holder_of(text: str) -> Holder:
    lines = [*text.splitlines(), "", "", "", ""]
    since = float(lines[2]) if lines[2].replace(".", "", 1).isdecimal() else 0.0
    # on another machine the id means nothing here anyway: its name says so
    elsewhere = lines[1] == platform.node() and lines[3] not in ("", namespace())
    return Holder(int(lines[0]) if lines[0].isdecimal() else -1, lines[1], since, elsewhere=elsewhere)


def namespace() -> str:
    """Return what tells apart the containers of one machine: processes of two of them may have the same id."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def who_trains(workspace: Workspace) -> Holder | None:
    """Return who trains in ``workspace``, None if nobody does.

    The holder is not ``certain`` where the lock is another user's.
    """
    try:
        text = described_holder(workspace.lock)
    except PermissionError:
        return Holder(-1, certain=False)
    return None if text is None else _holder_of(text)


def who_may_train(workspace: Workspace) -> Holder | None:
    """Return ``who_trains``, or the process of another machine that the lock's file still names, not ``certain``.

    A lock on a disk of the network may not reach this machine; a process that ends in order leaves no name.
    """
    holder = who_trains(workspace)
    if holder is not None:
        return holder
    try:
        text = read_file(workspace.lock)[:300].decode(errors="replace")
    except OSError:
        return None
    left = _holder_of(text)
    if left.host in ("", platform.node()) or not on_network(workspace.lock):
        return None
    return Holder(left.pid, left.host, left.since, certain=False)


def lock_holder(workspace: Workspace) -> int | None:
    """Return the id of the process that trains in ``workspace``, None if there is none."""
    holder = who_trains(workspace)
    return holder.pid if holder is not None else None
