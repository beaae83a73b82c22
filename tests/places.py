"""A workspace with the app in real terminals: training, watched, and ended with the test."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

import engine_helpers as helpers
import psutil
from pty_tools import PYTHON, Terminal, end, until

from opeddev_tui.runs import events as ev
from opeddev_tui.workspace.lock import lock_holder

PROGRAM = [PYTHON, "-m", "opeddev_tui"]
# an epoch of some seconds, and every epoch is asked about
SLOW = {
    "early_stop.policy": "ask",
    "early_stop.max_extra_epochs": 2,
    "training.per_device_train_batch_size": 1,
    "ui.undo_seconds": 0.2,
    "ui.guard_ms": 0,
}


class Place:
    """A workspace with its terminals and processes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.workspace = helpers.workspace_of(root)
        self._terminals: list[Terminal] = []
        self._processes: list[subprocess.Popen[bytes]] = []

    def spawn(
        self, argv: list[str], *, columns: int = 100, lines: int = 30, **environment: str
    ) -> tuple[Terminal, subprocess.Popen[bytes]]:
        """Start a program in a new terminal."""
        terminal = Terminal(columns, lines)
        self._terminals.append(terminal)
        process = terminal.spawn(argv, **environment)
        self._processes.append(process)
        return terminal, process

    def app(self, *words: str, **options: int) -> tuple[Terminal, subprocess.Popen[bytes]]:
        """Start the app in a new terminal."""
        return self.spawn([*PROGRAM, *words, str(self.root)], **options)

    def training_app(self, **options: int) -> tuple[Terminal, subprocess.Popen[bytes], int]:
        """Start the app and the training in it; return its terminal, its process there, and the one that trains."""
        terminal, process = self.app(**options)
        until(lambda: terminal.shows("Ready"), 20, "ready")
        terminal.press("t")
        return terminal, process, self.training()

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the program without a terminal."""
        return subprocess.run([*PROGRAM, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240)

    @property
    def events(self) -> list[ev.AnyEvent]:
        """What the newest run has told."""
        runs = self.workspace.run_ids()
        return helpers.read(self.workspace.run_folder(runs[-1])) if runs else []

    def count(self, kind: type[ev.Event]) -> int:
        """Return how many events of ``kind`` there are."""
        return sum(isinstance(event, kind) for event in self.events)

    def training(self, steps: int = 3) -> int:
        """Wait until optimizer steps are made; return the process."""
        until(lambda: self.count(ev.Progress) >= steps, 60, "training")
        found = lock_holder(self.workspace)
        assert found is not None
        return found

    def asked(self, epoch: int = 1) -> None:
        """Wait until the question after ``epoch`` is open."""
        until(lambda: self.count(ev.DecisionAwaited) >= epoch, 60, f"the question after epoch {epoch}")

    def moves_on(self) -> None:
        """Wait until more optimizer steps are made, or there is a question."""
        before = self.count(ev.Progress)
        until(lambda: self.count(ev.Progress) > before or self.count(ev.DecisionAwaited), 20, "the training goes on")

    def close(self) -> None:
        """End everything."""
        found = lock_holder(self.workspace)
        if found is not None and found != os.getpid():
            with contextlib.suppress(ProcessLookupError):
                os.kill(found, signal.SIGKILL)
        for process in self._processes:
            end(process)
        for terminal in self._terminals:
            terminal.close()


def gone(pid: int) -> bool:
    """Return whether a process has ended."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
