"""The whole app in a real terminal: open, train two epochs of a tiny model, decide by key, quit; then the files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from engine_helpers import make_workspace, states, workspace_of
from pty_tools import PYTHON, Terminal, end, until

from opeddev_tui import checkpoints
from opeddev_tui.events import Decided, EpochFinished
from opeddev_tui.journal import read
from opeddev_tui.lock import lock_holder
from opeddev_tui.workspace import Workspace

SETTINGS = {
    "early_stop.policy": "ask",
    "training.num_train_epochs": 2,
    "early_stop.max_extra_epochs": 1,
    "ui.guard_ms": 0,
    "ui.undo_seconds": 0.5,
    "generation.num_probes": 2,
}


def _train_by_keys(root: Path) -> Terminal:
    """Open the app, start, continue after epoch 1, stop after epoch 2, look at every screen, quit."""
    terminal = Terminal(110, 34)
    process = terminal.spawn([PYTHON, "-m", "opeddev_tui", str(root)])
    try:
        until(lambda: terminal.shows("train step 0"), 30, "the offer to start")
        _decide(terminal, "t", "starting")
        until(lambda: terminal.shows("Epoch 1 of at most 3 is done"), 120, "the question after epoch 1")
        until(lambda: terminal.shows("Continue: train epoch 2"), 5)
        _decide(terminal, "c", "Takes effect in")
        until(lambda: terminal.shows("Epoch 2 of at most 3 is done"), 60, "the question after epoch 2")
        _decide(terminal, "s", "Takes effect in")
        until(lambda: terminal.shows("Step 0 is trained") and terminal.shows("Observation"), 60, "the end of the step")
        terminal.press("It forgot the colours.")
        until(lambda: terminal.shows("forgot the colours"), 10)
        terminal.press("\x13")
        until(lambda: not terminal.shows("Observation"), 10, "the note is kept")
        for key, words in (("2", "rompt 1"), ("3", "checkpoint"), ("4", "train.log"), ("6", "Enter shows a run")):
            terminal.press(key)
            until(lambda words=words: terminal.shows(words), 20, f"screen {key}")
        # the run's lock is free at once; whatever is still drawn is waited for, without a question
        until(lambda: lock_holder(workspace_of(root)) is None, 60, "the training has let go")
        terminal.press("q")
        assert process.wait(60) == 0
        return terminal
    finally:
        end(process)


def _decide(terminal: Terminal, key: str, words: str) -> None:
    """Press ``key``; the settings of the test have no time in which it would not count."""
    terminal.press(key)
    until(lambda: terminal.shows(words), 20, f"{key} is taken")


def test_two_epochs_by_keys(tmp_path: Path, tiny_model: Path) -> None:
    root = make_workspace(tmp_path / "workspace", tiny_model, rows=16, holdout=4, settings=SETTINGS)
    terminal = _train_by_keys(root)
    _check_what_the_terminal_was_told(bytes(terminal.received))
    terminal.close()
    workspace = workspace_of(root)
    run = _check_journal(workspace)
    _check_files(root, workspace, run)
    assert states(root)[-1].finished is not None


def _check_what_the_terminal_was_told(received: bytes) -> None:
    """Notices and the window's title arrived; the title that was there before came back at the very end."""
    for notice in (b"epoch 1 waits for your decision: ", b"epoch 2 waits for your decision: ", b"done: 2 epochs"):
        assert received.count(b"\x1b]9;opeddev step 0 (base): " + notice) == 1
    assert b"\x1b]2;opeddev step 0 (base): training\x1b\\" in received
    kept, last_title, restored = (received.rfind(word) for word in (b"\x1b[22;2t", b"\x1b]2;", b"\x1b[23;2t"))
    assert 0 <= kept < last_title < restored


def _check_journal(workspace: Workspace) -> str:
    """Both epochs and both decisions are recorded, made by a person."""
    (run,) = workspace.run_ids()
    events = read(workspace.run_folder(run))
    assert [event.epoch for event in events if isinstance(event, EpochFinished)] == [0, 1, 2]
    decisions = [(event.epoch, event.choice, event.by) for event in events if isinstance(event, Decided)]
    assert decisions == [(1, "continue", "person"), (2, "stop", "person")]
    return run


def _check_files(root: Path, workspace: Workspace, run: str) -> None:
    """CSV, manifest, link, log and whole checkpoints lie where the layout says."""
    (metrics,) = (root / "logs").glob("metrics_step_*.csv")
    with metrics.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows][-2:] == ["1", "2"]
    assert all(float(row["val_loss"]) > 0 for row in rows)
    manifest = json.loads((root / ".specs" / "training" / "last_run_args.json").read_text())
    assert manifest
    link = root / "models" / "qwen3_webdev"
    assert link.is_symlink()
    assert link.resolve().is_dir()
    folders = sorted(workspace.checkpoints(run).glob("checkpoint-*"))
    assert len(folders) >= 2
    assert [checkpoints.problems_of(folder, for_resume=True) for folder in folders] == [[]] * len(folders)
    assert (root / "logs" / "train.log").exists()
    assert "It forgot the colours." in (root / "logs" / "observations.md").read_text()
