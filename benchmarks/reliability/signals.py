"""SIGTERM while the real app makes a step, evaluates, saves or asks, in a real terminal and inside tmux.

Run from a clone with the app installed: ``python benchmarks/reliability/signals.py --runs 20``.
Each run goes through the next of the four moments; every third one is inside tmux, if there is one. What must be true
afterwards: exit code 143, the run interrupted by SIGTERM with a checkpoint verified byte by byte, no save left half,
terminal attributes as before, alternate screen left, mouse and bracketed paste off, cursor shown.
Prints a table and exits 1 if one of that is missing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import common
import moments
from engine_helpers import build_model, journal_of, make_workspace, place_of, saving, states, workspace_of
from pty_tools import PYTHON, Terminal, end, until
from tmux_tools import Tmux

from opeddev_tui.checkpoints import folders
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.journal import JournalReader
from opeddev_tui.workspace.lock import who_trains

# modes that must be off at the end (mouse in all its forms, focus, bracketed paste, alternate screen), and the cursor
OFF = ("1000", "1002", "1003", "1004", "1006", "1049", "2004")
COLUMNS, LINES = 100, 30


MOMENTS: dict[str, moments.Moment] = {
    "step": moments.a_step,
    "evaluation": moments.an_evaluation,
    "save": moments.a_save,
    "question": moments.a_question,
}


def wait_for(root: Path, wanted: moments.Moment, seconds: float = 120) -> None:
    """Follow the journal closely until ``wanted`` is told."""
    workspace, end_at = workspace_of(root), time.monotonic() + seconds
    reader: JournalReader | None = None
    while time.monotonic() < end_at:
        if reader is None and workspace.run_ids():
            reader = JournalReader(workspace.run_folder(workspace.run_ids()[-1]))
        if reader is not None and any(wanted(event) for event in reader.read_new()):
            return
        time.sleep(0.001)
    raise AssertionError("the moment did not come")


def interrupt(root: Path, moment: moments.Moment) -> None:
    """Send SIGTERM to the process that trains, at the moment."""
    wait_for(root, moment)
    found = who_trains(workspace_of(root))
    assert found is not None, "nobody trains"
    os.kill(found.pid, signal.SIGTERM)


def faults_on_disk(root: Path) -> list[str]:
    """Return what is wrong with what the run left."""
    last = journal_of(root)[-1]
    if not isinstance(last, ev.Interrupted) or last.reason != "SIGTERM":
        return [f"the journal ends with {last}"]
    problems = [] if last.checkpoint else ["no checkpoint"]
    if last.checkpoint:
        problems += folders.problems_of(place_of(root, last.checkpoint), for_resume=True)
    problems += [f"{folder.name} left half" for folder in saving(root)]
    return problems


def modes_left(written: bytes) -> list[str]:
    """Return which modes of the terminal were not given back, from everything the app wrote."""
    left = [f"mode {mode} on" for mode in OFF if written.rfind(b"\x1b[?%bh" % mode.encode()) > _last_off(written, mode)]
    if b"\x1b[?1049h" not in written:
        left.append("the app never took the screen")
    if written.rfind(b"\x1b[?25l") > written.rfind(b"\x1b[?25h"):
        left.append("cursor hidden")
    return left


def _last_off(written: bytes, mode: str) -> int:
    return written.rfind(b"\x1b[?%bl" % mode.encode())


def in_terminal(root: Path, moment: moments.Moment) -> list[str]:
    """One run on a pseudo-terminal; return what is wrong."""
    terminal = Terminal(COLUMNS, LINES)
    before = terminal.attributes()
    process = terminal.spawn([PYTHON, "-m", "opeddev_tui", str(root)])
    try:
        until(lambda: terminal.shows("Ready"), 90, "ready")
        terminal.press("t")
        interrupt(root, moment)
        code = process.wait(60)
        until(lambda: not modes_left(bytes(terminal.received)), 5, "the modes are given back")
        problems = [] if code == 143 else [f"exit code {code}"]
        return problems + ([] if terminal.attributes() == before else ["other terminal attributes"])
    finally:
        end(process)
        terminal.close()


def in_tmux(root: Path, moment: moments.Moment) -> list[str]:
    """One run inside tmux, whose own record of the pane's modes is asked; return what is wrong."""
    folder = root.parent
    app = f"{PYTHON} -m opeddev_tui {root}"
    shell = f"cd {folder}; stty -g >before; {app}; echo $? >code; stty -g >after; touch over; cat"
    variables = {name: os.environ[name] for name in ("HOME", "HF_HUB_OFFLINE", "PYTHONPATH") if name in os.environ}
    names = ("alternate_on", "mouse_any_flag", "cursor_flag")
    with Tmux(folder) as tmux:
        tmux.start(shell, columns=COLUMNS, lines=LINES, **variables)
        until(lambda: tmux.shows("Ready"), 90, "ready")
        held = tmux.value(*names)
        tmux.press("t")
        interrupt(root, moment)
        until((folder / "over").exists, 60, "the app has ended")
        given_back = tmux.value(*names)
    problems = [] if held[:2] == ["1", "1"] else [f"the app never took screen and mouse: {held}"]
    problems += [] if given_back == ["0", "0", "1"] else [f"modes left: {dict(zip(names, given_back, strict=True))}"]
    code = (folder / "code").read_text().strip()
    problems += [] if code == "143" else [f"exit code {code}"]
    same = (folder / "before").read_text() == (folder / "after").read_text()
    return problems + ([] if same else ["other terminal attributes"])


