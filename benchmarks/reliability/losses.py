"""Owns the ways to lose a terminal, for the scripts that measure what that costs."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from pty_tools import Terminal, end


@dataclass
class Case(ABC):
    """One repetition: an app in its first terminal, and whatever else was started for it."""

    folder: Path
    terminal: Terminal
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    @abstractmethod
    def pid(self) -> int | None:
        """The process that trains."""

    @abstractmethod
    def attach(self, columns: int, lines: int) -> Terminal:
        """Attach from a new terminal."""


def close_terminal(case: Case) -> None:
    """Hang up."""
    case.terminal.close()


def hang_up(case: Case) -> None:
    """Send the signal of a hang-up, on a terminal that is still there."""
    assert case.pid is not None
    os.kill(case.pid, signal.SIGHUP)


def stall(case: Case) -> None:
    """Read no more of what the app writes."""
    case.terminal.stop_reading()


def kill_client(case: Case) -> None:
    """Attach, and kill the process that attached."""
    case.terminal = case.attach(100, 30)
    case.processes[-1].kill()


def kill_tmux(case: Case) -> None:
    """Kill the tmux server around the app."""
    subprocess.run(["tmux", "-L", case.folder.name, "kill-server"], check=True, capture_output=True)


Fault = Callable[[Case], None]


def faults() -> list[tuple[str, Fault, bool]]:
    """Return every fault with its name, and whether it needs a tmux; without a tmux, without that one."""
    found: list[tuple[str, Fault, bool]] = [
        ("terminal closed", close_terminal, False),
        ("hang-up signal", hang_up, False),
        ("attached client killed", kill_client, False),
        ("terminal stops reading", stall, False),
    ]
    return [*found, ("tmux server killed", kill_tmux, True)] if shutil.which("tmux") else found


def start(case: Case, argv: list[str], in_tmux: bool) -> None:
    """Start ``argv`` in the terminal of ``case``."""
    if in_tmux:
        argv = ["tmux", "-L", case.folder.name, "-f", "/dev/null", "new-session", *argv]
    case.processes.append(case.terminal.spawn(argv))


@contextlib.contextmanager
def cleaned_up(case: Case) -> Iterator[None]:
    """End everything afterwards and delete the folder."""
    try:
        yield
    finally:
        # a process in a tmux is no child of this one
        with contextlib.suppress(OSError, ValueError):
            if case.pid is not None:
                os.kill(case.pid, signal.SIGKILL)
        for process in case.processes:
            end(process)
        case.terminal.close()
        shutil.rmtree(case.folder, ignore_errors=True)
