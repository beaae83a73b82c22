"""Train one run of a group, as a child process: its leader holds the workspace's lock, and it never outlives that."""

import os
import signal
import threading
from contextlib import nullcontext
from pathlib import Path

from opeddev_tui import launch
from opeddev_tui.config.loading import LoadedSettings
from opeddev_tui.errors import TrainingProblem
from opeddev_tui.runs import log
from opeddev_tui.runs.bus import FanOut
from opeddev_tui.runs.control import Control, StepRequest, Stop
from opeddev_tui.runs.groups import read_group
from opeddev_tui.runs.tunings import Cell, place_of, read_tuning
from opeddev_tui.terminal.signals import received
from opeddev_tui.workspace.lock import lock_holder
from opeddev_tui.workspace.paths import Workspace

# no sink: the leader reads the journal
_UNSEEN = FanOut(())


def train_member(root: Path, loaded: LoadedSettings, name: str) -> int:
    """Train the run ``name`` ("group:seed") and return the exit code.

    Raises ``TrainingProblem`` where the process that started this one does not hold the workspace's lock.
    """
    group_id, _, seed = name.rpartition(":")
    workspace = Workspace(root, loaded.settings.paths)
    follow_leader(workspace)
    group = read_group(workspace, group_id)
    member = group.member(int(seed) if seed.isdecimal() else -1)
    request = StepRequest(which=str(group.step), group=group.id, run=member.run)
    control = Control()
    log.to_file(workspace.log)
    with received(lambda signal_name: control.request(Stop(reason=signal_name))) as signals:
        launch.train_under(root, loaded, request, _UNSEEN, control, nullcontext())
    return signals.exit_code or 0


def train_cell(root: Path, loaded: LoadedSettings, name: str) -> int:
    """Train one setting on one fold, ``name`` ("tuning:setting:fold", numbers from 0); return the exit code.

    Raises ``TrainingProblem`` where the process that started this one does not hold the workspace's lock.
    """
    workspace = Workspace(root, loaded.settings.paths)
    follow_leader(workspace)
    tuning_id, setting, fold = name.rsplit(":", 2)
    tuning = read_tuning(workspace, tuning_id)
    cell = Cell(int(setting), int(fold))
    control = Control()
    log.to_file(workspace.log)
    with received(lambda signal_name: control.request(Stop(reason=signal_name))) as signals:
        launch.load_training_stack()
        from opeddev_tui.training.fold_step import FoldRun, train_fold

        parent = Path(workspace.located(tuning.parent)) if tuning.parent else None
        what = FoldRun(cell.run, tuning.step, parent, cell.fold, tuning.folds, tuning.seed)
        train_fold(workspace, loaded, place_of(workspace, tuning), what, _UNSEEN, control)
    return signals.exit_code or 0


def follow_leader(workspace: Workspace) -> None:
    """End this process when its leader is gone; raises ``TrainingProblem`` if its parent is no leader."""
    if lock_holder(workspace) != os.getppid():
        raise TrainingProblem(
            "one of several runs is trained only by the process that trains all of them.",
            cure="Start them with: opeddev-tui train --seeds N, or opeddev-tui tune.",
        )
    threading.Thread(target=_end_with_leader, name="leader", daemon=True).start()


def _end_with_leader() -> None:
    # nothing is ever written there: the read returns when the last writer, the leader, is gone
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGKILL)
