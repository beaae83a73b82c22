"""Where a run writes: its checkpoints, its metrics table, the person's observations."""

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from opeddev_tui.checkpoints import pins
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.metrics_csv import table_name
from opeddev_tui.workspace.paths import Workspace


class RunFiles(Struct, frozen=True):
    """Where a run writes. ``pinned`` returns those of its checkpoints that a person wants to keep."""

    checkpoints: Path
    metrics_csv: Path
    observations: Path
    pinned: Callable[[], list[Path]]

    @staticmethod
    def of(workspace: Workspace, started: ev.RunStarted) -> "RunFiles":
        """Return the places of the run that ``started``; only the step's own run may replace its metrics table."""
        own = workspace.run_folder(started.run) / "metrics.csv"
        return RunFiles(
            checkpoints=workspace.checkpoints(started.run),
            metrics_csv=own if started.repeats or started.group else workspace.metrics_csv(table_name(started)),
            observations=workspace.path(workspace.paths.observations),
            pinned=lambda: pins.pinned_folders(workspace, started.run),
        )
