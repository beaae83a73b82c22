"""The training outlives every terminal, and any number of apps watch it, decide and see what it says."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from leftovers import ended
from places import PROGRAM, SLOW, Place, gone
from pty_tools import PYTHON, Terminal, until
from tmux_tools import Tmux

from opeddev_tui.runs import events as ev
from opeddev_tui.workspace.lock import RunLock, lock_holder

AGAIN = "See it again with: opeddev-tui"


@pytest.fixture
def place(workspace_factory: Callable[..., Path]) -> Iterator[Place]:
    found = Place(workspace_factory(rows=150, holdout=4, **SLOW))
    yield found
    found.close()


def decided_from_another_app(place: Place, pid: int) -> None:
    """Open an app at the question, stop the step there, and see the training's process end by itself."""
    place.asked()
    assert place.count(ev.Decided) == 0
    assert lock_holder(place.workspace) == pid
    terminal, process = place.app(columns=120, lines=40)
    until(lambda: terminal.shows("Epoch 1 of at most 5 is done"), 20)
    terminal.press("s")
    until(lambda: terminal.shows("Observation"), 20, "who decided is asked what was seen")
    terminal.press("\x1b")
    until(lambda: terminal.shows("Step 0 is trained") and not terminal.shows("Observation"), 20)
    assert place.count(ev.RunFinished) == 1
    until(lambda: gone(pid), 30, "the process ends with the training")
    assert not place.workspace.live_file.exists()
    terminal.press("q")
    assert process.wait(60) == 0


def test_the_terminal_is_closed(place: Place) -> None:
    first, process, pid = place.training_app()
    assert pid != process.pid
    refused = place.call("train", "-w", str(place.root))
    assert refused.returncode == 7
    assert f"process {pid}" in refused.stderr
    assert "Follow it with: opeddev-tui" in refused.stderr
    assert place.call("train", "--detach", "-w", str(place.root)).returncode == 7
    first.close()
    process.wait(60)
    place.moves_on()
    decided_from_another_app(place, pid)


def test_a_hang_up_signal_gives_a_living_terminal_back(place: Place) -> None:
    terminal, process, pid = place.training_app()
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 129
    until(lambda: terminal.shows(f" in process {pid}: it "))
    assert b"\x1b[?1049l" in terminal.received
    place.moves_on()
    decided_from_another_app(place, pid)


def test_the_terminal_s_owner_is_killed(place: Place) -> None:
    terminal = Terminal(100, 30)
    before = terminal.attributes()
    terminal.close()
    terminal, process, pid = place.training_app()
    process.kill()
    until(lambda: b"\x1b[?1049l" in terminal.received and terminal.attributes() == before, 20)
    place.moves_on()
    decided_from_another_app(place, pid)


def test_the_terminal_stops_reading(place: Place) -> None:
    terminal, process, pid = place.training_app()
    place.asked()
    terminal.stop_reading()
    terminal.resize(150, 50)
    assert process.wait(60) == 129
    decided_from_another_app(place, pid)
    # when it reads again, it is in order
    terminal.read_on()
    until(lambda: b"\x1b[?1049l" in terminal.received)


@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")
def test_the_tmux_server_is_killed(place: Place, tmp_path: Path) -> None:
    names = [name for name in ("HOME", "HF_HUB_OFFLINE", "PYTHONPATH") if name in os.environ]
    with Tmux(tmp_path) as tmux:
        tmux.start(" ".join([*PROGRAM, str(place.root)]), **{name: os.environ[name] for name in names})
        until(lambda: tmux.shows("Ready"), 30)
        tmux.press("t")
        pid = place.training()
        tmux.call("kill-server")
        place.moves_on()
        decided_from_another_app(place, pid)


