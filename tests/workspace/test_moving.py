"""A workspace that is moved keeps its checkpoints, a copy gets a folder of its own, a store may move as well."""

import json
import shutil
from pathlib import Path

import engine_helpers as eh
import pytest

from opeddev_tui.checkpoints import folders as checkpoints
from opeddev_tui.checkpoints.catalog import list_entries
from opeddev_tui.cli import main
from opeddev_tui.errors import StorageProblem
from opeddev_tui.runs import events as ev
from opeddev_tui.workspace import store as stores
from opeddev_tui.workspace.store import OWNER, RECORD, claim, home_of, located, named
from opeddev_tui.workspace.takeover import take

ONE_EPOCH = {"training.num_train_epochs": 1}


@pytest.fixture
def shared(tiny_model: Path, tmp_path: Path) -> Path:
    """A workspace with one trained step, its model inside, its checkpoints in a store outside."""
    root = tmp_path / "first"
    settings = {**ONE_EPOCH, "paths.model_store": str(tmp_path / "models"), "model.name": "model"}
    eh.make_workspace(root, tiny_model, batches=(20, 20), settings=settings)
    shutil.copytree(tiny_model, root / "model")
    eh.train(root, overrides=["lora.enabled=true"])
    return root


def started(root: Path) -> ev.RunStarted:
    found = eh.states(root)[-1].started
    assert found is not None
    return found


def test_a_moved_workspace_goes_on_from_its_checkpoint(shared: Path, tmp_path: Path) -> None:
    store = eh.workspace_of(shared).store
    before = list_entries(eh.workspace_of(shared))
    moved = shared.rename(tmp_path / "second")
    workspace = eh.workspace_of(moved)
    assert workspace.store == store
    assert [(entry.name, entry.marks) for entry in list_entries(workspace)] == [
        (entry.name, entry.marks) for entry in before
    ]
    # adapters sit on the model inside the workspace, which is elsewhere now
    assert list_entries(workspace)[0].base == str(moved / "model")
    eh.train(moved)
    assert eh.place_of(moved, started(moved).parent) == before[-1].folder
    assert workspace.checkpoints(started(moved).run).parent == store
    assert [path.name for path in (tmp_path / "models").iterdir()] == [store.name]
    assert [entry.step for entry in list_entries(workspace)] == [0, 1]
    assert not [line for state in eh.states(moved) for line in state.warnings if "copy" in line]


def test_an_interrupted_run_is_resumed_after_a_move_and_protects_its_best(
    trained_workspace: Path, tmp_path: Path
) -> None:
    root = eh.copy_workspace(trained_workspace, tmp_path / "copy")
    eh.take_back_end(root)
    moved = root.rename(tmp_path / "moved")
    seen = eh.Seen()
    eh.train(moved, sink=seen)
    assert eh.place_of(moved, seen.of(ev.Resumed)[-1].checkpoint).is_relative_to(moved)
    state = eh.states(moved)[-1]
    assert state.finished is not None
    assert eh.place_of(moved, state.finished.best_checkpoint).is_relative_to(moved)
    assert all(eh.place_of(moved, row.checkpoint).is_dir() for epoch, row in state.epochs.items() if epoch)


def test_a_copy_gets_a_folder_of_its_own_and_is_told_once(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(shared, copy, symlinks=True)
    original = eh.workspace_of(shared).store
    before = eh.tree(original)
    assert eh.workspace_of(copy).store != original
    # a copy must not even be able to delete what is the original's
    assert main(["checkpoints", "prune", "--yes", "-w", str(copy)]) == 0
    assert main(["checkpoints", "list", "-w", str(copy)]) == 0
    assert f"This workspace is a copy of {shared}" in capsys.readouterr().out.replace("\n", " ")
    eh.train(copy)
    assert eh.tree(original) == before
    assert eh.place_of(copy, started(copy).parent).is_relative_to(original)
    told = [line for line in eh.states(copy)[-1].warnings if "is a copy of" in line]
    assert len(told) == 1
    assert "\n" not in told[0]
    eh.train(copy)
    assert not [line for line in eh.states(copy)[-1].warnings if "is a copy of" in line]
    eh.train(shared)
    assert eh.workspace_of(shared).store == original
    assert {path.parent for path in original.glob("*/checkpoint-*")} == {
        original / run for run in eh.workspace_of(shared).run_ids()
    }


def test_a_moved_store_is_found_by_its_setting(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "models").rename(tmp_path / "elsewhere")
    config = shared / "config.toml"
    config.write_text(config.read_text().replace(str(tmp_path / "models"), str(tmp_path / "elsewhere")))
    first = list_entries(eh.workspace_of(shared))
    assert first[-1].folder.is_relative_to(tmp_path / "elsewhere")
    eh.train(shared)
    assert eh.place_of(shared, started(shared).parent) == first[-1].folder
    entries = list_entries(eh.workspace_of(shared))
    assert "start of step 1" in entries[0].marks
    assert not (tmp_path / "models").exists()


def test_a_workspace_from_before_there_were_records_keeps_its_folder(shared: Path, tmp_path: Path) -> None:
    store = eh.workspace_of(shared).store
    (shared / RECORD).unlink()
    (store / OWNER).unlink()
    assert eh.workspace_of(shared).store == store
    eh.train(shared)
    assert json.loads((shared / RECORD).read_text())["folder"] == store.name
    moved = shared.rename(tmp_path / "second")
    assert eh.workspace_of(moved).store == store


# --- whose folder it is


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """A claimed workspace and its store."""
    root, store = tmp_path / "one", tmp_path / "store"
    root.mkdir()
    assert claim(root, store) == ""
    return root, store


def test_a_crash_between_the_two_files_changes_nothing(places: tuple[Path, Path]) -> None:
    root, store = places
    folder = home_of(root, store).folder
    for path in (root / RECORD, folder / OWNER):
        content = path.read_bytes()
        path.unlink()
        assert home_of(root, store).folder == folder
        path.write_bytes(content)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"folder": 3}', b'{"folder": "../two"}',
                                     b'{"folder": ".."}', b'{"folder": "/etc"}', b'{"folder": ""}'])  # fmt: skip