def once(model: Path, name: str, run: Callable[[Path, moments.Moment], list[str]]) -> list[str]:
    """Train, interrupt, return what is wrong."""
    folder = Path(tempfile.mkdtemp(prefix="signals-"))
    policy = "ask" if name == "question" else "rule"
    settings = {
        "training.per_device_train_batch_size": 8,
        "grading.evaluate": True,
        "early_stop.policy": policy,
        "ui.guard_ms": 0,
    }
    try:
        root = make_workspace(folder / "workspace", model, rows=40, settings=settings)
        problems = run(root, MOMENTS[name]) + faults_on_disk(root)
        lost = name == "question" and (states(root)[-1].question is None or states(root)[-1].decisions)
        return problems + (["the question is not open any more"] if lost else [])
    except AssertionError as error:
        return [str(error) or "a check failed"]
    finally:
        _end_what_is_left(folder / "workspace")
        shutil.rmtree(folder, ignore_errors=True)


def _end_what_is_left(root: Path) -> None:
    """End an app that was not ended by its signal: it outlives its terminal."""
    found = who_trains(workspace_of(root))
    if found is not None:
        os.kill(found.pid, signal.SIGKILL)


def main() -> int:
    """Run the experiment and return the exit code."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=20, help="runs (default: 20)")
    options = parser.parse_args()
    os.environ["PYTHONPATH"] = os.environ.get("PYTHONPATH", str(common.REPOSITORY))
    home = Path(tempfile.mkdtemp(prefix="signals-model-"))
    model = build_model(home / "model")
    done: Counter[tuple[str, str]] = Counter()
    good: Counter[tuple[str, str]] = Counter()
    for number in range(options.runs):
        name = list(MOMENTS)[number % len(MOMENTS)]
        inside = number % 3 == 2 and shutil.which("tmux") is not None
        row = (name, "tmux" if inside else "terminal")
        problems = once(model, name, in_tmux if inside else in_terminal)
        done[row] += 1
        good[row] += not problems
        told = "; ".join(problems) or "as it should be"
        print(f"{number + 1} of {options.runs}: {name}, {row[1]}: {told}", file=sys.stderr, flush=True)
    shutil.rmtree(home, ignore_errors=True)
    print("| SIGTERM during | in | saved, terminal given back, 143 |\n| --- | --- | --- |")
    for name, place in sorted(done):
        print(f"| {name} | {place} | {good[name, place]} of {done[name, place]} |")
    return 0 if sum(good.values()) == options.runs else 1


if __name__ == "__main__":
    sys.exit(main())
