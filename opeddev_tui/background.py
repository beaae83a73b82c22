"""Owns starting a training without a screen: a process of its own session that outlives the login.

Returns once that process holds the workspace's lock, so that of two starts at once one is told.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Sequence

from opeddev_tui.errors import BusyProblem, TrainingProblem
from opeddev_tui.lock import lock_holder
from opeddev_tui.storage import told_clearly
from opeddev_tui.workspace import Workspace

_START_SECONDS = 30.0


def start_detached(workspace: Workspace, words: Sequence[str]) -> int:
    """Start ``opeddev-tui`` with ``words``, its output in the log; return its process id once it trains.

    Raises ``BusyProblem`` where another process trains, ``TrainingProblem`` if it ended at once.
    """
    _refuse_second(workspace)
    with told_clearly(workspace.log):
        workspace.log.parent.mkdir(parents=True, exist_ok=True)
        log = os.open(workspace.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "opeddev_tui", *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=workspace.root,
        )
    finally:
        os.close(log)
    _wait_for_lock(workspace, process)
    # it goes on without this process: nothing to wait for
    process.returncode = 0
    return process.pid


def _refuse_second(workspace: Workspace) -> None:
    holder = lock_holder(workspace)
    if holder is not None:
        raise BusyProblem(
            f"a training is already running here (process {holder}).",
            where=str(workspace.root),
            cure="Take its screen with: opeddev-tui attach; or look at: opeddev-tui status.",
        )


def _wait_for_lock(workspace: Workspace, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + _START_SECONDS
    while lock_holder(workspace) != process.pid:
        code = process.poll()
        if code == BusyProblem.exit_code:
            _refuse_second(workspace)
        if code is not None:
            raise TrainingProblem(
                f"the training ended at once (exit code {code}).", cure=f"The reason is in {workspace.log}."
            )
        if time.monotonic() > end:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            raise TrainingProblem("the training did not start in time.", cure=f"See {workspace.log}.")
        time.sleep(0.02)
