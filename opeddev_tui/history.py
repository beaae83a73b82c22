"""The runs of a workspace as they were recorded: which there are, and which steps they finished."""

from pathlib import Path

from msgspec import Struct

from opeddev_tui.journal import read
from opeddev_tui.state import RunState, reduce
from opeddev_tui.workspace import Workspace


class RunRecord(Struct, frozen=True):
    """One recorded run."""

    id: str
    folder: Path
    state: RunState

    @property
    def step(self) -> int:
        """The number of the step it trains."""
        return self.state.started.step if self.state.started else -1


def read_run(workspace: Workspace, run: str) -> RunRecord:
    """Return the run ``run`` from its journal."""
    folder = workspace.run_folder(run)
    return RunRecord(run, folder, reduce(read(folder)))


def list_runs(workspace: Workspace) -> list[RunRecord]:
    """Return all runs that began, oldest first."""
    records = [read_run(workspace, run) for run in workspace.run_ids()]
    return sorted(
        (record for record in records if record.state.started),
        key=lambda record: record.state.started.at if record.state.started else 0.0,
    )


def finished_steps(records: list[RunRecord]) -> dict[int, RunRecord]:
    """Return the newest finished run of each step; a repetition stands beside the run that it repeats."""
    return {record.step: record for record in records if record.state.status == "finished" and not record.state.repeats}