def test_a_record_that_is_no_name_is_none(places: tuple[Path, Path], content: bytes) -> None:
    root, store = places
    folder = home_of(root, store).folder
    (root / RECORD).write_bytes(content)
    assert home_of(root, store).folder == folder


def test_a_new_workspace_where_a_moved_one_was_does_not_get_its_folder(places: tuple[Path, Path]) -> None:
    root, store = places
    folder = home_of(root, store).folder
    moved = root.rename(root.with_name("moved"))
    assert claim(moved, store) == ""
    root.mkdir()
    assert home_of(root, store).folder == folder.with_name(f"{folder.name}-2")
    assert claim(root, store) == ""
    assert home_of(moved, store).folder == folder


def test_a_copy_over_the_place_of_a_moved_one_and_a_copy_of_a_copy(places: tuple[Path, Path]) -> None:
    root, store = places
    moved = root.rename(root.with_name("moved"))
    claim(moved, store)
    shutil.copytree(moved, root)
    shutil.copytree(moved, root.with_name("third"))
    assert home_of(root, store).original == str(moved)
    assert f"copy of {moved}" in claim(root, store)
    assert home_of(root, store).original == ""
    claim(root.with_name("third"), store)
    folders = {home_of(place, store).folder for place in (root, moved, root.with_name("third"))}
    assert len(folders) == 3


def test_a_copy_takes_the_folder_of_an_original_that_is_gone_only_when_it_is_told_to(
    places: tuple[Path, Path],
) -> None:
    root, store = places
    folder = home_of(root, store).folder
    copy = root.with_name("copy")
    shutil.copytree(root, copy)
    assert home_of(copy, store).folder != folder
    with pytest.raises(StorageProblem, match="still there"):
        take(copy, store)
    shutil.rmtree(root)
    assert home_of(copy, store).folder != folder
    assert "opeddev-tui checkpoints take" in claim(copy, store)
    own = home_of(copy, store).folder
    (folder / "run/checkpoint-1").mkdir(parents=True)
    assert take(copy, store) == folder
    assert home_of(copy, store).folder == folder
    assert claim(copy, store) == ""
    # what it trained meanwhile is still found, and nobody takes twice
    (own / "run/checkpoint-2").mkdir(parents=True)
    assert located(folder, "run/checkpoint-2", copy) == str(own / "run/checkpoint-2")
    with pytest.raises(StorageProblem, match="no checkpoints of another place"):
        take(copy, store)


