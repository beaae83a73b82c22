"""Readers of a command's output that go, stall or were never there: a training goes on, exit codes keep their sense."""

import contextlib
import os
import pty
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import engine_helpers as eh
import pytest
from pty_tools import PYTHON, Terminal, end, until

from opeddev_tui.runs import events as ev
from opeddev_tui.workspace.lock import who_trains

Make = Callable[..., Path]
CLOSED, GONE = "closed", "gone"


class Command(eh.Command):
    """A command whose standard streams are what a test says: a path, CLOSED, or a pipe whose reader has GONE."""

    def __init__(self, words: list[str], out: str, err: str) -> None:
        self._places = (out, err)
        super().__init__(words, Path(os.devnull))

    def run(self) -> None:
        """Put the streams in place in the new process, then go on."""
        for number, place in enumerate(self._places, 1):
            with contextlib.suppress(OSError):
                os.close(number)
            if place != CLOSED:
                descriptor = (
                    _broken_pipe() if place == GONE else os.open(place, os.O_WRONLY | os.O_APPEND | os.O_NOCTTY)
                )
                os.dup2(descriptor, number)
                if descriptor != number:
                    os.close(descriptor)
        words = self._args[0]  # type: ignore[attr-defined]
        os.environ.update(self._args[1])  # type: ignore[attr-defined]
        os._exit(_run(words))

    def text(self) -> str:
        return ""


