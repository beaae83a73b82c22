"""Whatever lies where the app expects its own files: no traceback, no waiting, and nothing is lost without a word."""

import multiprocessing
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import engine_helpers as eh
import file_faults as faults
import pytest
from recorded_training import without_learning

from opeddev_tui.checkpoints import catalog, pins
from opeddev_tui.config import loading
from opeddev_tui.errors import DataProblem, StorageProblem
from opeddev_tui.files import changing, read_file, write_atomic
from opeddev_tui.runs.control import Control, Pause, send
from opeddev_tui.workspace.store import claim, home_of

WRONG_KINDS = ("a folder", "a pipe", "a link to nothing", "a link to itself", "a device", "a file of 4 TiB")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Where a workspace was, and the workspace, moved aside: it is copied back for each damage."""
    folder = tmp_path_factory.mktemp("files")
    whole = faults.make_workspace(folder / "workspace")
    shutil.move(whole, folder / "kept")
    return whole, folder / "kept"


@pytest.fixture
def undamaged(recorded: tuple[Path, Path]) -> Path:
    root, kept = recorded
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(kept, root, symlinks=True)
    return root


def cases() -> list[tuple[str, str]]:
    """Return a sample of files, by the end of their path, and damage: every kind of file, every kind of damage."""
    ends = (
        "events.jsonl", "manifest.json", "config.toml", ".specs/settings.toml", ".specs/workspace.json",
        "WORKSPACE.json", "MANIFEST.json", ".specs/checkpoints.json", ".specs/holdout.json", ".specs/training.json",
        ".specs/hub.json", ".specs/run.lock", ".specs/corrections.jsonl", ".specs/test_looks.jsonl",
        "observations.md", "train.log", "mine.toml", "metrics_step_base.csv",
    )  # fmt: skip
    kinds = list(faults.DAMAGE)
    random.Random(3).shuffle(kinds)
    return [(ends[at % len(ends)], kind) for at, kind in enumerate(kinds)]


@pytest.mark.parametrize(("end", "damage"), cases())
def test_damage_is_survived_and_said(recorded: tuple[Path, Path], end: str, damage: str) -> None:
    root, kept = recorded
    shutil.rmtree(root, ignore_errors=True)
    name = next(name for name in reversed(faults.own_files(kept)) if name.endswith(end))
    now = faults.damaged(root, kept, name, damage, seed=1)
    assert now.bugs == []
    if damage not in faults.MAY_STAY_WHOLE:
        before = faults.damaged(root.with_name("whole"), kept, ".specs/hub.json", "twice", 0)
        shutil.rmtree(root.with_name("whole"))
        assert faults.silent_losses(before, now, name) == []


@pytest.mark.parametrize("kind", WRONG_KINDS)
def test_a_reader_takes_ordinary_files_only_and_never_waits(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    path.touch()
    faults.DAMAGE[kind](path, random.Random(1))
    with pytest.raises(OSError, match=r"it is|many levels") as raised:
        read_file(path)
    assert not isinstance(raised.value, FileNotFoundError)


def test_a_pipe_in_the_mailbox_does_not_hold_the_training(undamaged: Path) -> None:
    run = eh.workspace_of(undamaged).run_folder(eh.workspace_of(undamaged).run_ids()[-1])
    send(run, Pause())
    os.mkfifo(faults.mailbox(undamaged) / "0.json")
    (faults.mailbox(undamaged) / "1.json").write_bytes(b"[" * 100_000)
    assert [type(command) for command in Control(run).take()] == [Pause, Pause]


# --- the hold-out's record


@pytest.mark.parametrize("content", ["", "[]", "null", "{}", '{"fingerprint": ""}', '{"fingerprint": 3}', "\udcff"])
def test_a_damaged_record_of_the_holdout_does_not_switch_the_guard_off(undamaged: Path, content: str) -> None:
    record = eh.workspace_of(undamaged).holdout_record
    whole = record.read_bytes()
    record.write_bytes(content.encode(errors="surrogateescape"))
    held = eh.holdout_file(undamaged)
    rows = held.read_bytes()
    eh.write_rows(held, eh.make_rows(2, "another hold-out"))
    with without_learning(), pytest.raises(DataProblem, match="the hold-out is not the one"):
        eh.train(undamaged)
    held.write_bytes(rows)
    with without_learning():
        eh.train(undamaged)
    assert any("holdout.json cannot be read" in warning for warning in eh.states(undamaged)[-1].warnings)
    assert record.read_bytes() == whole


def test_without_a_record_a_new_comparison_begins(undamaged: Path) -> None:
    eh.workspace_of(undamaged).holdout_record.unlink()
    eh.write_rows(eh.holdout_file(undamaged), eh.make_rows(2, "another hold-out"))
    with without_learning():
        eh.train(undamaged)
    assert len({state.scored_on for state in eh.states(undamaged)}) == 2
    code, text = faults.command("status", "-w", str(undamaged))
    assert code == 0
    assert "Steps 0, 1, 2 were scored on another hold-out than step 3" in " ".join(text.split())


# --- two commands at once: real processes


def together(count: int, work: Callable[..., None], *arguments: object) -> None:
    """Run ``work(number, …)`` in ``count`` processes that begin at the same moment."""
    context = multiprocessing.get_context("fork")
    gate = context.Barrier(count)
    processes = [context.Process(target=_at_the_gate, args=(gate, work, number, *arguments)) for number in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * count


def _at_the_gate(gate: object, work: Callable[..., None], *arguments: object) -> None:
    gate.wait()  # type: ignore[attr-defined]
    work(*arguments)


def _pin(number: int, root: Path) -> None:
    workspace = eh.workspace_of(root)
    entry = catalog.list_entries(workspace)[number]
    pins.annotate(workspace, entry.name, pinned=False)
    pins.annotate(workspace, entry.name, note=f"note {number}")


def test_pins_and_notes_of_commands_at_once_are_all_kept(undamaged: Path) -> None:
    together(6, _pin, undamaged)
    entries = catalog.list_entries(eh.workspace_of(undamaged))
    assert [entry.note for entry in entries] == [f"note {number}" for number in range(6)]
    assert not any("pinned" in entry.marks for entry in entries)


def _save(number: int, root: Path) -> None:
    keys = ("ui.smoothing", "ui.stall_seconds", "training.seed", "training.save_total_limit", "generation.probe_seed")
    loading.save(root, {keys[number]: 0.25 if number == 0 else 7 + number})


def test_settings_that_are_saved_at_once_are_all_kept(undamaged: Path) -> None:
    together(5, _save, undamaged)
    settings = eh.settings_of(undamaged)
    assert (settings.ui.smoothing, settings.ui.stall_seconds, settings.training.seed) == (0.25, 8, 9)
    assert (settings.training.save_total_limit, settings.generation.probe_seed) == (10, 11)


def _note(number: int, root: Path) -> None:
    workspace = eh.workspace_of(root)
    from opeddev_tui.runs.notes import annotate

    for turn in range(5):
        annotate(workspace, workspace.run_ids()[0], f"note {number} {turn}", epoch=1)


def test_notes_that_are_taken_at_once_are_all_kept(undamaged: Path) -> None:
    together(6, _note, undamaged)
    state = eh.state_of(eh.workspace_of(undamaged).run_folder(eh.workspace_of(undamaged).run_ids()[0]))
    wanted = {f"note {number} {turn}" for number in range(6) for turn in range(5)}
    assert {item.note for item in state.notes} >= wanted
    text = (undamaged / "logs/observations.md").read_text()
    assert all(f"\n{note}\n" in text for note in wanted)


def _claim(number: int, folder: Path) -> None:
    root = folder / f"copy{number % 3}"
    claim(root, folder / "store")


def test_workspaces_that_register_at_once_never_share_a_folder(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"copy{number}").mkdir()
    together(9, _claim, tmp_path)
    homes = {home_of(tmp_path / f"copy{number}", tmp_path / "store").folder for number in range(3)}
    assert len(homes) == 3
    assert {path for path in (tmp_path / "store").iterdir() if path.is_dir()} == homes


def test_a_change_that_another_process_holds_up_ends_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    with changing(path), pytest.raises(StorageProblem, match="another process has been changing it"):
        together_or_raise(path)
    write_atomic(path, b"{}")


def together_or_raise(path: Path) -> None:
    """Try to change the file while this very process holds it; locks of one file are apart even in one process."""
    with changing(path, patience=0.1):
        raise AssertionError("both changed it")
