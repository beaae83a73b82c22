"""Train a step with several seeds under the workspace's lock: the entry for commands and for the app."""

from pathlib import Path

from msgspec.structs import replace

from opeddev_tui.analysis.seed_figures import SeedFigures
from opeddev_tui.config.loading import LoadedSettings
from opeddev_tui.groups.choice import take_run
from opeddev_tui.groups.leader import Leader
from opeddev_tui.groups.requests import SeedsRequest, Trained, View
from opeddev_tui.launch import attended
from opeddev_tui.runs.bus import FanOut
from opeddev_tui.runs.control import Control
from opeddev_tui.runs.live_file import LiveFile
from opeddev_tui.workspace.lock import RunLock
from opeddev_tui.workspace.paths import Workspace


def train_seeds(root: Path, loaded: LoadedSettings, request: SeedsRequest, view: View, control: Control) -> Trained:
    """Train ``request`` and return what came of it; raises ``Problem`` for what is wrong before a run begins."""
    workspace = Workspace(root, loaded.settings.paths)
    lock = RunLock(workspace)
    trained = Trained()
    # no sink: the view has shown the events already
    with attended(root, loaded.settings, FanOut(())) as told, lock, LiveFile(workspace, told) as shown:
        lock.tell = view.tell
        leader = Leader(workspace, loaded, request, view, control, shown)
        workspace.adopt()
        while leader.step(trained) and request.step.which == "all":
            leader.request = replace(leader.request, step=replace(request.step, new=False, start_from=""), seeds=None)
    return trained


def take(workspace: Workspace, run: str) -> tuple[SeedFigures, list[str]]:
    """Make ``run`` the run of its step instead of another seed; raises ``BusyProblem`` while a training runs here."""
    with RunLock(workspace):
        return take_run(workspace, run)
