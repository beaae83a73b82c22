"""The layout of a workspace: every path, run folders, the link to the model store.

No other module joins path parts of a workspace.
"""

import secrets
import time
from pathlib import Path

from opeddev_tui.config.settings import Paths
from opeddev_tui.errors import StorageProblem
from opeddev_tui.files import storage_errors
from opeddev_tui.workspace import store as stores

SPECS = ".specs"
# how often a lock is tried for before it counts as held
_TRIES = 3


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
    def copy_notice(self) -> str:
        """The line for a person that a copy of a workspace has checkpoints of its own; empty for any other."""
        return stores.copy_notice(self.root, self.path(self.paths.model_store))

    def located(self, recorded: str) -> str:
        """Return where a checkpoint or model that a journal or manifest names is now."""
        return stores.located(self.store, recorded, self.root)

    def named(self, place: str) -> str:
        """Return how a checkpoint or model at ``place`` is recorded: a name that a move does not change."""
        return stores.named(self.store, place, self.root)

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
    def grading(self) -> Path:
        """Features of rows, each read once per model; they tell about the rows, so they are the owner's alone."""
        return self.root / SPECS / "grading"

    @property
    def checkpoint_notes(self) -> Path:
        """Pins and notes on checkpoints."""
        return self.root / SPECS / "checkpoints.json"

    @property
    def lock(self) -> Path:
        """Held by the process that trains."""
        return self.root / SPECS / "run.lock"

    @property
    def live_file(self) -> Path:
        """The newest that the training process says beside its journal."""
        return self.root / SPECS / "training.json"

    def link_store(self) -> str:
        """Make the model store, the workspace's own folder in it, and the link in the workspace.

        Returns ``copy_notice``, for the last time; raises ``StorageProblem`` if that cannot be.
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
        with storage_errors(link):
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
