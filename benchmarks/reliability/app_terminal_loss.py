"""Measures what a lost terminal costs the real app: … app_terminal_loss.py [REPETITIONS] [--only FAULT …]

The app trains a tiny model on a real pty; the terminal is taken away in a different way in each row; then somebody
attaches from a new terminal of another size. The pause is the longest time between two logged optimizer steps of one
epoch (the end of an epoch takes its time with or without a screen), beside the longest one before the fault in the same
run. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

import engine_helpers as helpers
import losses
from opeddev_tui.ui.presence import reach
from pty_tools import PYTHON, Terminal, until

from opeddev_tui.runs.events import EpochFinished, Progress
from opeddev_tui.runs.journal import JournalReader

# optimizer steps a logged point, so that points are close together but not every one costs a line
SETTINGS = {"training.per_device_train_batch_size": 1, "early_stop.policy": "rule", "training.num_train_epochs": 40}


@dataclass
class Case(losses.Case):
    """One repetition: the app in its first terminal, training."""

    times: list[float] = field(default_factory=list)
    epoch_ends: list[float] = field(default_factory=list)
    reader: JournalReader | None = None

    @property
    def root(self) -> Path:
        """The workspace."""
        return self.folder / "workspace"

    @property
    def pid(self) -> int | None:
        """The process that trains."""
        found = reach(helpers.workspace_of(self.root))
        return found.pid if found is not None else None

    def steps(self) -> int:
        """Read the journal; return how many points there are."""
        workspace = helpers.workspace_of(self.root)
        if self.reader is None and workspace.run_ids():
            self.reader = JournalReader(workspace.run_folder(workspace.run_ids()[-1]))
        if self.reader is not None:
            for event in self.reader.read_new():
                if isinstance(event, Progress):
                    self.times.append(event.at)
                elif isinstance(event, EpochFinished):
                    self.epoch_ends.append(event.at)
        return len(self.times)

    def moves_on(self, count: int, seconds: float = 60) -> None:
        """Wait for more optimizer steps."""
        wanted = self.steps() + count
        until(lambda: self.steps() >= wanted, seconds, "the training goes on")

    def pause(self, since: float, to: float = float("inf")) -> float:
        """Return the longest time between two steps of one epoch in a span."""
        pairs = itertools.pairwise(at for at in self.times if since <= at <= to)
        return max((b - a for a, b in pairs if not any(a <= end <= b for end in self.epoch_ends)), default=0.0)

    def attach(self, columns: int, lines: int) -> Terminal:
        """Attach from a new terminal."""
        terminal = Terminal(columns, lines)
        self.processes.append(terminal.spawn([PYTHON, "-m", "opeddev_tui", "attach", str(self.root)]))
        until(lambda: terminal.shows("training") and terminal.shows("1 Monitor"), 20, "attached")
        return terminal


@contextlib.contextmanager
def started(model: Path, in_tmux: bool) -> Iterator[Case]:
    folder = Path(tempfile.mkdtemp(prefix="loss-"))
    case = Case(folder, Terminal(80, 24))
    helpers.make_workspace(case.root, model, rows=400, holdout=4, settings=SETTINGS)
    with losses.cleaned_up(case):
        losses.start(case, [PYTHON, "-m", "opeddev_tui", str(case.root)], in_tmux)
        until(lambda: case.terminal.shows("Ready"), 30, "up")
        time.sleep(0.5)
        case.terminal.press("t")
        until(lambda: case.steps() >= 20, 90, "training")
        yield case


@dataclass
class Row:
    """The figures of one fault."""

    done: int = 0
    before: float = 0.0
    after: float = 0.0
    away: list[float] = field(default_factory=list)
    back: list[float] = field(default_factory=list)


def headless(case: Case) -> bool:
    found = reach(helpers.workspace_of(case.root))
    return found is not None and not found.terminal


def _repeat(row: Row, model: Path, fault: losses.Fault, in_tmux: bool) -> None:
    with started(model, in_tmux) as case:
        pid = case.pid
        case.moves_on(100)
        at, begin = time.time(), time.monotonic()
        fault(case)
        until(lambda: headless(case), 30, "headless")
        row.away.append(time.monotonic() - begin)
        case.moves_on(150)
        begin = time.monotonic()
        terminal = case.attach(120, 40)
        row.back.append(time.monotonic() - begin)
        assert case.pid == pid, "another process"
        case.moves_on(50)
        row.before = max(row.before, case.pause(case.times[20], at))
        row.after = max(row.after, case.pause(at))
        terminal.close()


def _measured(name: str, fault: losses.Fault, in_tmux: bool, model: Path, repetitions: int) -> Row:
    row = Row()
    for _ in range(repetitions):
        try:
            _repeat(row, model, fault, in_tmux)
            row.done += 1
        except AssertionError as error:
            print(f"  {name}: {error}", file=sys.stderr)
    return row


def main() -> int:
    """Run every fault, print the table and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repetitions", type=int, nargs="?", default=10)
    parser.add_argument("--only", nargs="*", metavar="FAULT", help="words of the faults to do, 'closed' for example")
    options = parser.parse_args()
    faults = [fault for fault in losses.faults() if not options.only or any(word in fault[0] for word in options.only)]
    if not faults:
        parser.error(f"no fault has one of these words: {' '.join(options.only)}")
    home = tempfile.mkdtemp(prefix="home-")
    os.environ.update(HOME=home, HF_HUB_OFFLINE="1")
    model = helpers.build_model(Path(home) / "tiny")
    failed = 0
    print("| fault | attached again, same process | longest pause before / after | noticed | attached in |")
    print("| --- | --- | --- | --- | --- |")
    for name, fault, in_tmux in faults:
        row = _measured(name, fault, in_tmux, model, options.repetitions)
        failed += options.repetitions - row.done
        print(
            f"| {name} | {row.done} of {options.repetitions} | {row.before:.2f} / {row.after:.2f} s "
            f"| {max(row.away, default=0):.1f} s | {max(row.back, default=0):.1f} s |",
            flush=True,
        )
    shutil.rmtree(home, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
