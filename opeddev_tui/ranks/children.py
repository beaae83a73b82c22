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
from opeddev_tui.ranks import group, orders
from opeddev_tui.ranks.line import Line, open_store

LOOPBACK = "127.0.0.1"
# where a hand finds the line, in its environment
PORT, SECRET, NAME = "OPEDDEV_RANKS_PORT", "OPEDDEV_RANKS_SECRET", "OPEDDEV_RANKS_NAME"
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


class LocalHands:
    """The hands of one attempt with ``world`` ranks on this machine, all started here."""

    def __init__(self, world: int) -> None:
        self._world = world
        self._processes: dict[int, Process] = {}
        self._waiters: list[threading.Thread] = []

    @property
    def place(self) -> group.Place:
        """Where rank 0 is."""
        return group.Place(0, self._world, 0, self._world, LOOPBACK)

    def open(self) -> Line:
        """Return the line to the hands, which this process keeps."""
        return Line(open_store(LOOPBACK, 0, leads=True), 0, "run")

    def begin(self, line: Line, folder: Path, given: orders.Orders, ended: Callable[[int, str], None]) -> None:
        """Start all hands; ``ended`` is called from a thread for the end of each."""
        for rank in range(1, self._world):
            place = group.Place(rank, self._world, rank, self._world, LOOPBACK)
            variables = {
                **place.environment,
                PORT: str(line.store.port),
                SECRET: given.secret,
                NAME: line.name,
                "OMP_NUM_THREADS": str(given.threads),
            }
            log = folder / orders.FOLDER / f"{rank}.log"
            self._watch(rank, start_process(["rank", str(folder)], variables, log), ended)

    def _watch(self, rank: int, process: Process, ended: Callable[[int, str], None]) -> None:
        def wait() -> None:
            ended(rank, exit_words(process.wait()))

        self._processes[rank] = process
        self._waiters.append(threading.Thread(target=wait, name=f"rank {rank}", daemon=True))
        self._waiters[-1].start()

    def kill(self) -> None:
        """End all at once; they hold nothing worth keeping."""
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.kill()

    def close(self, *, failed: bool) -> None:
        """Wait until all have ended of their own accord, or end them where the attempt ``failed``."""
        if not failed:
            for waiter in self._waiters:
                waiter.join(_END_SECONDS)
        self.kill()
        for waiter in self._waiters:
            waiter.join()