def test_a_copy_whose_original_is_on_a_disk_that_is_not_mounted_takes_nothing(
    trained_workspace: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    root = disk / "original"
    shutil.copytree(trained_workspace, root, symlinks=True)
    config = root / "config.toml"
    config.write_text(config.read_text().replace('"store"', f'"{tmp_path / "models"}"'))
    shutil.move(root / "store", tmp_path / "models")
    (root / "models/qwen3_webdev").unlink()
    eh.workspace_of(root).adopt()
    before = eh.workspace_of(root).store
    shutil.copytree(root, tmp_path / "copy", symlinks=True)
    disk.rename(tmp_path / "unplugged")
    disk.mkdir()
    tree = eh.tree(before)
    eh.write_rows(eh.batch_file(tmp_path / "copy", 2), eh.make_rows(20, "batch2"))
    eh.train(tmp_path / "copy", overrides=["training.num_train_epochs=1"])
    assert eh.tree(before) == tree
    state = eh.states(tmp_path / "copy")[-1]
    assert state.started is not None
    assert state.started.step == 2
    assert any("checkpoints take" in warning for warning in state.warnings)
    disk.rmdir()
    (tmp_path / "unplugged").rename(disk)
    assert eh.workspace_of(root).store == before


def test_the_same_workspace_by_another_name_is_no_copy(places: tuple[Path, Path]) -> None:
    root, store = places
    link = root.with_name("link")
    link.symlink_to(root)
    assert home_of(link, store).folder == home_of(root, store).folder
    assert home_of(link, store).original == ""


def test_what_was_recorded_is_found_where_it_is(places: tuple[Path, Path]) -> None:
    root, store = places
    (root / "model").mkdir()
    moved = root.rename(root.with_name("moved"))
    claim(moved, store)
    folder = home_of(moved, store).folder
    inside = checkpoints.folder_for(folder / "run", 5)
    inside.mkdir(parents=True)
    assert located(folder, "/gone/store/other/run/checkpoint-5") == str(inside)
    assert located(folder, "run/checkpoint-5") == str(inside)
    assert named(folder, str(inside), moved) == "run/checkpoint-5"
    assert named(folder, str(moved / "model"), moved) == "model"
    assert located(folder, "model") == str(moved / "model")
    # before it is written down that it moved again, the workspace itself knows where it is
    again = moved.rename(root.with_name("again"))
    assert located(folder, "model", again) == str(again / "model")
    for unknown in ("", "Qwen/Qwen3-0.6B", "/gone/run/checkpoint-6", str(root / "nothing"), "n" * 5000, "/\x00/x"):
        assert located(folder, unknown) == unknown
        assert named(folder, unknown, again) == unknown
    assert located(folder, "gone/checkpoint-6") == str(folder / "gone/checkpoint-6")
    assert stores.record_of(again) is not None


def test_what_version_0_1_recorded_is_found_below_the_places_it_wrote_down(places: tuple[Path, Path]) -> None:
    """Also in a copy, and after moves that this version wrote down."""
    root, store = places
    folder = home_of(root, store).folder
    for path in (root / RECORD, folder / OWNER):
        path.unlink()
    (root / "model").mkdir()
    (root / stores.OLD_RECORD).write_text(json.dumps({"folder": folder.name, "path": str(folder)}))
    (folder / OWNER).write_text(json.dumps({"root": str(root), "before": ["/first/place"]}))
    copy = root.with_name("copy")
    shutil.copytree(root, copy)
    assert "is a copy of" in claim(copy, store)
    moved = root.rename(root.with_name("moved"))
    claim(moved, store)
    again = moved.rename(root.with_name("again"))
    claim(again, store)
    assert not (again / stores.OLD_RECORD).exists()
    for place in (str(root / "model"), "/first/place/model"):
        assert located(folder, place) == str(again / "model")
        assert located(home_of(copy, store).folder, place) == str(copy / "model")
    owner = json.loads((folder / OWNER).read_text())
    assert owner["before"] == ["/first/place", str(root)]
    assert owner["id"] == json.loads((again / RECORD).read_text())["id"]
    assert owner["id"] != json.loads((copy / RECORD).read_text())["id"]


def test_another_machines_workspace_at_the_same_path_does_not_share_the_folder(places: tuple[Path, Path]) -> None:
    """Two machines with one store: there is nothing but the id to tell them apart."""
    root, store = places
    folder = home_of(root, store).folder
    record = json.loads((root / RECORD).read_text())
    (root / RECORD).write_text(json.dumps({**record, "id": "of the other machine"}))
    assert claim(root, store) == ""
    assert home_of(root, store).folder == folder.with_name(f"{folder.name}-2")


def test_checkpoints_left_in_an_earlier_store_are_found(shared: Path, tmp_path: Path) -> None:
    """A full disk: the store is set to another one, the checkpoints stay where they are."""
    first = list_entries(eh.workspace_of(shared))[-1].folder
    config = shared / "config.toml"
    config.write_text(config.read_text().replace(str(tmp_path / "models"), str(tmp_path / "larger")))
    eh.train(shared)
    assert started(shared).parent == ev.checkpoint_name(first)
    assert eh.place_of(shared, started(shared).parent) == first
    eh.train(shared)
    # the adapters of step 0 lie in the first store, and sit on the model in the workspace
    assert eh.states(shared)[-1].status == "finished"
    moved = shared.rename(tmp_path / "moved")
    assert eh.place_of(moved, eh.states(moved)[1].started.parent) == first  # type: ignore[union-attr]


def test_no_journal_or_manifest_names_the_place_of_the_workspace(shared: Path) -> None:
    eh.train(shared)
    eh.train(shared)
    for path in [*shared.glob("logs/runs/*/events.jsonl"), *eh.workspace_of(shared).store.glob("*/*/MANIFEST.json")]:
        assert str(shared.parent) not in path.read_text(), path
    for path in shared.glob("logs/runs/*/manifest.json"):
        content = json.loads(path.read_text())
        assert str(shared.parent) not in json.dumps([content["model"], content["parent"], content["data"]]), path
