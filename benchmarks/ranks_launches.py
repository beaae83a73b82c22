"""Start trainings with two ranks as people do and disturb them from outside: by ``ranks.py FOLDER --launches``.

Two workspaces at once, one of them under torchrun, with a question that stays open for more than twice the longest
exchange; two launches in one workspace; Ctrl+C to torchrun; terminals that are closed. A line per case.
"""

import contextlib
import os
import pty
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil

from opeddev_tui.config.loading import load
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.history import list_runs
from opeddev_tui.runs.journal import JournalReader, read
from opeddev_tui.workspace.paths import Workspace

_MOST_SECONDS = 240.0
# rank_timeout_minutes may not be less; an exchange lasts a minute longer at most
_TIMEOUT_MINUTES = 0.1
_OPEN_SECONDS = 2 * (60 * _TIMEOUT_MINUTES + 60) + 5
_TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
Made = Callable[[str], Path]


def run(make: Made, undisturbed: str, only: str = "") -> int:
    """Try every case in workspaces of ``make(name)``; return how many did not go as they should.

    ``only``: the cases whose functions have these words in their names.
    """
    cases = (open_questions, two_launches, interrupted, hung_up_torchrun, hung_up_train)
    return sum(not case(make, undisturbed) for case in cases if only in case.__name__)


class Training:
    """A training with two ranks in a terminal of its own; ``close_terminal`` hangs up."""

    def __init__(self, root: Path, *words: str, launcher: Sequence[str] = ()) -> None:
        self.workspace = Workspace(root, load(root, environment={}).settings.paths)
        self.master, slave = pty.openpty()
        own = [] if launcher else ["--set", "training.num_processes=2"]
        command = [sys.executable, *launcher, "-m", "opeddev_tui", "train", "-w", str(root), *words, *own]
        self.process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        os.close(slave)
        self.said = bytearray()
        threading.Thread(target=self._read, daemon=True).start()
        self._reader: JournalReader | None = None

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.said += os.read(self.master, 65536)

    def close_terminal(self) -> None:
        """Close the terminal, as a lost connection does."""
        os.close(self.master)

    def processes(self) -> list[psutil.Process]:
        """Return all processes of it."""
        first = psutil.Process(self.process.pid)
        return [first, *first.children(recursive=True)]

    @property
    def run(self) -> Path:
        """The folder of the workspace's newest run."""
        return list_runs(self.workspace)[-1].folder

    def wait_for(self, wanted: Callable[[ev.AnyEvent], bool]) -> None:
        """Wait for the next event that is ``wanted``."""
        end = time.monotonic() + _MOST_SECONDS
        while not any(wanted(event) for event in self._new()):
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"the case's event did not come: {self.said.decode(errors='replace')[-3000:]}")
            time.sleep(0.005)

    def _new(self) -> Iterator[ev.AnyEvent]:
        if self._reader is None and list_runs(self.workspace):
            self._reader = JournalReader(self.run)
        yield from self._reader.read_new() if self._reader is not None else []

    def end(self) -> int:
        """Wait for the end; return the exit code."""
        return self.process.wait(_MOST_SECONDS)

    def digest(self) -> str:
        """Return the digest of the last checkpoint."""
        return [event.digest for event in read(self.run) if isinstance(event, ev.CheckpointSaved)][-1]

    def last_words(self) -> str:
        """Return how the run ended, by its journal."""
        ends = (ev.Interrupted, ev.RunFailed, ev.RunFinished)
        last = [event for event in read(self.run) if isinstance(event, ends)][-1]
        if isinstance(last, ev.Interrupted):
            return f"{last.reason}, saved at optimizer step {last.global_step}"
        return last.message if isinstance(last, ev.RunFailed) else "finished"


def at_step(number: int) -> Callable[[ev.AnyEvent], bool]:
    """Return what recognizes the optimizer step ``number``."""
    return lambda event: isinstance(event, ev.Progress) and event.global_step == number


def left_of(processes: Sequence[psutil.Process], seconds: float = 5.0) -> int:
    """Return how many of ``processes`` have not ended after ``seconds``."""
    return len(psutil.wait_procs(list(processes), timeout=seconds)[1])


def resumed(root: Path, launcher: Sequence[str]) -> str:
    """Start again; return the digest of the last checkpoint, or how it ended."""
    again = Training(root, "--policy", "rule", launcher=launcher)
    code = again.end()
    return again.digest() if code == 0 else f"exit code {code}"


