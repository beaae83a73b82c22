"""Kill each of two ranks at each place of a training, freeze one, start again and compare the weights: by ``ranks.py``.

With ``only`` the cases whose names have these words.

A line per case: how long the run took to end, what it said, whether a process was left over, and whether the resumed
run has the weights of an undisturbed one.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil

from opeddev_tui.config.loading import load
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.control import Pause, send
from opeddev_tui.runs.history import list_runs
from opeddev_tui.runs.journal import JournalReader, read
from opeddev_tui.workspace.paths import Workspace

Wanted = Callable[[ev.AnyEvent], bool]
_MOST_SECONDS = 180.0
_STEP = 4


def in_phase(words: str) -> Wanted:
    """Return what recognizes a phase by ``words``."""
    return lambda event: isinstance(event, ev.PhaseChanged) and words in f"{event.phase} {event.detail}"


def once_trained(words: str) -> Wanted:
    """Return what recognizes a phase by ``words``, once an optimizer step is done."""
    steps: list[bool] = []

    def wanted(event: ev.AnyEvent) -> bool:
        steps.extend([True] if isinstance(event, ev.Progress) else [])
        return bool(steps) and in_phase(words)(event)

    return wanted


PLACES: Mapping[str, Wanted] = {
    "ranks begin": in_phase("ranks have begun"),
    "loading": in_phase("ranks are ready"),
    "hold-out before the step": in_phase("hold-out rows"),
    "an optimizer step": lambda event: isinstance(event, ev.Progress) and event.global_step == _STEP,
    "a pause": lambda event: isinstance(event, ev.Paused),
    "hold-out after an epoch": once_trained("hold-out rows"),
    "texts": in_phase("probe prompts"),
    "saving": in_phase("saving"),
    "a question": lambda event: isinstance(event, ev.DecisionAwaited),
    "rank 0 reads a checkpoint": lambda event: isinstance(event, ev.Resumed),
    "rank 1 reads a checkpoint": in_phase("ranks are ready"),
}


def run(make: Callable[[str], Path], undisturbed: str, only: str = "") -> int:
    """Try every case in a workspace of ``make(name)``; return how many did not go as they should."""
    wrong = 0
    for number, (place, wanted) in enumerate(PLACES.items()):
        for rank in (0, 1):
            name = f"kill -9 of rank {rank}, {place}"
            # a place of one rank is no place of the other
            if only in name and f"rank {1 - rank} reads" not in place:
                wrong += Case(make(f"kill-{number}-{rank}"), place, wanted).killed(name, rank, undisturbed)
    if only not in (name := "rank 1 frozen until it is named"):
        return wrong
    case = Case(make("freeze"), name, PLACES["an optimizer step"])
    return wrong + case.frozen(name, undisturbed)


class Case:
    """One training with two ranks, disturbed at the first event that is ``wanted``."""

    def __init__(self, root: Path, place: str, wanted: Wanted) -> None:
        self._place = place
        self._workspace = Workspace(root, load(root, environment={}).settings.paths)
        self._wanted = wanted
        self._reader: JournalReader | None = None

    def killed(self, name: str, rank: int, undisturbed: str) -> bool:
        """Kill ``rank``; return whether something went wrong."""
        training = self._begun()
        self._wait(self._wanted, training)
        hands = _hands(training)
        began = time.monotonic()
        (psutil.Process(training.pid) if rank == 0 else hands[0]).send_signal(signal.SIGKILL)
        code = training.wait(_MOST_SECONDS)
        took = time.monotonic() - began
        _, left = psutil.wait_procs(hands, timeout=10)
        failed = [event.message for event in read(self._run) if isinstance(event, ev.RunFailed)]
        said = failed[-1].split(". ")[0] if failed else "nothing"
        equal = self._resumed() == undisturbed
        words = "equal" if equal else "DIFFERENT"
        print(f"| {name} | code {code} after {took:.1f} s | {said} | {len(left)} left | {words} |", flush=True)
        return bool(left) or not equal or (rank == 1 and not failed)

    def frozen(self, name: str, undisturbed: str) -> bool:
        """Freeze rank 1 until it is called silent; return whether something went wrong."""
        training = self._start("rule")
        self._wait(self._wanted, training)
        (hand,) = _hands(training)
        began = time.monotonic()
        hand.suspend()
        self._wait(lambda event: isinstance(event, ev.RankSilent), training)
        took = time.monotonic() - began
        hand.resume()
        code = training.wait(_MOST_SECONDS)
        equal = self._digest() == undisturbed
        words = "equal" if equal else "DIFFERENT"
        print(f"| {name} | named after {took:.1f} s | code {code} | goes on | {words} |", flush=True)
        return not equal or code != 0

    # --- one process after the other

    def _begun(self) -> "subprocess.Popen[bytes]":
        """Return a training on its way to the place, which some are on only where a person wants it."""
        training = self._start("ask")
        if "pause" in self._place:
            self._wait(PLACES["an optimizer step"], training)
            send(self._run, Pause())
        if "checkpoint" in self._place:
            self._wait(PLACES["an optimizer step"], training)
            training.terminate()
            training.wait(_MOST_SECONDS)
            training = self._start("ask")
        return training

    def _start(self, policy: str) -> "subprocess.Popen[bytes]":
        root = self._workspace.root
        words = ["train", "-w", str(root), "--policy", policy, "--set", "training.num_processes=2"]
        with (root / "train.out").open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "opeddev_tui", *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )

    @property
    def _run(self) -> Path:
        return list_runs(self._workspace)[-1].folder

    def _wait(self, wanted: Wanted, training: "subprocess.Popen[bytes]") -> None:
        end = time.monotonic() + _MOST_SECONDS
        while not any(wanted(event) for event in self._new()):
            if training.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"the case's event did not come: see {self._workspace.root / 'train.out'}")
            time.sleep(0.005)

    def _new(self) -> Iterator[ev.AnyEvent]:
        if self._reader is None and list_runs(self._workspace):
            self._reader = JournalReader(self._run)
        yield from self._reader.read_new() if self._reader is not None else []

    def _resumed(self) -> str:
        """Start again, and return the digest of the last checkpoint."""
        code = self._start("rule").wait(_MOST_SECONDS)
        return self._digest() if code == 0 else f"exit code {code}"

    def _digest(self) -> str:
        return [event.digest for event in read(self._run) if isinstance(event, ev.CheckpointSaved)][-1]


def _hands(training: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    """Return the processes that are the other ranks."""
    return [child for child in psutil.Process(training.pid).children() if "rank" in child.cmdline()]
