"""Trust in checkpoints: every way to damage one is found and named; nothing else in the folder is ever touched."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from engine_helpers import (
    Seen,
    copy_workspace,
    final_weights,
    journal_of,
    place_of,
    states,
    take_back_end,
    train,
)
from msgspec.structs import replace

from opeddev_tui.checkpoints import folders
from opeddev_tui.errors import StorageProblem
from opeddev_tui.runs import events as ev

FILES = (
    "MANIFEST.json",
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "optimizer.pt",
    "rng_state.pth",
    "scheduler.pt",
    "tokenizer.json",
    "tokenizer_config.json",
    "trainer_state.json",
    "training_args.bin",
)


def _missing(path: Path) -> None:
    path.unlink()


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


DAMAGES = {"missing": _missing, "empty": _empty, "half": _half, "flipped": _flipped}
NAMED = {"missing": "is missing", "empty": "is empty", "half": "bytes", "flipped": "has changed bytes"}


@pytest.fixture(scope="module")
def published(trained_workspace: Path) -> Path:
    """The folder of the checkpoints of the first step; read-only."""
    return place_of(trained_workspace, states(trained_workspace)[0].epochs[3].checkpoint).parent


@pytest.fixture
def run_folder(published: Path, tmp_path: Path) -> Path:
    """A copy of two checkpoints of one run, the newest with optimizer step 15."""
    for name in ("checkpoint-10", "checkpoint-15"):
        shutil.copytree(published / name, tmp_path / "run" / name)
    return tmp_path / "run"


def test_these_are_all_files_of_a_checkpoint(published: Path) -> None:
    assert tuple(sorted(path.name for path in (published / "checkpoint-15").iterdir())) == FILES
    manifest = folders.read_manifest(published / "checkpoint-15")
    assert manifest is not None
    assert sorted([*manifest.files, "MANIFEST.json"]) == list(FILES)
    assert set(folders.RESUME_FILES) <= set(FILES)
    assert (manifest.step, manifest.global_step, manifest.epoch, manifest.rows) == (0, 15, 3.0, 20)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_every_damage_is_found_and_named(run_folder: Path, name: str, damage: str) -> None:
    folder = run_folder / "checkpoint-15"
    assert folders.problems_of(folder, for_resume=True) == []
    DAMAGES[damage](folder / name)
    (problem,) = folders.problems_of(folder)
    if name == folders.MANIFEST:
        assert "never finished" in problem if damage == "missing" else "manifest is damaged" in problem
    else:
        assert problem.startswith(name)
        assert NAMED[damage] in problem
    found = folders.newest_verified(run_folder, for_resume=True)
    assert found.folder == run_folder / "checkpoint-10"
    assert found.rejected == [(folder, problem)]


def test_every_bit_of_the_manifest_counts(run_folder: Path) -> None:
    """One flipped bit anywhere is damage, or leaves every value as it was."""
    path = run_folder / "checkpoint-15" / folders.MANIFEST
    whole = path.read_bytes()
    true = folders.read_manifest(path.parent)
    for place in range(len(whole)):
        content = bytearray(whole)
        content[place] ^= 1 << (place % 8)
        path.write_bytes(content)
        assert folders.read_manifest(path.parent) in (None, true)


def test_a_manifest_of_a_later_version_is_read(run_folder: Path) -> None:
    """Fields that this version does not know are sealed too, and do not make the checkpoint worthless."""
    import msgspec

    path = run_folder / "checkpoint-15" / folders.MANIFEST
    values = msgspec.json.decode(path.read_bytes())
    values["later"] = 1.5
    path.write_bytes(msgspec.json.encode(values))
    assert folders.read_manifest(path.parent) is None
    values["seal"] = folders._seal(msgspec.json.encode(values))
    path.write_bytes(msgspec.json.encode(values))
    assert folders.problems_of(path.parent) == []


def test_nothing_whole_means_nothing_found(run_folder: Path) -> None:
    for folder in folders.list_folders(run_folder):
        _flipped(folder / "model.safetensors")
    found = folders.newest_verified(run_folder)
    assert found.folder is None
    assert [folder.name for folder, _ in found.rejected] == ["checkpoint-15", "checkpoint-10"]


def test_weights_alone_can_be_started_from_but_not_resumed_from(run_folder: Path) -> None:
    folder = run_folder / "checkpoint-15"
    manifest = folders.read_manifest(folder)
    assert manifest is not None
    for name in folders.RESUME_FILES:
        (folder / name).unlink()
    folders.publish(folder, manifest)
    assert folders.problems_of(folder) == []
    assert folders.problems_of(folder, for_resume=True) == [f"{name} is not in it" for name in folders.RESUME_FILES]


def test_the_random_state_of_every_process_is_needed_to_resume(run_folder: Path) -> None:
    folder = run_folder / "checkpoint-15"
    manifest = replace(folders.manifest_of(folder), processes=2)
    state = folder / "rng_state.pth"
    for rank in (0, 1):
        shutil.copyfile(state, folder / f"rng_state_{rank}.pth")
    state.unlink()
    folders.publish(folder, manifest)
    assert folders.problems_of(folder, for_resume=True) == []
    (folder / "rng_state_1.pth").unlink()
    assert folders.problems_of(folder, for_resume=True) == ["rng_state_1.pth is missing"]
    folders.publish(folder, manifest)
    assert folders.problems_of(folder, for_resume=True) == ["rng_state_1.pth is not in it"]


def test_a_folder_without_weights_is_no_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint-1"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    folders.publish(folder, folders.Manifest("r", 0, 1, 1.0, "", {}))
    assert folders.problems_of(folder) == ["it holds no weights"]


# --- through a real resume


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("optimizer.pt", "flipped"),
        ("scheduler.pt", "missing"),
        ("model.safetensors", "half"),
        ("MANIFEST.json", "missing"),
    ],
)
def test_a_resume_goes_back_to_the_newest_whole_one_and_says_so(
    trained_workspace: Path, tmp_path: Path, name: str, damage: str
) -> None:
    root = _unfinished(trained_workspace, tmp_path)
    folder = place_of(root, states(root)[-1].epochs[3].checkpoint)
    DAMAGES[damage](folder / name)
    seen = Seen()
    train(root, sink=seen)
    (rejected,) = seen.of(ev.CheckpointRejected)
    assert rejected.path == ev.checkpoint_name(folder)
    assert name in rejected.problem or "never finished" in rejected.problem
    assert seen.of(ev.Resumed)[-1].checkpoint == ev.checkpoint_name(folder.with_name("checkpoint-20"))
    # trained again to the same bytes; the damaged one is kept aside, not deleted
    assert final_weights(root) == final_weights(trained_workspace)
    aside = [path for path in folder.parent.iterdir() if path.name.startswith("damaged-checkpoint-30-")]
    assert len(aside) == 1
    assert len([event for event in journal_of(root) if isinstance(event, ev.RunFinished)]) == 1


def _unfinished(trained: Path, tmp_path: Path) -> Path:
    """Return a copy whose second step was killed after its last save."""
    root = copy_workspace(trained, tmp_path / "copy")
    take_back_end(root)
    return root


def test_with_every_checkpoint_damaged_the_run_begins_again(trained_workspace: Path, tmp_path: Path) -> None:
    root = _unfinished(trained_workspace, tmp_path)
    for folder in folders.list_folders(place_of(root, states(root)[-1].epochs[3].checkpoint).parent):
        _flipped(folder / "model.safetensors")
    seen = Seen()
    train(root, sink=seen)
    assert seen.of(ev.Resumed)[-1].checkpoint == ""
    assert len(seen.of(ev.CheckpointRejected)) == 3
    assert final_weights(root) == final_weights(trained_workspace)


def test_a_step_does_not_start_from_a_damaged_parent(trained_workspace: Path, tmp_path: Path) -> None:
    root = copy_workspace(trained_workspace, tmp_path / "copy")
    parent = place_of(root, states(root)[0].epochs[3].checkpoint)
    _flipped(parent / "model.safetensors")
    train(root, "1", new=True)
    started = states(root)[-1].started
    assert started is not None
    assert started.parent == ev.checkpoint_name(parent.with_name("checkpoint-10"))
    assert any("cannot be trusted (model.safetensors has changed bytes)" in line for line in states(root)[-1].warnings)
    for folder in folders.list_folders(parent.parent):
        (folder / "config.json").unlink(missing_ok=True)
    with pytest.raises(StorageProblem, match=r"no checkpoint of step 0 can be trusted.*train --step 0 --new"):
        train(root, "1", new=True)
    with pytest.raises(StorageProblem, match=r"checkpoint-15: is not a checkpoint to start from.*config.json"):
        train(root, "1", new=True, start_from=str(parent))


# --- rotation


def test_what_is_not_ours_survives_every_rotation(run_folder: Path, tmp_path: Path) -> None:
    decoys = _decoys(run_folder, tmp_path)
    for step in (20, 25, 30):
        shutil.copytree(run_folder / "checkpoint-10", run_folder / f"checkpoint-{step}")
    before = _content(decoys)
    best = run_folder / "checkpoint-10"
    removed = folders.rotate(run_folder, keep=1, protected=[best])
    assert sorted(path.name for path in removed) == ["checkpoint-15", "checkpoint-20", "checkpoint-25"]
    assert folders.rotate(run_folder, keep=1, protected=[best]) == []
    assert best.is_dir()
    assert (run_folder / "checkpoint-30").is_dir()
    assert _content(decoys) == before
    assert (tmp_path / "elsewhere/checkpoint-3/model.safetensors").is_file()


def test_what_is_not_ours_survives_a_training(workspace_factory: Callable[..., Path], tmp_path: Path) -> None:
    root = workspace_factory(**{"training.num_train_epochs": 5})
    placed: dict[str, list[Path]] = {}

    def place(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.CheckpointSaved) and not placed:
            saved = place_of(root, event.path)
            folder = saved.parent
            shutil.copytree(saved, folder / "checkpoint-10x")
            placed["decoys"] = [*_decoys(folder, tmp_path, small=True), folder / "checkpoint-10x"]

    seen = Seen(place)
    train(root, sink=seen)
    assert [Path(event.path).name for event in seen.of(ev.CheckpointRemoved)] == ["checkpoint-5", "checkpoint-10"]
    assert all(path.exists() or path.is_symlink() for path in placed["decoys"])
    assert (tmp_path / "elsewhere/checkpoint-3/model.safetensors").is_file()


def _decoys(folder: Path, tmp_path: Path, *, small: bool = False) -> list[Path]:
    """Put things of a person's own beside the checkpoints; return them."""
    elsewhere = tmp_path / "elsewhere/checkpoint-3"
    elsewhere.mkdir(parents=True)
    (elsewhere / "model.safetensors").write_bytes(b"mine")
    names = ("checkpoint-best-KEEP", "checkpoint-notes", "checkpoint-12x", "checkpoint-", "Checkpoint-2", "notes", "-1")
    made = [folder / name for name in names]
    for path in made:
        path.mkdir()
        (path / "model.safetensors").write_bytes(b"mine")
    # the app's own name, but never published by it
    made.append(folder / "checkpoint-1")
    made[-1].mkdir()
    (made[-1] / "mine.txt").write_text("mine")
    (folder / "checkpoint-7").write_text("a file")
    (folder / "checkpoint-3").symlink_to(elsewhere)
    (folder / "checkpoint-4").symlink_to(folder / "nowhere")
    made += [folder / "checkpoint-7", folder / "checkpoint-3", folder / "checkpoint-4"]
    if not small:
        for name in ("checkpoint-best-KEEP", "checkpoint-12x"):
            shutil.copytree(folder / "checkpoint-10", folder / name, dirs_exist_ok=True)
        # whole, but a link: what it leads to is another's
        (folder / "checkpoint-8").symlink_to(folder / "checkpoint-best-KEEP")
        made.append(folder / "checkpoint-8")
    return made


def _content(paths: list[Path]) -> dict[str, object]:
    found: dict[str, object] = {}
    for path in paths:
        if path.is_symlink():
            found[str(path)] = os.readlink(path)
        elif path.is_file():
            found[str(path)] = path.read_bytes()
        else:
            found |= {str(item): item.stat().st_size for item in path.rglob("*")} | {str(path): "folder"}
    return found


def test_a_crash_in_a_removal_leaves_nothing_that_looks_whole(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(path: Path) -> None:  # noqa: ARG001 - the shape of shutil.rmtree
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("opeddev_tui.checkpoints.folders.shutil.rmtree", die)
        with pytest.raises(KeyboardInterrupt):
            folders.remove(run_folder / "checkpoint-15")
    assert (run_folder / "checkpoint-15/model.safetensors").is_file()
    assert folders.problems_of(run_folder / "checkpoint-15") == ["it was never finished (no manifest)"]
