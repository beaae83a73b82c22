"""Measures what a lost terminal costs: python benchmarks/reliability/terminal_loss.py [REPETITIONS]

Each fault is done to a fresh app with a worker thread, on a real pty (or in a real tmux); then somebody attaches
from a new terminal of another size. Prints a table in Markdown.
"""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

import psutil
from pty_tools import CLIENT, PYTHON, TRAINING_APP, Counter, Terminal, end, until

CPU_SECONDS = 2.0


@dataclass
class Case:
    """One repetition: an app in its first terminal."""

    folder: Path
    terminal: Terminal
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def pid(self) -> int:
        return int((self.folder / "pid").read_text())

    def attach(self, columns: int, lines: int) -> Terminal:
        terminal = Terminal(columns, lines)
        self.processes.append(terminal.spawn([PYTHON, "-c", CLIENT, str(self.folder / "attach.sock")]))
        until(lambda: terminal.shows(f"size {columns}x{lines}"), 15, "attached")
        return terminal


def _close(case: Case) -> None:
    case.terminal.close()


def _hang_up(case: Case) -> None:
    os.kill(case.pid, signal.SIGHUP)


def _stall(case: Case) -> None:
    case.terminal.stop_reading()


def _kill_client(case: Case) -> None:
    case.terminal = case.attach(100, 30)
    (case.folder / "news").write_text("")
    case.processes[-1].kill()


def _kill_tmux(case: Case) -> None:
    subprocess.run(["tmux", "-L", case.folder.name, "kill-server"], check=True, capture_output=True)


@contextlib.contextmanager
def _started(in_tmux: bool, *arguments: str) -> Iterator[Case]:
    folder = Path(tempfile.mkdtemp(prefix="loss-"))
    (folder / "app.py").write_text(TRAINING_APP)
    case = Case(folder, Terminal(80, 24))
    argv = [PYTHON, str(folder / "app.py"), str(folder), *arguments]
    if in_tmux:
        argv = ["tmux", "-L", folder.name, "-f", "/dev/null", "new-session", *argv]
    case.processes.append(case.terminal.spawn(argv))
    try:
        until(lambda: case.terminal.shows("step ") and Counter(folder / "state").steps, 20, "up")
        yield case
    finally:
        with contextlib.suppress(OSError, ValueError):
            os.kill(case.pid, signal.SIGKILL)
        for process in case.processes:
            end(process)
        case.terminal.close()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Row:
    """The figures of one fault."""

    done: int = 0
    problems: list[str] = field(default_factory=list)
    pause: float = 0.0
    cpu: list[float] = field(default_factory=list)
    away: list[float] = field(default_factory=list)


def _repeat(row: Row, fault: Callable[[Case], None], in_tmux: bool, arguments: tuple[str, ...]) -> None:
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
    faults: list[tuple[str, Callable[[Case], None], bool, tuple[str, ...]]] = [
        ("terminal closed", _close, False, ()),
        ("hang-up signal", _hang_up, False, ()),
        ("attached client killed", _kill_client, False, ()),
        ("terminal stops reading", _stall, False, ("loud",)),
    ]
    if shutil.which("tmux"):
        faults.append(("tmux server killed", _kill_tmux, True, ()))
    print("| fault | attached again, same process | longest training pause | CPU beyond training (worst) | noticed |")
    print("| --- | --- | --- | --- | --- |")
    for name, fault, in_tmux, arguments in faults:
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
