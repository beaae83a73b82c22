"""Observations: kept whole in the file and in the journal, through a living training or after it; what comes next."""

import os
from pathlib import Path

import engine_helpers as eh
import journal_samples as js
import pytest

from opeddev_tui.cli import main
from opeddev_tui.config.settings import Settings, Training
from opeddev_tui.errors import BusyProblem, StorageProblem
from opeddev_tui.runs import events as ev
from opeddev_tui.runs import notes as observations
from opeddev_tui.runs.control import Control, Decide, Record
from opeddev_tui.runs.journal import read
from opeddev_tui.runs.state import reduce
from opeddev_tui.ui.state.plan_text import whats_next
from opeddev_tui.workspace.lock import RunLock
from opeddev_tui.workspace.paths import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace with one finished run and one that was cut off."""
    return js.make_workspace(
        tmp_path, [js.run_events(0, [2.0, 1.5, 1.2]), js.run_events(1, [1.2, 1.0], finished=False)]
    )


def text_of(workspace: Workspace) -> str:
    return workspace.path(workspace.paths.observations).read_text()


def test_a_note_is_kept_with_what_was_known(workspace: Workspace) -> None:
    run = workspace.run_ids()[0]
    observations.annotate(workspace, run, "Repeats itself.\nSecond line.")
    text = text_of(workspace)
    assert text.startswith("# Observations\n\n## Step 0 (")
    for part in (", epoch 2 · ", f"run: {run}", "hold-out loss 1.2000 (-0.8000 from", "verdict: ", "decision: "):
        assert part in text, part
    assert "Repeats itself.\nSecond line." in text
    notes = reduce(read(workspace.run_folder(run))).notes
    assert [(note.epoch, note.note) for note in notes] == [(2, "Repeats itself.\nSecond line.")]


def test_notes_follow_each_other_and_hostile_text_is_only_text(workspace: Workspace) -> None:
    run = workspace.run_ids()[0]
    observations.annotate(workspace, run, "first", 1)
    observations.annotate(workspace, run, "second \x1b]0;x\x07", 2)
    text = text_of(workspace)
    assert text.index("first") < text.index("second")
    assert "\x1b" not in text
    assert text.count("# Observations\n") == 1


def test_an_unfinished_run_is_not_written_while_somebody_trains(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observations, "_LOCK_SECONDS", 0.1)
    finished, cut_off = workspace.run_ids()
    with RunLock(workspace):
        with pytest.raises(BusyProblem):
            observations.record(workspace, cut_off, [ev.Annotated(epoch=1, note="x")])
        observations.annotate(workspace, finished, "a finished run can always be written about")
    observations.record(workspace, cut_off, [ev.Annotated(epoch=1, note="later")])
    assert "later" in text_of(workspace)


def test_the_file_takes_all_of_a_note_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "observations.md"
    observations.keep(path, "whole\n")
    before = path.read_text()
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) > 10:
            return real(descriptor, data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StorageProblem, match="no space left"):
        observations.keep(path, "a note that fits no more\n" * 1 + "x" * 5)
    monkeypatch.undo()
    assert path.read_text() == before


def test_the_command_keeps_a_note(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    run = workspace.run_ids()[0]
    assert main(["note", "from the shell", "-w", str(workspace.root), "--run", run]) == 0
    assert "observations.md" in capsys.readouterr().out
    assert "from the shell" in text_of(workspace)
    assert main(["note", "x", "-w", str(workspace.root), "--run", "no-such-run"]) == 6
    assert main(["note", "  ", "-w", str(workspace.root), "--run", run]) == 1


def test_the_editor_writes_the_note(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from opeddev_tui.terminal.editor import edit

    script = tmp_path / "editor.sh"
    script.write_text('#!/bin/sh\necho "and more" >> "$1"\n')
    script.chmod(0o755)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", str(script))
    assert edit("words\n") == "words\nand more\n"


def test_a_living_training_keeps_notes_and_the_words_of_a_decision(tiny_model: Path, tmp_path: Path) -> None:
    root = eh.make_workspace(tmp_path / "w", tiny_model, rows=8, settings={"early_stop.policy": "ask"})
    control = Control()

    def react(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.DecisionAwaited):
            control.request(Record(ev.Annotated(epoch=event.epoch, note="seen at the question")))
            control.request(Decide(epoch=event.epoch, choice="stop", note="it repeats itself"))

    eh.train(root, sink=eh.Seen(react), control=control)
    text = text_of(eh.workspace_of(root))
    assert "seen at the question" in text
    assert "it repeats itself" in text
    assert "decision: stop, by person" in text
    assert [note.note for note in eh.states(root)[0].notes] == ["seen at the question", "it repeats itself"]


@pytest.mark.parametrize(
    ("losses", "start_from", "words"),
    [
        ([2.0, 1.5, 1.2], "latest", ("epoch 2, the latest and the best",)),
        ([2.0, 1.1, 1.2], "latest", ("epoch 2 (1.2000), the latest", "Epoch 1 (1.1000) was better", "--from best")),
        ([2.0, 1.1, 1.2], "best", ("epoch 1 (1.1000), the best", "the latest is epoch 2", "--from latest")),
    ],
)
def test_what_comes_next_is_said(losses: list[float], start_from: str, words: tuple[str, ...]) -> None:
    settings = Settings(training=Training(start_from=start_from))  # type: ignore[arg-type]
    state = reduce(js.run_events(0, losses))
    told = whats_next(state, settings)
    for part in words:
        assert part in told
    assert whats_next(reduce(js.run_events(0, losses, finished=False)), settings) == ""
