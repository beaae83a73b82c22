"""Hands for tests: processes as a training starts them, forked from a server that has the libraries loaded."""

import os
import signal
import sys
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import engine_helpers as eh
import pytest

from opeddev_tui.ranks import children

# run in the hand's process before it begins: what goes wrong there
Fault = Callable[[], None]


def _be_hand(words: list[str], environment: dict[str, str], log: str, pipe: str, fault: Fault | None) -> None:
    os.environ.update(environment)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.dup2(os.open(pipe, os.O_RDONLY), 0)
    os.setsid()
    if fault is not None:
        fault()
    from opeddev_tui.cli import main

    sys.exit(main(words))


class HandProcess(ForkServerProcess):
    """One hand. ``pipe`` is its standard input: its end is that of this process."""

    def __init__(self, words: list[str], environment: Mapping[str, str], log: Path, fault: Fault | None) -> None:
        eh.begin_server()
        log.parent.mkdir(exist_ok=True)
        pipe = log.with_suffix(".in")
        pipe.unlink(missing_ok=True)
        os.mkfifo(pipe)
        self._writer = os.open(pipe, os.O_RDWR | os.O_CLOEXEC)
        kept = {name: value for name, value in os.environ.items() if name.startswith(("HOME", "HF_", "XDG_", "GLOO"))}
        super().__init__(
            target=_be_hand, args=(words, {**kept, **environment}, str(log), str(pipe), fault), daemon=False
        )
        self.start()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; return its exit code."""
        self.join(timeout)
        os.close(self._writer)
        assert self.exitcode is not None
        return self.exitcode


class Hands:
    """Starts hands and knows them, each rank's newest; ``faults`` are what goes wrong in a rank, the first time."""

    def __init__(self) -> None:
        self.processes: dict[int, HandProcess] = {}
        self.started = 0
        self.faults: dict[int, Fault] = {}

    def start(self, words: list[str], environment: Mapping[str, str], log: Path) -> Any:
        """Start one, as ``children.start_process`` does."""
        rank = int(environment["RANK"])
        self.started += 1
        self.processes[rank] = HandProcess(words, environment, log, self.faults.pop(rank, None))
        return self.processes[rank]

    def signal(self, rank: int, number: signal.Signals) -> None:
        """Send a signal to ``rank``."""
        pid = self.processes[rank].pid
        assert pid is not None
        os.kill(pid, number)

    @property
    def running(self) -> list[int]:
        """The ranks whose processes have not ended."""
        return [rank for rank, process in self.processes.items() if process.is_alive()]


def forked(patch: pytest.MonkeyPatch) -> Hands:
    """Have this process's trainings start such hands."""
    hands = Hands()
    patch.setattr(children, "start_process", hands.start)
    return hands
