"""Owns the layout of a workspace: every path, the link to the model store, run folders, the lock.

No other module joins path parts of a workspace.
"""

import contextlib
import fcntl
import os
import platform
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from opeddev_tui import stores
from opeddev_tui.errors import BusyProblem, StorageProblem
from opeddev_tui.settings import Paths
from opeddev_tui.storage import told_clearly

SPECS = ".specs"


def expand(workspace: Path, text: str) -> Path:
    """Return a path of the settings: ~ expanded, relative to ``workspace`` unless absolute."""
    return workspace / Path(text).expanduser()


def hub_record(workspace: Path) -> Path:
    """The commits at which data sets of the hub were fetched."""
    return workspace / SPECS / "hub.json"


class Workspace:
    """Paths of one workspace. Makes folders only when asked to."""

    def __init__(self, root: Path, paths: Paths) -> None:
        self.root = root.expanduser().resolve()
        self.paths = paths

    def path(self, text: str) -> Path:
        """Return a path of the settings inside this workspace."""
        return expand(self.root, text)

    @property
    def runs(self) -> Path:
        """The folder of all runs."""
        return self.path(self.paths.runs)

    def run_folder(self, run: str) -> Path:
        """The folder of one run: journal, manifest, mailbox."""
        return self.runs / run

    def run_manifest(self, run: str) -> Path:
        """The manifest that one run began with."""
        return self.run_folder(run) / "manifest.json"

    def run_ids(self) -> list[str]:
        """Return the ids of all runs with a folder, oldest first."""
        if not self.runs.is_dir():
            return []
        return sorted(entry.name for entry in self.runs.iterdir() if entry.is_dir())

    @property
    def store(self) -> Path:
        """Where this workspace's checkpoints are: its own folder inside the model store.

        Several workspaces may share one store; a workspace that was moved keeps its folder, a copy gets its own.
        """
        return stores.folder_of(self.root, self.path(self.paths.model_store))

    @property
    def copy_words(self) -> str:
        """The line for a person that a copy of a workspace has checkpoints of its own; empty for any other."""
        return stores.copy_words(self.root, self.path(self.paths.model_store))

    def located(self, recorded: str) -> str:
        """Return where a checkpoint or model folder that was ``recorded`` by its absolute path is now."""
        return stores.located(self.store, recorded, self.root)

    def adopt(self) -> None:
        """Write down where this workspace is now, if it has checkpoints; raises ``StorageProblem``.

        Adapters name the model below them by its place, so this comes before anything loads one.
        """
        stores.adopt(self.root, self.path(self.paths.model_store))

    def checkpoints(self, run: str) -> Path:
        """The folder of one run's checkpoints."""
        return self.store / run

    @property
    def log(self) -> Path:
        """What the libraries print."""
        return self.path(self.paths.train_log)

    def metrics_csv(self, batch: str) -> Path:
        """The metrics table of the step that added ``batch``."""
        return self.path(self.paths.logs) / f"metrics_step_{batch}.csv"

    @property
    def last_run_args(self) -> Path:
        """The manifest of the last run."""
        return self.path(self.paths.last_run_args)

    @property
    def holdout_record(self) -> Path:
        """The fingerprint of the hold-out, taken once."""
        return self.root / SPECS / "holdout.json"

    @property
    def checkpoint_notes(self) -> Path:
        """Pins and notes on checkpoints."""
        return self.root / SPECS / "checkpoints.json"

    @property
    def lock(self) -> Path:
        """Held by the process that trains."""
        return self.root / SPECS / "run.lock"

    @property
    def socket(self) -> Path:
        """Where the app of this workspace takes terminals (``attach``)."""
        return self.root / SPECS / "attach.sock"

    @property
    def screen_record(self) -> Path:
        """What the training process last said about its terminal."""
        return self.root / SPECS / "screen.json"

    def link_store(self) -> str:
        """Make the model store, the workspace's own folder in it, and the link in the workspace.

        Returns ``copy_words``, for the last time; raises ``StorageProblem`` if that cannot be.
        """
        store, link = self.path(self.paths.model_store), self.path(self.paths.model_link)
        is_store = link.exists() and store.exists() and link.samefile(store)
        if link.exists() and not link.is_symlink() and not is_store:
            raise StorageProblem(
                "is in the way of the link to the model store.",
                where=str(link),
                cure="Move it away, or set paths.model_link to another name.",
            )
        words = stores.claim(self.root, store)
        with told_clearly(link):
            link.parent.mkdir(parents=True, exist_ok=True)
            if link.is_symlink() and link.readlink() != store:
                link.unlink()
            if not link.is_symlink() and not is_store:
                link.symlink_to(store)
        return words

    def relative(self, path: Path) -> str:
        """Return ``path`` as text, short where it lies in the workspace."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)


def new_run_id(step: int, batch: str) -> str:
    """Return a name for a run that sorts by time and is unique across workspaces."""
    safe = "".join(char if char.isalnum() or char in "-_" else "-" for char in batch)[:40]
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    return f"{stamp}-step{step}-{safe}-{secrets.token_hex(2)}"


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
