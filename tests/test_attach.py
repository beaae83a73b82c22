"""The real app in real terminals: training goes on without one, is attached to, detached, stopped by signals."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import engine_helpers as helpers
import psutil
import pytest
from pty_tools import PYTHON, Terminal, end, until

from opeddev_tui import events as ev
from opeddev_tui.lock import RunLock
from opeddev_tui.ui.presence import reach

PROGRAM = [PYTHON, "-m", "opeddev_tui"]
# an epoch of some seconds, and every epoch is asked about
SLOW = {
    "early_stop.policy": "ask",
    "early_stop.max_extra_epochs": 2,
    "training.per_device_train_batch_size": 1,
    "ui.undo_seconds": 0.2,
    "ui.guard_ms": 0,
}


class Place:
    """A workspace with its terminals and processes, ended with the test."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.workspace = helpers.workspace_of(root)
        self._terminals: list[Terminal] = []
        self._processes: list[subprocess.Popen[bytes]] = []

    def terminal(self, *words: str, columns: int = 100, lines: int = 30) -> tuple[Terminal, subprocess.Popen[bytes]]:
        """Start the program in a new terminal."""
        terminal = Terminal(columns, lines)
        process = terminal.spawn([*PROGRAM, *words])
        self._terminals.append(terminal)
        self._processes.append(process)
        return terminal, process

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the program without a terminal."""
        return subprocess.run([*PROGRAM, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240)

    @property
    def events(self) -> list[ev.AnyEvent]:
        """What the newest run has told."""
        runs = self.workspace.run_ids()
        return helpers.read(self.workspace.run_folder(runs[-1])) if runs else []

    def count(self, kind: type[ev.Event]) -> int:
        """Return how many events of ``kind`` there are."""
        return sum(isinstance(event, kind) for event in self.events)

    def training(self, steps: int = 3) -> int:
        """Wait until optimizer steps are made; return the process."""
        until(lambda: self.count(ev.Progress) >= steps, 60, "training")
        found = reach(self.workspace)
        assert found is not None
        return found.pid

    def close(self) -> None:
        found = reach(self.workspace)
        if found is not None and found.pid != os.getpid():
            with contextlib.suppress(ProcessLookupError):
                os.kill(found.pid, signal.SIGKILL)
        for process in self._processes:
            end(process)
        for terminal in self._terminals:
            terminal.close()


@pytest.fixture
def place(workspace_factory: Callable[..., Path]) -> Iterator[Place]:
    found = Place(workspace_factory(rows=150, holdout=4, **SLOW))
    yield found
    found.close()


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_closed_terminal_attach_decide_finish(place: Place) -> None:
    first, process = place.terminal(str(place.root))
    until(lambda: first.shows("Ready"), 20)
    first.press("t")
    pid = place.training()
    assert pid == process.pid
    assert not first.shows("Traceback")
    # a second start of any kind is refused or only looks
    refused = place.call("train", "-w", str(place.root))
    assert refused.returncode == 7
    assert f"process {pid}" in refused.stderr
    assert "opeddev-tui attach" in refused.stderr
    assert place.call("train", "--detach", "-w", str(place.root)).returncode == 7
    first.close()
    until(lambda: not json.loads(place.call("status", "--json", "-w", str(place.root)).stdout)["terminal"], 20)
    before = place.count(ev.Progress)
    until(lambda: place.count(ev.Progress) > before or place.count(ev.DecisionAwaited), 10)
    until(lambda: place.count(ev.DecisionAwaited) == 1, 60, "the question comes while nobody looks")
    assert place.count(ev.Decided) == 0
    viewer, _ = place.terminal(str(place.root), columns=90, lines=30)
    until(lambda: viewer.shows("Attach") and viewer.shows("read only"), 20)
    viewer.press("c")
    second, client = place.terminal("attach", str(place.root), columns=120, lines=40)
    until(lambda: second.shows("Epoch 1 of at most 5 is done"), 20)
    assert reach(place.workspace).terminal.startswith("120x40")  # type: ignore[union-attr]
    assert place.count(ev.Decided) == 0
    second.press("s")
    until(lambda: place.count(ev.RunFinished) == 1, 20)
    until(lambda: second.shows("Observation"), 10)
    second.press("\x1b")
    # an escape and a letter at once would be another key
    until(lambda: not second.shows("Observation"), 10)
    until(lambda: second.shows("Step 0 is trained") and reach(place.workspace) is None, 10)
    # the plots are still being drawn: q waits for them, without a question
    second.press("q")
    assert client.wait(60) == 0
    assert process.wait(60) == 0
    assert not place.workspace.socket.exists()
    assert not place.workspace.screen_record.exists()


def test_detached_attach_let_go_and_ends_by_itself(place: Place) -> None:
    started = place.call("train", "--detach", "--policy", "ask", "-w", str(place.root))
    assert started.returncode == 0, started.stderr
    pid = reach(place.workspace).pid  # type: ignore[union-attr]
    assert f"process {pid}" in started.stdout
    assert place.call("train", "-w", str(place.root)).returncode == 7
    place.training()
    report = json.loads(place.call("status", "--json", "-w", str(place.root)).stdout)
    assert (report["alive"], report["training_process"], report["terminal"]) == (True, pid, None)
    assert report["attachable"]
    terminal, client = place.terminal("attach", str(place.root), columns=110, lines=32)
    until(lambda: terminal.shows("Monitor"), 10)
    until(lambda: place.count(ev.DecisionAwaited) == 1, 60)
    terminal.press("q")
    until(lambda: terminal.shows("Keep training"), 10)
    terminal.press("k")
    assert client.wait(60) == 0
    assert not gone(pid)
    # nobody looks: the answer comes through the run's folder, and the process ends by itself
    from opeddev_tui.control import Decide, send

    send(place.workspace.run_folder(place.workspace.run_ids()[-1]), Decide(epoch=1, choice="stop"))
    until(lambda: gone(pid), 20, "it ends by itself")
    assert place.count(ev.RunFinished) == 1
    for name in (place.workspace.lock, place.workspace.log):
        assert name.stat().st_mode & 0o077 == 0
    nothing = place.call("attach", str(place.root))
    assert nothing.returncode == 6
    assert "nothing is running here" in nothing.stderr


def started(place: Place) -> tuple[Terminal, subprocess.Popen[bytes], list[object]]:
    """Return an app that has been told to train, and its terminal's modes before it."""
    terminal = Terminal(100, 30)
    place._terminals.append(terminal)
    before = terminal.attributes()
    process = terminal.spawn([*PROGRAM, str(place.root)])
    place._processes.append(process)
    until(lambda: terminal.shows("Ready"), 20)
    terminal.press("t")
    return terminal, process, before


