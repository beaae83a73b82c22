"""Measures what the app costs beside its training once the screen is lost: … headless_cpu.py [--seconds 20] [--runs 1]

The app trains a tiny model on a real pty; the terminal is closed; from then on the processor time of every thread of
the process is read twice. The training is the busiest thread beside the main one (which runs the screen's event loop)
and whatever torch started for it; all the rest is what the app costs. Prints a table in Markdown, exits 1 above 5 %.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from app_terminal_loss import Case, headless, helpers, started, until
from losses import close_terminal

# of one core
MOST = 0.05
# how torch names its threads
TORCH = ("pt_", "torch", "omp", "OMP")


@dataclass(frozen=True)
class Shares:
    """Processor time as shares of one core."""

    training: float
    main: float
    others: float


def thread_seconds(pid: int) -> dict[int, tuple[str, float]]:
    """Return name and processor seconds of every thread."""
    found: dict[int, tuple[str, float]] = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            text = (task / "stat").read_text()
        except OSError:
            continue  # it has just ended
        name, _, rest = text.partition("(")[2].rpartition(")")
        fields = rest.split()
        found[int(task.name)] = (name, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"))
    return found


def measure(pid: int, seconds: float) -> Shares:
    """Watch a process for some seconds."""
    before, begin = thread_seconds(pid), time.monotonic()
    time.sleep(seconds)
    after, passed = thread_seconds(pid), time.monotonic() - begin
    used = {tid: (after[tid][0], after[tid][1] - before.get(tid, ("", 0.0))[1]) for tid in after}
    busiest = max((tid for tid in used if tid != pid), key=lambda tid: used[tid][1])
    training = {tid for tid in used if tid == busiest or used[tid][0].startswith(TORCH)}
    parts = [
        sum(used[tid][1] for tid in used if belongs(tid)) / passed
        for belongs in (
            lambda tid: tid in training,
            lambda tid: tid == pid,
            lambda tid: tid != pid and tid not in training,
        )
    ]
    return Shares(*parts)


def once(model: Path, seconds: float) -> Shares:
    """Train, close the terminal, measure; raise ``AssertionError`` if the training did not last."""
    with started(model, False) as case:
        pid = case.pid
        assert pid is not None
        close_terminal(case)
        until(lambda: headless(case), 30, "headless")
        case.moves_on(20)
        shares = measure(pid, seconds)
        assert _trains(case, pid), "the training ended while it was measured"
        return shares


def _trains(case: Case, pid: int) -> bool:
    before = case.steps()
    until(lambda: case.steps() > before or case.pid != pid, 60, "the training goes on")
    return case.pid == pid


def main() -> int:
    """Measure, print the table and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each process is watched (default: 20)")
    parser.add_argument("--runs", type=int, default=1, help="processes (default: 1)")
    options = parser.parse_args()
    home = tempfile.mkdtemp(prefix="home-")
    os.environ.update(HOME=home, HF_HUB_OFFLINE="1")
    model = helpers.build_model(Path(home) / "tiny")
    print("| run | training | event loop (main thread) | other threads | beyond training |")
    print("| --- | --- | --- | --- | --- |")
    worst = 0.0
    for number in range(1, options.runs + 1):
        shares = once(model, options.seconds)
        beyond = shares.main + shares.others
        worst = max(worst, beyond)
        print(
            f"| {number} | {shares.training:.1%} | {shares.main:.1%} | {shares.others:.1%} | {beyond:.1%} |", flush=True
        )
    shutil.rmtree(home, ignore_errors=True)
    return 1 if worst > MOST else 0


if __name__ == "__main__":
    sys.exit(main())
