"""List the recorded runs of a workspace, their present status and the steps they finished."""

from pathlib import Path
from typing import Literal

from msgspec import Struct

from opeddev_tui.runs.journal import read
from opeddev_tui.runs.state import RunState, Status, reduce
from opeddev_tui.workspace.paths import STAMP_LENGTH, Workspace


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
    # by the ids, which grow whatever the clock does; version 0.1 could begin two runs in one second
    return sorted(
        (record for record in records if record.state.started),
        key=lambda record: (record.id[:STAMP_LENGTH], record.state.begun.at),
    )


def status_of(state: RunState, *, alive: bool) -> Status:
    """Return the present status of a run; ``alive`` says whether a process trains it.

    A run whose process ended without recording its end is interrupted, whatever its journal recorded last.
    """
    return state.status if state.over or alive else "interrupted"


def status_as_known(state: RunState, *, alive: bool | None) -> Status | Literal["unknown"]:
    """Return ``status_of``, or "unknown" for a run in progress where nobody can know whether it lives (None)."""
    if alive is None and not state.over:
        return "unknown"
    return status_of(state, alive=bool(alive))


def finished_steps(records: list[RunRecord]) -> dict[int, RunRecord]:
    """Return the newest finished run of each step; repetitions do not count."""
    return {record.step: record for record in records if record.state.status == "finished" and not record.state.repeats}