def told(case: str, found: str, left: int, *, right: bool) -> bool:
    """Print a line; return whether the case went as it should."""
    print(f"| {case} | {found} | {left} left | {'right' if right and not left else 'WRONG'} |", flush=True)
    return right and not left


def open_questions(make: Made, undisturbed: str) -> bool:
    """Two workspaces at once, one under torchrun, whose questions stay open; then they are answered."""
    words = ("--policy", "ask", "--set", f"training.rank_timeout_minutes={_TIMEOUT_MINUTES}")
    both = [Training(make("asks"), *words), Training(make("asks-torchrun"), *words, launcher=_TORCHRUN)]
    for training in both:
        training.wait_for(lambda event: isinstance(event, ev.DecisionAwaited))
    time.sleep(5)
    processes = [process for training in both for process in training.processes()]
    before = [_seconds(process) for process in processes]
    time.sleep(_OPEN_SECONDS)
    used = [100 * (_seconds(process) - ago) / _OPEN_SECONDS for process, ago in zip(processes, before, strict=True)]
    for training in both:
        command = [sys.executable, "-m", "opeddev_tui", "decide", "continue", "-w", str(training.workspace.root)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    codes = [training.end() for training in both]
    equal = all(training.digest() == undisturbed for training in both)
    percents = ", ".join(f"{percent:.2f}" for percent in used)
    found = f"open for {_OPEN_SECONDS:.0f} s, processor time {percents}%; codes {codes}, weights equal: {equal}"
    right = codes == [0, 0] and equal and max(used) < 1
    return told("two workspaces at once, a question in each", found, left_of(processes), right=right)


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def two_launches(make: Made, undisturbed: str) -> bool:
    """Two torchruns start in one workspace at the same moment."""
    root = make("launched-twice")
    both = [Training(root, "--policy", "rule", launcher=_TORCHRUN) for _ in range(2)]
    seen: dict[int, psutil.Process] = {}
    while any(training.process.poll() is None for training in both):
        for training in both:
            if training.process.poll() is None:
                with contextlib.suppress(psutil.NoSuchProcess):
                    seen |= {process.pid: process for process in training.processes()}
        time.sleep(0.05)
    codes = sorted(training.end() for training in both)
    refused = [training for training in both if training.process.returncode]
    said = refused[0].said.decode(errors="replace") if refused else ""
    named = "a training is already running here" in said and "exitcode  : 7" in said
    runs = len(list_runs(both[0].workspace))
    equal = both[0].digest() == undisturbed
    found = f"torchrun ends with {codes}, the second with code 7 inside: {named}; {runs} run, weights equal: {equal}"
    return told("two launches in one workspace", found, left_of(list(seen.values())), right=named and equal)


def interrupted(make: Made, undisturbed: str) -> bool:
    """Ctrl+C in the terminal of torchrun."""
    training = Training(make("interrupted"), "--policy", "rule", launcher=_TORCHRUN)
    training.wait_for(at_step(4))
    processes = training.processes()
    os.write(training.master, b"\x03")
    return _stopped("Ctrl+C to torchrun", training, processes, undisturbed)


def hung_up_torchrun(make: Made, undisturbed: str) -> bool:
    """The terminal of torchrun is closed."""
    training = Training(make("hung-up-torchrun"), "--policy", "rule", launcher=_TORCHRUN)
    training.wait_for(at_step(4))
    processes = training.processes()
    training.close_terminal()
    return _stopped("closed terminal of torchrun", training, processes, undisturbed)


def _stopped(case: str, training: Training, processes: Sequence[psutil.Process], undisturbed: str) -> bool:
    began = time.monotonic()
    code = training.end()
    took = time.monotonic() - began
    left, words = left_of(processes), training.last_words()
    equal = resumed(training.workspace.root, _TORCHRUN) == undisturbed
    found = f"ends with {code} after {took:.1f} s: {words}; resumed weights equal: {equal}"
    return told(case, found, left, right=equal and "saved" in words)


def hung_up_train(make: Made, undisturbed: str) -> bool:
    """The terminal of a training with hands of its own is closed: it goes on."""
    training = Training(make("hung-up-train"), "--policy", "rule")
    training.wait_for(at_step(4))
    processes = training.processes()
    training.close_terminal()
    _, alive = psutil.wait_procs(processes, timeout=_MOST_SECONDS)
    words = training.last_words()
    equal = training.digest() == undisturbed
    found = f"{words}; weights equal: {equal}"
    return told("closed terminal of train", found, len(alive), right=equal and words == "finished")
