"""Owns the runs of a workspace as they were recorded: which there are, and which steps they finished.

Checkpoints are told where they are now, also after the workspace or its store was moved.
"""

from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from opeddev_tui import events as ev
from opeddev_tui.journal import read
from opeddev_tui.state import RunState, reduce
from opeddev_tui.workspace import Workspace

_PLACES: dict[type, tuple[str, ...]] = {
    ev.RunStarted: ("parent", "source"),
    ev.CheckpointSaved: ("path",),
    ev.CheckpointRejected: ("path",),
    ev.CheckpointRemoved: ("path",),
    ev.Resumed: ("checkpoint",),
    ev.Interrupted: ("checkpoint",),
    ev.EpochFinished: ("checkpoint",),
    ev.RunFinished: ("last_checkpoint", "best_checkpoint"),
}


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
    return RunRecord(run, folder, reduce(read_events(workspace, run)))


def read_events(workspace: Workspace, run: str) -> list[ev.AnyEvent]:
    """Return the journal of ``run``, its checkpoints where they are now."""
    return [_here(workspace, event) for event in read(workspace.run_folder(run))]


def _here(workspace: Workspace, event: ev.AnyEvent) -> ev.AnyEvent:
    names = _PLACES.get(type(event), ())
    return replace(event, **{name: workspace.located(getattr(event, name)) for name in names}) if names else event


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