def test_leaving_gives_the_shell_its_prompt_while_the_training_goes_on(place: Place) -> None:
    shell = f"{' '.join(PROGRAM)} {place.root}; echo PROMPT $?; read line; echo read $line"
    terminal, process = place.spawn(["sh", "-c", shell])
    until(lambda: terminal.shows("Ready"), 20)
    before = terminal.attributes()
    terminal.press("t")
    pid = place.training()
    terminal.press("q")
    until(lambda: terminal.shows("opeddev-tui shows it again"), 10)
    terminal.press("k")
    until(lambda: terminal.shows("PROMPT 0"), 10)
    assert terminal.shows(f" in process {pid}: it ")
    assert terminal.attributes() != before
    terminal.press("typed\r")
    until(lambda: terminal.shows("read typed"))
    assert process.wait(60) == 0
    # the terminal is nobody's any more: whoever waits for its end is not kept waiting
    links = [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]
    assert not any(link.startswith(("/dev/pts/", "/dev/tty")) for link in links), links
    decided_from_another_app(place, pid)


def test_an_answer_of_two_watchers_counts_once(place: Place) -> None:
    first, process, _pid = place.training_app()
    watchers = [place.app()[0], place.app()[0]]
    viewer, _ = place.app("attach", "--view")
    place.asked()
    for terminal in (first, viewer, *watchers):
        until(lambda terminal=terminal: terminal.shows("Epoch 1 of at most 5 is done"), 20)
    assert not viewer.shows("Continue: train epoch 2")
    viewer.press("s")
    for terminal in watchers:
        terminal.press("c")
    place.asked(2)
    decided = [event for event in place.events if isinstance(event, ev.Decided)]
    assert [(event.epoch, event.choice, event.by) for event in decided] == [(1, "continue", "person")]
    until(lambda: watchers[0].shows("Epoch 2 of at most 5 is done"), 20)
    watchers[0].press("s")
    for terminal in (first, viewer, *watchers):
        until(lambda terminal=terminal: terminal.shows("Step 0 is trained"), 30)
    until(lambda: watchers[0].shows("Observation"))
    assert not first.shows("Observation")
    assert not watchers[1].shows("Observation")
    first.press("q")
    assert process.wait(60) == 0


def test_a_watcher_who_leaves_while_the_choice_could_be_undone_has_decided(place: Place) -> None:
    first, process, pid = place.training_app()
    second, watching = place.app("--set", "ui.undo_seconds=60")
    place.asked()
    until(lambda: second.shows("Epoch 1 of at most 5 is done"), 20)
    second.press("s")
    until(lambda: second.shows("nothing has happened yet"), 20)
    second.press("q")
    assert watching.wait(60) == 0
    # an app that only follows says as one that trains where the training is
    said = f"The training goes on in process {pid} as before: it does what you chose."
    until(lambda: said in " ".join("".join(second.lines()).split()), 20)
    until(lambda: first.shows("Step 0 is trained"), 30)
    decided = [event for event in place.events if isinstance(event, ev.Decided)]
    assert [(event.epoch, event.choice, event.by) for event in decided] == [(1, "stop", "person")]
    first.press("q")
    assert process.wait(60) == 0


def test_a_watcher_whose_terminal_is_lost_just_ends(place: Place) -> None:
    _first, _process, pid = place.training_app()
    second, watching = place.app()
    until(lambda: second.shows("opt. step"), 20)
    second.close()
    watching.wait(60)
    place.moves_on()
    assert lock_holder(place.workspace) == pid


def test_started_in_the_background_watched_and_ended_by_itself(place: Place) -> None:
    started = place.call("train", "--detach", "--policy", "ask", "-w", str(place.root))
    assert started.returncode == 0, started.stderr
    pid = place.training()
    assert f"process {pid}" in started.stdout
    report = json.loads(place.call("status", "--json", "-w", str(place.root)).stdout)
    assert (report["alive"], report["training_process"]) == (True, pid)
    for name in (place.workspace.lock, place.workspace.log, place.workspace.live_file):
        assert name.stat().st_mode & 0o077 == 0
    decided_from_another_app(place, pid)


