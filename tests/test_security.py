"""Nothing that comes with data, models or checkpoints is executed; no secret is written; private files are private."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import engine_helpers as helpers
import msgspec
import pytest
import torch

from opeddev_tui.checkpoints import folders
from opeddev_tui.cli import main
from opeddev_tui.config.loading import load
from opeddev_tui.data.batches import check_data
from opeddev_tui.errors import ModelProblem
from opeddev_tui.runs import control, mailbox
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.control import Control, Stop
from opeddev_tui.workspace.lock import RunLock
from opeddev_tui.workspace.paths import new_run_id

CANARY = "canary-9f31c7-secret"


class Bomb:
    """Unpickled, it would leave a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self._path),)


def interrupted(root: Path) -> Path:
    """Train a little and stop; return the checkpoint that would be resumed."""
    steering = Control()
    steps = 0

    def stop_soon(event: ev.AnyEvent) -> None:
        nonlocal steps
        steps += isinstance(event, ev.Progress)
        if steps == 7:
            steering.request(Stop())

    helpers.train(root, sink=helpers.Seen(stop_soon), control=steering)
    found = folders.newest_verified(helpers.checkpoint_folder(root), for_resume=True).folder
    assert found is not None
    return found


def publish_again(folder: Path) -> None:
    """Seal the folder as it is now: the attacker can write manifests, too."""
    manifest = folders.read_manifest(folder)
    assert manifest is not None
    folders.publish(folder, manifest)
    assert folders.problems_of(folder, for_resume=True) == []


@pytest.mark.parametrize("name", ["optimizer.pt", "rng_state.pth", "scheduler.pt", "training_args.bin"])
@pytest.mark.parametrize("plain", [True, False])
def test_a_malicious_pickle_in_a_checkpoint_is_not_executed(
    workspace_factory: Callable[..., Path], tmp_path: Path, name: str, plain: bool
) -> None:
    root = workspace_factory()
    folder = interrupted(root)
    boom = tmp_path / "boom"
    if plain:
        (folder / name).write_bytes(pickle.dumps(Bomb(boom)))
    else:
        torch.save({"state": Bomb(boom)}, folder / name)
    publish_again(folder)
    # nothing reads training_args.bin; of the others any refusal will do, as long as nothing runs
    refusal = contextlib.nullcontext() if name == "training_args.bin" else contextlib.suppress(Exception)
    with refusal:
        helpers.train(root)
    assert not boom.exists()


def test_pickled_weights_are_not_loaded(
    workspace_factory: Callable[..., Path], tiny_model: Path, tmp_path: Path
) -> None:
    model, boom = tmp_path / "pickled", tmp_path / "boom"
    shutil.copytree(tiny_model, model)
    (model / "model.safetensors").unlink()
    (model / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(boom)))
    with pytest.raises(ModelProblem):
        helpers.train(workspace_factory(**{"model.name": str(model)}))
    assert not boom.exists()


@pytest.mark.parametrize("model_type", ["qwen3", "unheard_of"])
def test_code_that_comes_with_a_model_is_not_executed(
    workspace_factory: Callable[..., Path], tiny_model: Path, tmp_path: Path, model_type: str
) -> None:
    model, boom = tmp_path / "remote", tmp_path / "boom"
    shutil.copytree(tiny_model, model)
    code = f"import os\nos.mkdir({str(boom)!r})\nclass Evil: pass\n"
    for name in ("modeling_evil.py", "configuration_evil.py", "tokenization_evil.py"):
        (model / name).write_text(code)
    _change(
        model / "config.json",
        model_type=model_type,
        auto_map={"AutoConfig": "configuration_evil.Evil", "AutoModelForCausalLM": "modeling_evil.Evil"},
    )
    _change(model / "tokenizer_config.json", auto_map={"AutoTokenizer": ["tokenization_evil.Evil", None]})
    root = workspace_factory(**{"model.name": str(model)})
    if model_type == "unheard_of":
        with pytest.raises(ModelProblem):
            helpers.train(root)
    else:
        helpers.train(root)
    assert not boom.exists()


def _change(path: Path, **values: object) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **values}))


def test_a_loading_script_is_refused(workspace_factory: Callable[..., Path], tmp_path: Path) -> None:
    root, boom = workspace_factory(), tmp_path / "boom"
    folder = root / "datasets/incremental/batch_100_01"
    folder.mkdir(parents=True)
    for name in ("batch_100_01.py", "dataset_infos.py"):
        (folder / name).write_text(f"import os\nos.mkdir({str(boom)!r})\n")
    report = check_data(root, load(root, environment={}).settings)
    assert any("batch_100_01" in str(problem) for problem in report.problems)
    assert not boom.exists()


def test_no_secret_is_in_any_file(
    workspace_factory: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_TOKEN", f"hf_{CANARY}")
    monkeypatch.setenv("OPEDDEV_NOTIFY_URLS", f"json://user:{CANARY}@127.0.0.1:9/")
    root = workspace_factory(batches=(20,))
    for words in (
        ["train", "--step", "all", "-w", str(root)],
        ["checkpoints", "export", "latest", str(root / "exported"), "-w", str(root)],
        ["report", "-w", str(root)],
        ["status", "--json", "-w", str(root)],
        ["doctor", "-w", str(root)],
    ):
        try:
            main(words)
        except SystemExit:
            continue  # a command without a workspace option
    shown = capsys.readouterr()
    assert CANARY not in shown.out + shown.err
    places = [root, Path(os.environ["HOME"])]
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    assert len(files) > 30
    assert [str(path) for path in files if CANARY.encode() in path.read_bytes()] == []


def test_private_files_are_private(workspace_factory: Callable[..., Path]) -> None:
    root = workspace_factory()
    workspace = helpers.workspace_of(root)
    assert main(["train", "-w", str(root)]) == 0
    run = helpers.last_run(root)
    control.send(run, Stop())
    with RunLock(workspace):
        private = [workspace.lock, workspace.log, *(run / mailbox.MAILBOX_NAME).iterdir()]
        assert len(private) == 3
        assert [path for path in private if stat.S_IMODE(path.stat().st_mode) & 0o077] == []


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "a\nb", "..", "=1+1", "x" * 300])
def test_names_from_data_stay_in_the_workspace(name: str) -> None:
    run = new_run_id(1, name)
    assert "/" not in run
    assert ".." not in run
    assert len(run) < 100
    assert run.isprintable()


def test_a_stray_mailbox_file_is_no_command(tmp_path: Path) -> None:
    box = tmp_path / mailbox.MAILBOX_NAME
    box.mkdir()
    (box / "1.json").write_bytes(pickle.dumps(Bomb(tmp_path / "boom")))
    (box / "2.json").write_bytes(msgspec.json.encode({"command": "Exec", "code": "x"}))
    steering = Control(tmp_path)
    assert steering.take() == []
    assert list(box.iterdir()) == []
    assert not (tmp_path / "boom").exists()