def _broken_pipe() -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def _run(words: list[str]) -> int:
    import sys

    # as Python makes them at its start
    for number, name in ((1, "stdout"), (2, "stderr")):
        try:
            os.fstat(number)
            setattr(sys, name, open(number, "w", closefd=False))  # noqa: SIM115
        except OSError:
            setattr(sys, name, None)
    from opeddev_tui.cli import main

    code = main(words)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    return code


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """A pipe with a name, and the descriptor of its reading end."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    # for writing as well: else a read before the command has begun finds the end of the file
    reading = os.open(path, os.O_RDWR)
    yield str(path), reading
    with contextlib.suppress(OSError):
        os.close(reading)


def log_of(root: Path) -> str:
    return (root / "logs/train.log").read_text()


def train(root: Path, out: str, err: str) -> Command:
    return Command(["train", "-w", str(root)], out, err)


def test_a_training_outlives_the_reader_of_its_output(workspace_factory: Make, fifo: tuple[str, int]) -> None:
    """``train | head -1``; the lines that nobody read are in the log."""
    root, (path, reading) = workspace_factory(), fifo
    process = train(root, path, path)
    assert b"step 0" in os.read(reading, 4096)
    os.close(reading)
    assert process.code() == 0
    assert eh.states(root)[0].status == "finished"
    assert "the output is lost (Broken pipe)" in log_of(root)
    assert "step finished after 3 epochs" in log_of(root)
    assert "\x1b" not in log_of(root)


def test_a_training_does_not_wait_for_a_reader_that_stalls(workspace_factory: Make, fifo: tuple[str, int]) -> None:
    """``train | less``: the pipe is full from the start, and nobody reads it."""
    root, (path, _) = workspace_factory(), fifo
    writing = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    process = train(root, path, path)
    assert process.code() == 0
    os.close(writing)
    assert eh.states(root)[0].status == "finished"
    assert "step finished after 3 epochs" in log_of(root)


@pytest.mark.parametrize("place", ["/dev/full", CLOSED, GONE])
def test_a_training_needs_no_output(workspace_factory: Make, place: str) -> None:
    root = workspace_factory(rows=8)
    assert train(root, place, place).code() == 0
    assert eh.states(root)[0].status == "finished"
    events = eh.journal_of(root)
    assert all(not isinstance(event, ev.Warned) for event in events)
    # a descriptor that was closed at the start is not one of the run's own files
    assert (eh.last_run(root) / "events.jsonl").read_bytes().endswith(b"}\n")


def test_the_failure_of_a_training_that_nobody_reads_is_in_the_log(workspace_factory: Make) -> None:
    root = workspace_factory()
    eh.holdout_file(root).write_text("no row\n")
    assert train(root, "/dev/full", "/dev/full").code() == 3
    assert "validation.jsonl" in log_of(root)


def test_a_training_outlives_its_terminal(workspace_factory: Make) -> None:
    """The terminal is closed: it hangs up, and every write to it fails."""
    root = workspace_factory(rows=40)
    master, slave = pty.openpty()
    process = train(root, os.ttyname(slave), os.ttyname(slave))
    os.close(slave)
    gone = threading.Event()

    def read() -> None:
        with contextlib.suppress(OSError):
            while not gone.is_set():
                os.read(master, 4096)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    eh.Follower(root).wait(lambda event: isinstance(event, ev.Progress) and event.global_step == 2, process)
    gone.set()
    os.kill(process.pid or 0, signal.SIGHUP)
    os.close(master)
    assert process.code() == 0
    assert eh.states(root)[0].status == "finished"
    assert "is lost" in log_of(root)
    assert "step finished after 3 epochs" in log_of(root)


def test_what_ignored_hangups_at_its_start_ignores_them(workspace_factory: Make) -> None:
    """``nohup``, or a hang-up while the output is a file: it goes on there."""
    root = workspace_factory(rows=8)
    out = root.parent / "out.txt"
    out.touch()
    process = train(root, str(out), str(out))
    eh.Follower(root).wait(lambda event: isinstance(event, ev.Progress), process)
    os.kill(process.pid or 0, signal.SIGHUP)
    assert process.code() == 0
    assert "step finished after 3 epochs" in out.read_text()
    assert "is lost" not in log_of(root)


def test_ctrl_z_stops_a_training_and_fg_goes_on(workspace_factory: Make) -> None:
    """In a shell with job control, and with the lock kept meanwhile."""
    root = workspace_factory(rows=40)
    terminal = Terminal(100, 24)
    shell = terminal.spawn(["bash", "--norc", "-i"], PS1="ready> ")
    try:
        until(lambda: terminal.shows("ready>"), 20, "the shell asks")
        terminal.press(f"{PYTHON} -m opeddev_tui train -w {root}\r")
        until(lambda: eh.workspace_of(root).run_ids() and len(eh.states(root)) == 1, 60, "the run begins")
        until(lambda: eh.states(root)[0].progress, 60, "it trains")
        terminal.press("\x1a")
        until(lambda: terminal.shows("Stopped"), 20, "it is stopped")
        assert who_trains(eh.workspace_of(root)) is not None
        terminal.press("fg\r")
        until(lambda: terminal.shows("step finished"), 60, "it ends")
        assert eh.states(root)[0].status == "finished"
    finally:
        end(shell)
        terminal.close()


WORDS = {
    "status": ["status"],
    "check": ["check"],
    "checkpoints": ["checkpoints", "list"],
    "verify": ["checkpoints", "verify", "--json"],
    "help": ["checkpoints", "--help"],
}


@pytest.mark.parametrize("place", [CLOSED, GONE])
@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS.keys())
def test_a_reader_that_has_gone_changes_no_exit_code(trained_workspace: Path, words: list[str], place: str) -> None:
    """``status | head -1``, and a command that was started with its output closed."""
    known = [] if "--help" in words else ["-w", str(trained_workspace)]
    assert Command([*words, *known], place, place).code() == 0
    assert Command(["status", "-w", str(trained_workspace / "missing")], place, place).code() == 2


@pytest.mark.parametrize("words", [*list(WORDS.values())[:4]], ids=list(WORDS)[:4])
def test_output_that_cannot_be_written_is_a_failure_and_said(
    trained_workspace: Path, words: list[str], tmp_path: Path
) -> None:
    told = tmp_path / "told"
    told.touch()
    process = Command([*words, "-w", str(trained_workspace)], "/dev/full", str(told))
    assert process.code() == 4
    assert "the output: cannot be written: no space left on device." in told.read_text()
    assert "Traceback" not in told.read_text()
