"""Trains many steps in one process, one batch more each time: memory, open files and threads must not grow.

Run from a clone with the app installed: ``python benchmarks/reliability/soak.py --steps 25``.
The trainings run as in the app: on its training thread, with everything that follows a step (plots, metrics). Prints a
table and exits 1 if a figure of the last step is more than a tenth above that of the fifth.
"""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

import psutil
from common import new_workspace
from engine_helpers import batch_file, build_model, make_rows, states, write_rows

from opeddev_tui.config import loading
from opeddev_tui.runs.control import StepRequest
from opeddev_tui.ui.state.training_thread import TrainingThread

# rows that each step adds; and the step from which on nothing may grow
ADDED = 4
WARM = 5
MOST_GROWTH = 0.10


@dataclass(frozen=True)
class Figures:
    """What the process holds."""

    resident_mb: float
    open_files: int
    threads: int
    python_threads: int


def figures() -> Figures:
    """Return what is held after a collection."""
    gc.collect()
    process = psutil.Process()
    return Figures(process.memory_info().rss / 1e6, process.num_fds(), process.num_threads(), threading.active_count())


def train_one(live: TrainingThread, root: Path) -> None:
    """Train the next step on the app's training thread; raise what it raises."""
    live.start(root, loading.load(root, environment={}), StepRequest())
    while live.running:
        live.queue.drain()
        time.sleep(0.05)
    outcome = live.take_outcome()
    if isinstance(outcome, BaseException):
        raise outcome


def soak(root: Path, steps: int) -> Iterator[Figures]:
    """Train the base set, then a batch more each step."""
    live = TrainingThread()
    for step in range(steps):
        if step:
            write_rows(batch_file(root, step), make_rows(ADDED, f"batch{step}"))
        train_one(live, root)
        yield figures()


def growth(first: Figures, last: Figures) -> list[float]:
    """Return by how much each figure has grown."""
    return [now / before - 1 for before, now in zip(astuple(first), astuple(last), strict=True)]


def main() -> int:
    """Run the soak and return the exit code."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=25, help="steps (default: 25)")
    parser.add_argument("--rows", type=int, default=8, help="rows of the first step (default: 8)")
    options = parser.parse_args()
    if options.steps <= WARM:
        parser.error(f"--steps must be more than {WARM}: the first {WARM} load what is loaded once")
    folder = Path(tempfile.mkdtemp(prefix="opeddev-soak-"))
    root = new_workspace(folder, "soak", build_model(folder / "model"), options.rows)
    measured: list[Figures] = []
    print("step  resident MB  open files  threads  Python threads", flush=True)
    for number, found in enumerate(soak(root, options.steps), 1):
        measured.append(found)
        resident, files, threads, python = astuple(found)
        print(f"{number:4}  {resident:11.1f}  {files:10}  {threads:7}  {python:14}", flush=True)
    finished = sum(state.status == "finished" for state in states(root))
    grown = growth(measured[WARM - 1], measured[-1])
    told = ", ".join(f"{value:+.1%}" for value in grown)
    print(f"\n{finished} of {options.steps} steps finished in process {os.getpid()}; growth since step {WARM}: {told}")
    shutil.rmtree(folder)
    return 0 if finished == options.steps and max(grown) <= MOST_GROWTH else 1


if __name__ == "__main__":
    sys.exit(main())
