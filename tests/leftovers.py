"""End what a test has started also where it fails: an assertion that fails must not hang the suite or leave a process.

Trainings of an app and processes are ended after each test. A thread cannot be ended from outside, so those that tests
start are daemons, which end with the suite.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import TimeoutError as NotInTime
from multiprocessing import forkserver, resource_tracker
from pathlib import Path
from typing import IO, Any, TypeVar

import pytest

from opeddev_tui.ui.state.training_thread import TrainingThread

Started = TypeVar("Started", bound="subprocess.Popen[Any]")

# of a training that is told to stop
_SECONDS = 60.0


@contextlib.contextmanager
def ended(process: Started) -> Iterator[Started]:
    """Yield ``process``, then kill it where it still runs: without, leaving the block waits for its end for ever."""
    try:
        yield process
    finally:
        process.kill()
        for pipe in (process.stdin, process.stdout, process.stderr):
            _close(pipe)
        process.wait()


def _close(pipe: IO[Any] | None) -> None:
    # what was not written yet has no reader any more
    with contextlib.suppress(OSError):
        if pipe is not None:
            pipe.close()


@contextlib.contextmanager
def ended_with_the_test(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stop every training that an app starts in the block, and kill every process that began in it."""
    before, trainings = set(_children()), list[TrainingThread]()
    start = TrainingThread.start

    def remembered(training: TrainingThread, *given: Any) -> None:
        trainings.append(training)
        start(training, *given)

    patch.setattr(TrainingThread, "start", remembered)
    try:
        yield
    finally:
        for process in multiprocessing.active_children():
            if process.pid not in before:
                process.kill()
                process.join()
        for child in set(_children()) - before:
            _kill(child)
        for training in trainings:
            _stop(training)


def _stop(training: TrainingThread) -> None:
    training.stop("the test is over")
    future = training._future
    if future is not None:
        with contextlib.suppress(NotInTime):
            future.exception(_SECONDS)


def _children() -> list[int]:
    """Return the processes that this one started and that are its own, without the helpers of multiprocessing."""
    helpers = {forkserver._forkserver._forkserver_pid, resource_tracker._resource_tracker._pid}
    found: list[int] = []
    for thread in Path("/proc/self/task").glob("*/children"):
        # a thread may end meanwhile
        with contextlib.suppress(OSError):
            found += map(int, thread.read_text().split())
    return [child for child in found if child not in helpers]


def _kill(child: int) -> None:
    """Kill and wait; who started it gets its exit code."""
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        os.kill(child, signal.SIGKILL)
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
