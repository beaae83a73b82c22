"""The layout of a workspace: every path in it, the run folders, the link to the model store.

No other module joins path parts of a workspace.
"""

import contextlib
import os
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from opeddev_tui.config.settings import Paths
from opeddev_tui.errors import StorageProblem, TrainingProblem
from opeddev_tui.files import storage_errors
from opeddev_tui.workspace import store as stores
from opeddev_tui.workspace import takeover

SPECS = ".specs"
# the beginning of a run's id
_STAMP = "%Y%m%d-%H%M%S"
STAMP_LENGTH = 15


def expand(workspace: Path, text: str) -> Path:
    """Return a path of the settings: ~ expanded, relative to ``workspace`` unless absolute."""
    return workspace / Path(text).expanduser()


def hub_record(workspace: Path) -> Path:
    """Return the file that records at which commit each data set of the hub was fetched."""
    return workspace / SPECS / "hub.json"


def corrections_file(workspace: Path) -> Path:
    """Return the file of corrected grades, which lies beside the data and never in it."""
    return workspace / SPECS / "corrections.jsonl"


def graded_history_file(workspace: Path) -> Path:
    """Return the file that keeps every correction of a grader's answer, also those that were replaced or undone."""
    return workspace / SPECS / "graded_by_people.jsonl"


def grader_draft_file(workspace: Path) -> Path:
    """Return the file that keeps what was typed on the grader's screen when the app was left."""
    return workspace / SPECS / "grader_draft.json"


def test_looks_file(workspace: Path) -> Path:
    """Return the file that counts every look at the test set."""
    return workspace / SPECS / "test_looks.jsonl"


def proposals_lock(workspace: Path) -> Path:
    """Return the lock of the process that takes proposed rows."""
    return workspace / SPECS / "proposals.lock"


