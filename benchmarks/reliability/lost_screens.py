"""Takes the terminal of a training app away: lost_screens.py [REPETITIONS] [--only FAULT …] [--seconds 5]

The real app trains a tiny model in a real terminal (or tmux), and the terminal is closed, hangs up by signal, is lost
with its tmux server, or stops reading. Afterwards the same process must train on without a screen, a later
``opeddev-tui`` must show its growing texts, decide its question and see its end, and the process must end by itself.
The pause is the longest time between two logged optimizer steps of one epoch (its end takes its time with or without a
screen), beside the longest one before the fault. The processor time is what the process uses beside the training thread
and torch's own threads, over ``--seconds`` without a screen. Prints a table in Markdown; exits 1 if a run fails or a
limit is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import common  # noqa: F401 - the tests' helpers on the path, a HOME of its own
import engine_helpers as helpers
import psutil
from places import PROGRAM, Place, gone
from pty_tools import until
from tmux_tools import Tmux

from opeddev_tui.runs.events import DecisionAwaited, EpochFinished, Progress, RunFinished, SamplesGenerated
from opeddev_tui.workspace.lock import lock_holder

# the targets: seconds without a step, and share of a core
LONGEST_PAUSE, MOST_CPU = 0.5, 0.05
# rows of the one epoch: a terminal that stops reading is noticed late
ROWS = {"stops-reading": 4500}
# one epoch, then a question; the model learns too little to end its texts early: they are seen growing
SETTINGS = {
    "training.per_device_train_batch_size": 1,
    "training.num_train_epochs": 1,
    "early_stop.policy": "ask",
    "early_stop.max_extra_epochs": 1,
    "training.learning_rate": 1e-7,
    "generation.max_new_tokens": 1500,
    "ui.guard_ms": 0,
    "ui.undo_seconds": 0,
}


@dataclass
class Figures:
    """What one repetition gave: seconds, and shares of a core."""

    before: float
    after: float
    noticed: float
    cpu: float


@dataclass
class Case:
    """The app in its first terminal, training."""

    place: Place
    press: Callable[[str], None]
    shows: Callable[[str], bool]
    lose: dict[str, Callable[[], object]]
    pid: int = 0

    def left(self) -> bool:
        """Return whether the process has no terminal any more."""
        try:
            links = [os.readlink(entry.path) for entry in os.scandir(f"/proc/{self.pid}/fd")]
        except FileNotFoundError:
            return False  # a descriptor was closed meanwhile
        return not any(link.startswith("/dev/pts/") for link in links)


def longest_pause(place: Place, since: float, to: float) -> float:
    """Return the longest time between two steps of one epoch in a span."""
    times = [event.at for event in place.events if isinstance(event, Progress) and since <= event.at <= to]
    ends = [event.at for event in place.events if isinstance(event, EpochFinished | SamplesGenerated)]
    pairs = itertools.pairwise(times)
    return max((b - a for a, b in pairs if not any(a <= end <= b for end in ends)), default=0.0)


def cpu_beyond_training(pid: int, seconds: float) -> float:
    """Return the share of a core that a process uses beside its training thread and torch's own threads."""
    process = psutil.Process(pid)
    before, began = {item.id: item.user_time + item.system_time for item in process.threads()}, time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - began
    used = {item.id: item.user_time + item.system_time - before.get(item.id, 0.0) for item in process.threads()}
    training = max((tid for tid in used if tid != pid), key=lambda tid: used[tid])
    return sum(value for tid, value in used.items() if tid != training and not _torchs(pid, tid)) / passed


def _torchs(pid: int, tid: int) -> bool:
    return Path(f"/proc/{pid}/task/{tid}/comm").read_text().startswith(("pt_", "torch", "omp", "OMP"))


@contextlib.contextmanager
def training(model: Path, fault: str) -> Iterator[Case]:
    """Give the app, training in a terminal or in a tmux; everything ends with the block."""
    folder = Path(tempfile.mkdtemp(prefix="lost-"))
    rows = ROWS.get(fault, 1500)
    place = Place(helpers.make_workspace(folder / "workspace", model, rows=rows, holdout=4, settings=SETTINGS))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(place.close)
        if fault == "tmux":
            tmux = stack.enter_context(Tmux(folder))
            names = [name for name in ("HOME", "HF_HUB_OFFLINE", "PYTHONPATH") if name in os.environ]
            tmux.start(" ".join([*PROGRAM, str(place.root)]), **{name: os.environ[name] for name in names})
            ways: dict[str, Callable[[], object]] = {"tmux": lambda: tmux.call("kill-server")}
            case = Case(place, tmux.press, tmux.shows, ways)
        else:
            terminal, owner = place.app()
            ways = {
                "closed": terminal.close,
                "hang-up": lambda: owner.send_signal(signal.SIGHUP),
                "stops-reading": terminal.stop_reading,
            }
            case = Case(place, terminal.press, terminal.shows, ways)
        until(lambda: case.shows("Ready"), 30, "ready")
        case.press("t")
        case.pid = place.training(60)
        yield case


