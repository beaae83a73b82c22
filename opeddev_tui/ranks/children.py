"""Start the hands of one machine as processes of their own, notice their ends, and leave none behind.

A hand's standard input is a pipe from here: its end of file says that rank 0 has gone, however that happened.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from opeddev_tui.files import make_private, open_file, storage_errors

# seconds for a hand that was told to end
_END_SECONDS = 10.0


class Process(Protocol):
    """A running hand, as ``subprocess.Popen`` has it."""

    @property
    def pid(self) -> int:
        """Its process id."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; return its exit code, negative for a signal."""

    def kill(self) -> None:
        """End it at once."""


# starts a hand: (words of the command line, environment, log file) -> its process
Start = Callable[[list[str], Mapping[str, str], Path], Process]


def start_process(words: list[str], environment: Mapping[str, str], log: Path) -> Process:
    """Start ``opeddev-tui`` with ``words``, its output in ``log``."""
    make_private(log.parent)
    with storage_errors(log):
        descriptor = open_file(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "opeddev_tui", *words],
            stdin=subprocess.PIPE,
            stdout=descriptor,
            stderr=descriptor,
            env={**os.environ, **environment},
            # a key for rank 0 is none for its hands
            start_new_session=True,
        )
    finally:
        os.close(descriptor)


def exit_words(code: int) -> str:
    """Return what an exit code says: was killed by SIGKILL, ended with exit code 1."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


class Children:
    """The hands that this process has started. ``ended(rank, exit code)`` is called from a thread for each end."""

    def __init__(self, ended: Callable[[int, int], None]) -> None:
        self._ended = ended
        self._processes: dict[int, Process] = {}
        self._waiters: list[threading.Thread] = []

    def add(self, rank: int, process: Process) -> None:
        """Watch ``process``, which is ``rank``."""
        self._processes[rank] = process
        waiter = threading.Thread(target=self._wait, args=(rank, process), name=f"rank {rank}", daemon=True)
        self._waiters.append(waiter)
        waiter.start()

    def _wait(self, rank: int, process: Process) -> None:
        self._ended(rank, process.wait())

    def kill(self) -> None:
        """End all at once; they hold nothing worth keeping."""
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.kill()

    def close(self, *, patience: float = _END_SECONDS) -> None:
        """Wait until all have ended, for ``patience`` seconds of their own accord."""
        for waiter in self._waiters:
            waiter.join(patience)
        self.kill()
        for waiter in self._waiters:
            waiter.join()