class Workspace:
    """Paths of one workspace. Only ``link_store``, ``adopt`` and ``take`` write anything."""

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
        """The folder of one run: journal, manifest, mailbox ("": of none).

        Raises ``TrainingProblem`` for what is no run's name, or a link: nothing outside is ever read or written.
        """
        folder = self.runs / run
        if run and (not is_plain_name(run) or folder.is_symlink()):
            raise TrainingProblem(
                f"{run} is not the name of a run of this workspace.", cure="See the runs with: opeddev-tui status."
            )
        return folder

    def run_manifest(self, run: str) -> Path:
        """The manifest that one run began with."""
        return self.run_folder(run) / "manifest.json"

    def race_file(self, run: str) -> Path:
        """The race of all ways to a grade at the end of a run's step."""
        return self.run_folder(run) / "race.json"

    def run_ids(self) -> list[str]:
        """Return the ids of all runs with a folder, oldest first."""
        if not self.runs.is_dir():
            return []
        return sorted(entry.name for entry in self.runs.iterdir() if entry.is_dir() and not entry.is_symlink())

    @property
    def store(self) -> Path:
        """This workspace's own folder inside the model store, which several workspaces may share.

        A workspace that was moved keeps its folder, a copy gets a new one.
        """
        return self._home.folder

    @property
    def copy_notice(self) -> str:
        """The message to show if this workspace is a copy, else an empty text."""
        return self._home.copy_notice

    @property
    def _home(self) -> stores.Home:
        return stores.home_of(self.root, self.path(self.paths.model_store))

    def located(self, recorded: str) -> str:
        """Return the present place of a checkpoint or model that a journal or manifest names."""
        return stores.located(self.store, recorded, self.root)

    def named(self, place: str) -> str:
        """Return the name under which a checkpoint or model at ``place`` is recorded; a move does not change it."""
        return stores.named(self.store, place, self.root)

    def adopt(self) -> None:
        """Record the present place of this workspace, if it has checkpoints; raises ``StorageProblem``.

        Call it before loading adapters: they name their base model by its place.
        """
        stores.adopt(self.root, self.path(self.paths.model_store))

    def take(self) -> Path:
        """Take over the checkpoints of the place that this workspace was moved from; raises ``StorageProblem``."""
        return takeover.take(self.root, self.path(self.paths.model_store))

    def checkpoints(self, run: str) -> Path:
        """The folder of one run's checkpoints."""
        return self.store / (run if is_plain_name(run) else "-")

    def has_checkpoint(self, folder: Path) -> bool:
        """True if ``folder`` lies where this workspace keeps checkpoints, or kept them before a move."""
        places = stores.places(self.store, self.root)
        return any(folder.resolve().is_relative_to(place.resolve()) for place in places)

    @property
    def log(self) -> Path:
        """The log file of the libraries."""
        return self.path(self.paths.train_log)

    def metrics_csv(self, name: str) -> Path:
        """The metrics table called ``name``."""
        return self.path(self.paths.logs) / name

    @property
    def last_run_args(self) -> Path:
        """The manifest of the last run."""
        return self.path(self.paths.last_run_args)

    @property
    def holdout_record(self) -> Path:
        """The recorded fingerprint of the hold-out."""
        return self.root / SPECS / "holdout.json"

    @property
    def grading(self) -> Path:
        """Features of rows, each read once per model; they tell about the rows, so they are the owner's alone."""
        return self.root / SPECS / "grading"

    def group_file(self, group: str) -> Path:
        """The record of the group of runs called ``group``; raises ``TrainingProblem`` for what is no group's name."""
        if not is_plain_name(group):
            raise TrainingProblem(f"{group} is not the name of a group of runs.", cure="See: opeddev-tui status.")
        return self.root / SPECS / "groups" / f"{group}.json"

    def group_ids(self) -> list[str]:
        """Return the names of all groups of runs with a record."""
        return sorted(path.stem for path in (self.root / SPECS / "groups").glob("*.json"))

    def tuning_folder(self, tuning: str) -> Path:
        """The folder of the comparison of settings called ``tuning``, with its runs."""
        return self.root / SPECS / "tune" / (tuning if is_plain_name(tuning) else "-")

    def tuning_ids(self) -> list[str]:
        """Return the names of all comparisons of settings."""
        return sorted(path.parent.name for path in (self.root / SPECS / "tune").glob("*/tune.json"))

    @property
    def checkpoint_notes(self) -> Path:
        """Pins and notes on checkpoints."""
        return self.root / SPECS / "checkpoints.json"

    @property
    def lock(self) -> Path:
        """The lock file, held by the process that trains."""
        return self.root / SPECS / "run.lock"

    @property
    def live_file(self) -> Path:
        """What the training process publishes beside its journal (see ``runs.live_file``)."""
        return self.root / SPECS / "training.json"

    def link_store(self) -> str:
        """Make the model store, the workspace's own folder in it, and the link in the workspace.

        Returns ``copy_notice``, which is empty from then on. Raises ``StorageProblem``.
        """
        store, link = self.path(self.paths.model_store), self.path(self.paths.model_link)
        is_store = link.exists() and store.exists() and link.samefile(store)
        if link.exists() and not link.is_symlink() and not is_store:
            raise StorageProblem(
                "is in the way of the link to the model store.",
                where=str(link),
                cure="Move it away, or set paths.model_link to another name.",
            )
        notice = stores.claim(self.root, store)
        with storage_errors(link):
            link.parent.mkdir(parents=True, exist_ok=True)
            if link.is_symlink() and link.readlink() != store:
                link.unlink()
            if not link.is_symlink() and not is_store:
                link.symlink_to(store)
        return notice

    def relative(self, path: Path) -> str:
        """Return ``path`` as text, relative to the workspace if it lies in it."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)


def is_plain_name(name: str) -> bool:
    """True for the name of one entry of a folder, which leads nowhere else."""
    return name not in ("", ".", "..") and "/" not in name and "\0" not in name


def new_run_id(step: int, batch: str, before: Sequence[str] = ()) -> str:
    """Return a new run id; ids sort in the order of the runs and are unique across workspaces.

    It sorts after those of ``before``, also where the clock was set back since.
    """
    safe = "".join(char if char.isalnum() or char in "-_" else "-" for char in batch)[:40]
    stamp = time.strftime(_STAMP, time.gmtime())
    newest = max((run[:STAMP_LENGTH] for run in before), default="")
    if stamp <= newest:
        # a stamp that is no time, or the last one there is, is left alone
        with contextlib.suppress(ValueError, OverflowError):
            stamp = (datetime.strptime(newest, _STAMP) + timedelta(seconds=1)).strftime(_STAMP)
    return f"{stamp}-step{step}-{safe}-{os.urandom(2).hex()}"
