"""The record of a comparison of settings: which settings, on which folds, and where its runs lie.

It is written before anything is trained, so that a killed comparison goes on where it was.
"""

from pathlib import Path

import msgspec
from msgspec import Struct

from opeddev_tui.config.settings import Paths
from opeddev_tui.errors import TrainingProblem
from opeddev_tui.files import read_record, write_atomic
from opeddev_tui.runs.journal import read
from opeddev_tui.runs.state import RunState, reduce
from opeddev_tui.workspace.paths import Workspace

# where the trainings of a comparison write, inside its folder: it is a workspace of its own, without data
PATHS = Paths(model_store="store", model_link="link", logs="logs", runs="runs", train_log="train.log")


class Cell(Struct, frozen=True):
    """One training of a comparison: the number of its setting and of its fold, from 0."""

    setting: int
    fold: int

    @property
    def run(self) -> str:
        """The name of its run."""
        return f"setting{self.setting + 1}-fold{self.fold + 1}"


class Tuning(Struct, frozen=True):
    """A comparison on ``step``, from ``parent`` (empty: the base model): ``grid`` has the overrides of each setting.

    ``rows`` is the SHA-256 of the step's training rows, ``settings`` that of the settings that lie below the compared
    ones, ``overrides`` are those of the call.
    """

    id: str
    step: int
    batch: str
    parent: str
    grid: tuple[tuple[str, ...], ...]
    folds: int
    seed: int
    metric: str
    rows: str
    settings: str = ""
    overrides: tuple[str, ...] = ()
    created: float = 0.0

    @property
    def cells(self) -> list[Cell]:
        """All trainings: every setting on the first fold, then on the next."""
        return [Cell(setting, fold) for fold in range(self.folds) for setting in range(len(self.grid))]

    def same_as(self, other: "Tuning") -> bool:
        """True if ``other`` would train the same."""
        return msgspec.structs.replace(other, id=self.id, created=self.created) == self


def write_tuning(workspace: Workspace, tuning: Tuning) -> None:
    """Write the record of ``tuning``; raises ``StorageProblem``."""
    content = msgspec.json.format(msgspec.json.encode(tuning), indent=1) + b"\n"
    write_atomic(workspace.tuning_folder(tuning.id) / "tune.json", content, mode=0o600)


def read_tuning(workspace: Workspace, tuning: str) -> Tuning:
    """Return the record of ``tuning``; raises ``TrainingProblem`` where there is none that can be read."""
    found = next((item for item in list_tunings(workspace) if item.id == tuning), None)
    if found is None:
        raise TrainingProblem(f"there is no comparison of settings called {tuning}.", cure="Begin one: tune KEY=A,B.")
    return found


def list_tunings(workspace: Workspace) -> list[Tuning]:
    """Return every comparison whose record can be read, oldest first."""
    found = []
    for name in workspace.tuning_ids():
        try:
            found.append(read_record(workspace.tuning_folder(name) / "tune.json", Tuning))
        except (OSError, ValueError):
            continue
    return sorted(found, key=lambda tuning: (tuning.created, tuning.id))


def place_of(workspace: Workspace, tuning: Tuning) -> Workspace:
    """Return the workspace that the trainings of ``tuning`` write to."""
    return Workspace(workspace.tuning_folder(tuning.id), PATHS)


def cell_folder(workspace: Workspace, tuning: Tuning, cell: Cell) -> Path:
    """Return the folder of the run of ``cell``."""
    return place_of(workspace, tuning).run_folder(cell.run)


def results_of(workspace: Workspace, tuning: Tuning) -> dict[Cell, RunState]:
    """Return the states of the trainings that have finished."""
    found = {}
    for cell in tuning.cells:
        folder = cell_folder(workspace, tuning, cell)
        state = reduce(read(folder)) if folder.is_dir() else RunState()
        if state.status == "finished":
            found[cell] = state
    return found