def once(model: Path, fault: str, seconds: float) -> Figures:
    """Lose the screen, and watch, decide and end from another one; raise ``AssertionError`` if that cannot be."""
    with training(model, fault) as case:
        place, began = case.place, time.time()
        time.sleep(2.0)
        lost_at = time.time()
        case.lose[fault]()
        until(case.left, 30, "the terminal is let go of")
        noticed = time.time() - lost_at
        place.moves_on()
        cpu = cpu_beyond_training(case.pid, seconds)
        measured_to = time.time()
        assert not place.count(DecisionAwaited), "the epoch was too short: the training waited while it was measured"
        seen_growing(case)
        decided(case)
        return Figures(
            longest_pause(place, began - 2, lost_at), longest_pause(place, lost_at, measured_to), noticed, cpu
        )


def seen_growing(case: Case) -> None:
    """Open another app, ask for samples there, and see them being written."""
    terminal, process = case.place.app(columns=120, lines=40)
    until(lambda: terminal.shows("opt. step"), 20, "the training is watched")
    terminal.press("g")
    terminal.press("2")
    until(lambda: terminal.shows("being written"), 30, "texts grow")
    until(lambda: case.place.count(SamplesGenerated) >= 2, 60, "the samples are done")
    terminal.press("1")
    terminal.press("q")
    assert process.wait(30) == 0, "a watcher leaves without a question"


def decided(case: Case) -> None:
    """Answer the question after the epoch in one more app, and see the training and its process end."""
    until(lambda: case.place.count(DecisionAwaited), 120, "the question")
    assert lock_holder(case.place.workspace) == case.pid, "another process trains"
    terminal, _ = case.place.app(columns=120, lines=40)
    until(lambda: terminal.shows("Epoch 1 of"), 20, "the question is shown")
    terminal.press("s")
    until(lambda: case.place.count(RunFinished), 30, "the step ends")
    until(lambda: gone(case.pid), 60, "the process ends by itself")


def row(fault: str, figures: list[Figures], tried: int) -> str:
    """Return a line of the table."""
    if not figures:
        return f"| {fault} | 0 of {tried} | | | |"
    before, after = max(one.before for one in figures), max(one.after for one in figures)
    noticed, cpu = max(one.noticed for one in figures), max(one.cpu for one in figures)
    return f"| {fault} | {len(figures)} of {tried} | {before:.2f} s / {after:.2f} s | {noticed:.1f} s | {cpu:.1%} |"


def main() -> int:
    """Run every fault, print the table and return the exit code."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    faults = ["closed", "hang-up", *(["tmux"] if shutil.which("tmux") else []), "stops-reading"]
    parser.add_argument("repetitions", type=int, nargs="?", default=10)
    parser.add_argument("--only", nargs="+", choices=faults, default=faults)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long processor time is measured (default: 5)")
    options = parser.parse_args()
    model = helpers.build_model(Path(tempfile.mkdtemp(prefix="lost-model-")) / "tiny")
    rows, good = [], True
    for fault in options.only:
        done: list[Figures] = []
        for number in range(options.repetitions):
            try:
                done.append(once(model, fault, options.seconds))
                print(f"{fault} {number + 1}: {done[-1]}", file=sys.stderr, flush=True)
            except AssertionError as error:
                print(f"{fault} {number + 1}: {error}", file=sys.stderr, flush=True)
        good = good and len(done) == options.repetitions
        good = good and all(one.after <= LONGEST_PAUSE and one.cpu <= MOST_CPU for one in done)
        rows.append(row(fault, done, options.repetitions))
    shutil.rmtree(model.parent, ignore_errors=True)
    print("| fault | trained on, watched, decided | longest pause before / after | noticed | CPU beyond training |")
    print("| --- | --- | --- | --- | --- |", *rows, sep="\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
