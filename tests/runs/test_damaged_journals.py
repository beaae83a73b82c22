"""One flipped bit, a wrong kind of file: that run is named, every other run and command works."""

import os
import random
import shutil
from pathlib import Path

import engine_helpers as eh
import pytest
from journal_samples import make_workspace, run_events

from opeddev_tui.cli import main
from opeddev_tui.runs.events import RunStarted
from opeddev_tui.runs.history import all_runs, damage_notes, list_runs, open_run
from opeddev_tui.runs.journal import JOURNAL_NAME, JournalReader
from opeddev_tui.workspace.paths import Workspace

COMMANDS = (["status"], ["status", "--json"], ["check"], ["report"], ["plot"], ["checkpoints", "list"])


def flip(path: Path, at: int, bit: int = 7) -> None:
    """Flip one bit of the byte ``at``."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1 << bit
    path.write_bytes(bytes(content))


def place_of(path: Path, word: bytes) -> int:
    """Return where ``word`` begins in the file."""
    return path.read_bytes().index(word)


def test_a_flipped_bit_is_counted_and_said_and_everything_else_works(
    trained_workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = eh.copy_workspace(trained_workspace, tmp_path / "copy")
    first, second = eh.workspace_of(root).run_ids()
    journal = eh.workspace_of(root).run_folder(first) / JOURNAL_NAME
    # inside a text: bad UTF-8, which is no JSON error
    flip(journal, place_of(journal, b'"text":"') + 9)
    monkeypatch.setenv("COLUMNS", "200")
    for words in COMMANDS:
        capsys.readouterr()
        assert main([*words, "-w", str(root)]) == 0, words
        if words[0] == "status":
            told = " ".join(capsys.readouterr().out.split())
            assert f"Run {first} is damaged: 1 line of its journal cannot be read." in told
            assert second not in told.partition("is damaged")[2]
    report = (root / ".specs/plots/report.md").read_text()
    assert "finished, damaged" in report
    assert "1 line of its journal cannot be read" in report


def test_the_line_that_begins_a_run_may_be_damaged(trained_workspace: Path, tmp_path: Path) -> None:
    root = eh.copy_workspace(trained_workspace, tmp_path / "copy")
    workspace = eh.workspace_of(root)
    before = [record.state.started for record in list_runs(workspace)]
    journal = workspace.run_folder(workspace.run_ids()[1]) / JOURNAL_NAME
    flip(journal, place_of(journal, b'"batch":"') + 10)
    records = list_runs(workspace)
    assert [record.state.status for record in records] == ["finished", "finished"]
    now, was = records[1].state.started, before[1]
    assert now is not None
    assert was is not None
    for name in ("run", "step", "batch", "rows", "holdout_rows", "holdout_fingerprint", "planned_epochs", "max_epochs",
                 "seed", "model", "parent", "source", "data_fingerprint", "lora", "batches", "repeats"):  # fmt: skip
        assert getattr(now, name) == getattr(was, name), name
    assert eh.train(root, "all") == []


def test_a_run_of_which_nothing_can_be_told_is_named_and_left_out(trained_workspace: Path, tmp_path: Path) -> None:
    root = eh.copy_workspace(trained_workspace, tmp_path / "copy")
    workspace = eh.workspace_of(root)
    run = workspace.run_ids()[1]
    flip(workspace.run_folder(run) / JOURNAL_NAME, 20)
    workspace.run_manifest(run).write_text("[]")
    assert len(list_runs(workspace)) == 1
    (note,) = damage_notes(all_runs(workspace))
    assert "What it trained cannot be told" in note
    assert run in note


def test_a_damaged_name_of_a_field_that_may_be_missing_is_no_silent_default(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, [run_events(0, (2.0, 1.5))])
    journal = workspace.run_folder("run-0") / JOURNAL_NAME
    flip(journal, place_of(journal, b'"n_grams"') + 3)
    state, _ = open_run(workspace, "run-0")
    assert state.damage == "1 line of its journal cannot be read"


def test_any_flipped_bit_of_a_journal_is_survived(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, [run_events(0, (2.0, 1.5, 1.2))])
    journal = workspace.run_folder("run-0") / JOURNAL_NAME
    whole = journal.read_bytes()
    draw = random.Random(1)
    for _ in range(400):
        journal.write_bytes(whole)
        flip(journal, draw.randrange(len(whole)), draw.randrange(8))
        state, reader = open_run(workspace, "run-0")
        lines = len(whole.splitlines())
        assert state.events + reader.skipped >= lines - 1
        assert (state.damage != "") == (reader.skipped > 0)


@pytest.mark.parametrize("line", [b"\xff\xfe", b"null", b"[]", b"[" * 100_000, b'{"type":"Later"}', b"\0" * 4096])
def test_a_line_that_is_no_event_is_counted(tmp_path: Path, line: bytes) -> None:
    workspace = make_workspace(tmp_path, [run_events(0, (2.0, 1.5))])
    journal = workspace.run_folder("run-0") / JOURNAL_NAME
    events = len(journal.read_bytes().splitlines())
    with journal.open("ab") as file:
        file.write(line + b"\n")
    state, reader = open_run(workspace, "run-0")
    assert (state.events, reader.skipped) == (events, 1)
    assert state.damage == "1 line of its journal cannot be read"


@pytest.mark.parametrize("kind", ["folder", "pipe", "link to nothing", "device", "huge"])
def test_what_is_no_file_is_named_and_never_waited_for(tmp_path: Path, kind: str) -> None:
    workspace = make_workspace(tmp_path, [run_events(0, (2.0, 1.5)), run_events(1, (1.5, 1.2))])
    wrong(workspace.run_folder("run-1") / JOURNAL_NAME, kind)
    shutil.rmtree(workspace.run_folder("run-1") / "control", ignore_errors=True)
    assert [record.id for record in all_runs(workspace)] == ["run-0", "run-1"]
    # the manifest still says what it was to train
    assert [record.id for record in list_runs(workspace)] == ["run-0", "run-1"]
    (note,) = damage_notes(all_runs(workspace))
    assert "its journal cannot be read: it is " in note


def wrong(path: Path, kind: str) -> None:
    """Put something that is no ordinary file, or a far too large one, where the app expects its own file."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link to nothing":
        path.symlink_to(path.with_name("nothing"))
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.touch()
        os.truncate(path, 1 << 40)


def test_a_reader_that_follows_goes_on_after_a_damaged_line(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, [run_events(0, (2.0, 1.5))])
    reader = JournalReader(workspace.run_folder("run-0"))
    assert isinstance(reader.read_new()[0], RunStarted)
    journal = workspace.run_folder("run-0") / JOURNAL_NAME
    with journal.open("ab") as file:
        file.write(b'{"type":"Warned","message":"\xff"}\n{"type":"Warned","message":"after","at":1.0}\n')
    assert len(reader.read_new()) == 1
    assert reader.skipped == 1


def test_a_workspace_without_runs_has_no_damage(tmp_path: Path) -> None:
    from opeddev_tui.config.settings import Paths

    assert all_runs(Workspace(tmp_path, Paths())) == []