def test_signal_saves_and_restores_the_terminal(place: Place) -> None:
    terminal, process, before = started(place)
    place.training()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    assert terminal.attributes() == before
    last = place.events[-1]
    assert isinstance(last, ev.Interrupted)
    assert last.reason == "SIGTERM"
    assert last.checkpoint


def test_second_signal_leaves_at_once(place: Place) -> None:
    terminal, process, before = started(place)
    until(lambda: terminal.shows("Loading"), 10)
    # the training stack is being loaded: no safe point for seconds
    process.send_signal(signal.SIGINT)
    until(lambda: terminal.shows("SIGINT: saving, then leaving"), 10)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == -signal.SIGTERM
    until(lambda: terminal.attributes() == before)
    assert b"\x1b[?1049l" in terminal.received


# a screen that fails on the key y, around a training that asks after its first epoch
FAILING = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from engine import ScriptedEngine
from opeddev_tui import config
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.run import run_app
from opeddev_tui.lock import reserved
from opeddev_tui.workspace import Workspace
root = Path(sys.argv[1])
loaded = config.load(root)

def fail(app):
    raise RuntimeError("the screen broke [/INST]")

def run(*arguments):
    with reserved(Workspace(root, loaded.settings.paths)):
        return ScriptedEngine()(*arguments)

OpeddevApp.action_copy = fail
sys.exit(run_app(root, loaded, start=True, runner=run))
"""


def test_failed_screen_leaves_the_training_alive(place: Place) -> None:
    tests = Path(__file__).parent
    terminal = Terminal(100, 30)
    place._terminals.append(terminal)
    process = terminal.spawn([PYTHON, "-c", FAILING, str(place.root), str(tests), str(tests / "ui")])
    place._processes.append(process)
    until(lambda: terminal.shows("Epoch 1"), 20)
    terminal.press("y")
    until(lambda: terminal.shows("The screen failed"), 10)
    until(lambda: reach(place.workspace) is not None and reach(place.workspace).attachable, 10)  # type: ignore[union-attr]
    report = json.loads(place.call("status", "--json", "-w", str(place.root)).stdout)
    assert report["screen_failure"] == "RuntimeError: the screen broke [/INST]"
    assert report["alive"]
    log = place.workspace.log.read_text()
    assert "Traceback" in log
    assert "RuntimeError: the screen broke" in log
    second, client = place.terminal("attach", str(place.root))
    until(lambda: second.shows("The rule says"), 10)
    second.press("s")
    until(lambda: second.shows("Observation"), 20)
    second.press("\x1b")
    until(lambda: not second.shows("Observation"), 10)
    until(lambda: second.shows("is trained") and reach(place.workspace) is None, 10)
    second.press("q")
    assert client.wait(60) == 0
    assert process.wait(60) == 0


def test_lock_of_another_process_is_named(place: Place) -> None:
    with RunLock(place.workspace):
        refused = place.call("train", "-w", str(place.root))
        assert refused.returncode == 7
        assert f"process {os.getpid()}" in refused.stderr
        told = place.call("attach", str(place.root))
    assert "without an app" in told.stderr