def test_a_stop_given_before_the_run_exists_is_kept_for_it(place: Place) -> None:
    first, process = place.app()
    until(lambda: first.shows("Ready"), 20)
    first.press("t")
    until(lambda: lock_holder(place.workspace) is not None, 10)
    second, _ = place.app()
    until(lambda: second.shows("Loading the training libraries"), 20)
    assert second.shows("Stop: save and end")
    second.press("s")
    until(lambda: place.count(ev.Interrupted) == 1, 60)
    until(lambda: second.shows("Interrupted"), 20)
    assert process.poll() is None


def test_a_signal_saves_and_restores_the_terminal(place: Place) -> None:
    terminal, process, _pid = place.training_app()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    assert "ECHO" not in str(terminal.attributes())
    last = place.events[-1]
    assert isinstance(last, ev.Interrupted)
    assert last.reason == "SIGTERM"
    assert last.checkpoint


def test_a_second_signal_leaves_at_once(place: Place) -> None:
    terminal, process = place.app()
    before = Terminal()
    modes = before.attributes()
    before.close()
    until(lambda: terminal.shows("Ready"), 20)
    terminal.press("t")
    until(lambda: terminal.shows("Loading"), 10)
    # the training stack is being loaded: no safe point for seconds
    process.send_signal(signal.SIGINT)
    until(lambda: terminal.shows("SIGINT: saving, then leaving"), 10)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    assert terminal.attributes() == modes
    until(lambda: b"\x1b[?1049l" in terminal.received)


def test_a_killed_app_leaves_a_terminal_in_order(place: Place) -> None:
    _terminal, process, pid = place.training_app()
    os.kill(pid, signal.SIGKILL)
    assert process.wait(60) == 137
    modes = Terminal()
    assert _terminal.attributes() == modes.attributes()
    modes.close()
    until(lambda: b"\x1b[?1049l" in _terminal.received)


def test_ctrl_z_and_a_stop_signal_do_not_stop_the_training(place: Place) -> None:
    terminal, process, _pid = place.training_app()
    terminal.press("\x1a")
    process.send_signal(signal.SIGTSTP)
    place.moves_on()
    terminal.press("2")
    until(lambda: terminal.shows("base model"), 20, "keys still count")


# a screen that fails on the key y, around a training that asks after its first epoch
FAILING = """
import sys
sys.path[:0] = sys.argv[2:]
from opeddev_tui.terminal.own_session import split
owner = split()
from pathlib import Path
from engine import ScriptedEngine
from opeddev_tui.config import loading
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.process import run_app
from opeddev_tui.workspace.lock import RunLock
from opeddev_tui.workspace.paths import Workspace
root = Path(sys.argv[1])
loaded = loading.load(root)

def fail(app):
    raise RuntimeError("the screen broke [/INST]")

def run(*arguments):
    with RunLock(Workspace(root, loaded.settings.paths)):
        return ScriptedEngine()(*arguments)

OpeddevApp.action_copy = fail
sys.exit(run_app(root, loaded, owner, start=True, runner=run))
"""


def test_a_screen_that_fails_leaves_prompt_and_training_alive(place: Place) -> None:
    tests = Path(__file__).parents[1]
    before = Terminal()
    modes = before.attributes()
    before.close()
    terminal, process = place.spawn([PYTHON, "-c", FAILING, str(place.root), str(tests), str(tests / "ui")])
    until(lambda: terminal.shows("Epoch 1"), 20)
    pid = lock_holder(place.workspace)
    assert pid is not None
    terminal.press("y")
    assert process.wait(60) == 1
    until(lambda: terminal.shows("The screen failed"), 10)
    told = " ".join("".join(terminal.lines()).split())
    assert f" in process {pid}: it " in told
    assert AGAIN in told
    assert "Traceback" not in told
    assert terminal.attributes() == modes
    log = place.workspace.log.read_text()
    assert "RuntimeError: the screen broke" in log
    assert "Traceback" in log
    second, watching = place.app()
    until(lambda: second.shows("The rule says"), 20)
    second.press("s")
    until(lambda: second.shows("Observation"), 20)
    second.press("\x1b")
    until(lambda: second.shows("is trained") and not second.shows("Observation"), 20)
    until(lambda: gone(pid), 20)
    second.press("q")
    assert watching.wait(60) == 0


