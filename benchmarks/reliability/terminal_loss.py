"""Measures what a lost terminal costs: python benchmarks/reliability/terminal_loss.py [REPETITIONS]

Each fault is done to a fresh app with a worker thread, on a real pty (or in a real tmux); then somebody attaches
from a new terminal of another size. Prints a table in Markdown.
"""

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

import losses
import psutil
from pty_tools import CLIENT, PYTHON, TRAINING_APP, Counter, Terminal, until

CPU_SECONDS = 2.0


class Case(losses.Case):
    """One repetition: a small app in its first terminal."""

    @property
    def pid(self) -> int:
        """The process that trains."""
        return int((self.folder / "pid").read_text())

    def attach(self, columns: int, lines: int) -> Terminal:
        """Attach from a new terminal."""
        terminal = Terminal(columns, lines)
        self.processes.append(terminal.spawn([PYTHON, "-c", CLIENT, str(self.folder / "attach.sock")]))
        until(lambda: terminal.shows(f"size {columns}x{lines}"), 15, "attached")
        # what it said so far is about an earlier terminal
        (self.folder / "news").write_text("")
        return terminal


@contextlib.contextmanager
def _started(in_tmux: bool, *arguments: str) -> Iterator[Case]:
    folder = Path(tempfile.mkdtemp(prefix="loss-"))
    (folder / "app.py").write_text(TRAINING_APP)
    case = Case(folder, Terminal(80, 24))
    argv = [PYTHON, str(folder / "app.py"), str(folder), *arguments]
    with losses.cleaned_up(case):
        losses.start(case, argv, in_tmux)
        until(lambda: case.terminal.shows("step ") and Counter(folder / "state").steps, 20, "up")
        yield case


@dataclass
class Row:
    """The figures of one fault."""

    done: int = 0
    problems: list[str] = field(default_factory=list)
    pause: float = 0.0
    cpu: list[float] = field(default_factory=list)
    away: list[float] = field(default_factory=list)


def _repeat(row: Row, fault: losses.Fault, in_tmux: bool, arguments: tuple[str, ...]) -> None:
    with _started(in_tmux, *arguments) as case:
        counter, pid = Counter(case.folder / "state"), case.pid
        begin = time.monotonic()
        fault(case)
        until(lambda: "headless" in (case.folder / "news").read_text(), 20, "headless")
        row.away.append(time.monotonic() - begin)
        counter.moves_on()
        row.cpu.append(counter.cpu_beyond_worker(pid, CPU_SECONDS))
        terminal = case.attach(120, 40)
        counter.moves_on()
        row.pause = max(row.pause, counter.longest_pause)
        assert psutil.pid_exists(pid)
        terminal.press("0\r")
        until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE, 10, "quit")
        terminal.close()


def main() -> None:
    """Run every fault and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repetitions", type=int, nargs="?", default=10)
    repetitions: int = parser.parse_args().repetitions
    print("| fault | attached again, same process | longest training pause | CPU beyond training (worst) | noticed |")
    print("| --- | --- | --- | --- | --- |")
    for name, fault, in_tmux in losses.faults():
        # a screen that writes a lot fills the terminal that is not read
        arguments = ("loud",) if fault is losses.stall else ()
        row = Row()
        for _ in range(repetitions):
            try:
                _repeat(row, fault, in_tmux, arguments)
                row.done += 1
            except AssertionError as error:
                row.problems.append(str(error))
        print(
            f"| {name} | {row.done} of {repetitions} | {row.pause:.3f} s | {max(row.cpu, default=0):.1%} "
            f"| {max(row.away, default=0):.1f} s |",
            flush=True,
        )
        for problem in row.problems:
            print(f"  {name}: {problem}", file=sys.stderr)


if __name__ == "__main__":
    main()