# a training that says what a test tells it to: a line of JSON each, an event
TALKING = """
import json, sys
sys.path[:0] = sys.argv[2:]
from pathlib import Path
import engine_helpers
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.journal import Journal
from opeddev_tui.runs.live_file import LiveFile
from opeddev_tui.workspace.lock import RunLock
from scenes import opening
workspace = engine_helpers.workspace_of(Path(sys.argv[1]))

class Nobody:
    def emit(self, event):
        pass

journal = None
with RunLock(workspace), LiveFile(workspace, Nobody()) as live:
    for line in sys.stdin:
        kind, values = json.loads(line)
        if kind == "open":
            import time
            for event in opening(1, time.time()):
                journal = journal or Journal(workspace.run_folder(event.run))
                journal.emit(event)
                live.emit(event)
            continue
        event = getattr(ev, kind)(**values)
        if journal is not None and not isinstance(event, ev.SamplesStreaming):
            journal.emit(event)
        live.emit(event)
"""


def test_a_watcher_sees_phases_before_the_run_and_texts_as_they_grow(place: Place) -> None:
    import subprocess

    tests = Path(__file__).parents[1]
    argv = [PYTHON, "-c", TALKING, str(place.root), str(tests), str(tests / "ui")]
    watcher, _ = place.app(columns=120, lines=40)
    until(lambda: watcher.shows("Ready"), 20)
    with ended(subprocess.Popen(argv, stdin=subprocess.PIPE, text=True, env=os.environ)) as training:
        assert training.stdin is not None

        def say(kind: str, **values: object) -> None:
            assert training.stdin is not None
            training.stdin.write(json.dumps([kind, values]) + "\n")
            training.stdin.flush()

        until(lambda: lock_holder(place.workspace) == training.pid, 20)
        say("PhaseChanged", phase="reading data", detail="base and 0 increments")
        until(lambda: watcher.shows("Reading data base and 0 increments"), 20)
        say("PhaseChanged", phase="loading model", detail="tiny")
        until(lambda: watcher.shows("Loading model tiny"), 20)
        say("open")
        say("PhaseChanged", phase="generating", detail="1 probe prompts")
        until(lambda: watcher.shows("Generating"), 20)
        watcher.press("2")
        until(lambda: watcher.shows("base model"), 20)
        for text in ("The first words", "The first words and more"):
            say("SamplesStreaming", epoch=1, global_step=5, prompts=["Grade it."], texts=[text], finished=0)
            until(lambda text=text: watcher.shows(text), 20, text)
        training.kill()
    assert place.workspace.live_file.exists()
    watcher.press("1")
    until(lambda: watcher.shows("Interrupted"), 20, "what a dead process said is not believed")
    late, _ = place.app(columns=120, lines=40)
    until(lambda: late.shows("did not end well") or late.shows("died"), 20)
    assert not late.shows("Generating")


def test_the_lock_of_another_process_is_named_and_its_training_can_be_watched(place: Place) -> None:
    with RunLock(place.workspace):
        refused = place.call("train", "-w", str(place.root))
        assert refused.returncode == 7
        assert f"process {os.getpid()}" in refused.stderr
        told = place.call("status", "-w", str(place.root))
    assert "Watch it and decide with: opeddev-tui" in told.stdout
    # without a terminal there is nothing to watch in
    assert "the app needs a terminal" in place.call("attach", str(place.root)).stderr
