"""Adapters as a first-class mode: mixed with full steps, exported, exact."""

import itertools
import json
import shutil
import tempfile
from pathlib import Path

import engine_helpers as helpers
import pytest
import torch
from msgspec.structs import replace

from opeddev_tui.checkpoints import folders
from opeddev_tui.checkpoints.catalog import list_entries
from opeddev_tui.cli import main
from opeddev_tui.config import loading
from opeddev_tui.errors import ModelProblem, TrainingProblem
from opeddev_tui.exporting.folder import Form, export
from opeddev_tui.models.loading import load_model
from opeddev_tui.runs.events import checkpoint_name


@pytest.fixture(scope="module")
def mixed(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Full, then LoRA, then full."""
    root = tmp_path_factory.mktemp("mixed") / "workspace"
    helpers.make_workspace(root, tiny_model, rows=20, batches=(20, 20), settings={"lora.learning_rate": 5e-3})
    for lora in ("false", "true", "false"):
        helpers.train(root, overrides=[f"lora.enabled={lora}"])
    return root


def test_full_and_adapter_steps_mix_and_the_loss_falls(mixed: Path) -> None:
    states = helpers.states(mixed)
    assert [state.status for state in states] == ["finished"] * 3
    assert [state.started.lora for state in states if state.started] == [False, True, False]
    for before, after in itertools.pairwise(states):
        assert before.finished is not None
        assert after.started is not None
        assert after.started.parent == before.finished.last_checkpoint
        # the next step begins where the one before it ended: the same model, whatever its form
        assert after.holdout[0].loss == pytest.approx(before.holdout[3].loss, abs=1e-5)
    losses = [state.holdout[3].loss for state in states]
    assert losses[0] > losses[1] > losses[2]
    adapters = states[1].model
    assert adapters is not None
    assert adapters.trainable < adapters.parameters / 5


def test_adapter_checkpoints_are_small_and_keep_their_base(mixed: Path) -> None:
    entries = list_entries(helpers.workspace_of(mixed))
    full = next(entry for entry in entries if not entry.lora)
    adapter = [entry for entry in entries if entry.lora][-1]
    assert not (adapter.folder / "model.safetensors").exists()
    assert adapter.size < full.size / 2
    base = next(entry for entry in entries if str(entry.folder) == adapter.base)
    assert "base of adapters" in base.marks


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        result: torch.Tensor = model.eval()(torch.arange(5, 45)[None]).logits
    return result


@pytest.mark.parametrize(("step", "adapter", "tolerance"), [(0, False, 0.0), (1, False, 1e-4), (1, True, 1e-4)])
def test_plain_libraries_load_the_export(
    mixed: Path, tmp_path: Path, step: int, adapter: bool, tolerance: float
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    workspace = helpers.workspace_of(mixed)
    entry = [entry for entry in list_entries(workspace) if entry.step == step][-1]
    settings = loading.load(mixed, environment={}).settings
    target = export(workspace, entry, settings, tmp_path / "out", Form(adapter, "fp32")).folder
    inside = logits(load_model(str(entry.folder), settings.model))
    plain = AutoModelForCausalLM.from_pretrained(entry.base if adapter else target, dtype=torch.float32)
    outside = logits(PeftModel.from_pretrained(plain, str(target)) if adapter else plain)
    assert float((inside - outside).abs().max()) <= tolerance
    assert AutoTokenizer.from_pretrained(target).chat_template
    card = (target / "README.md").read_text()
    assert f"Step {step}, epoch 3, trained on {20 * (step + 1)} rows" in card


def test_an_interrupted_adapter_run_resumes_bit_for_bit(tiny_model: Path, tmp_path: Path) -> None:
    from opeddev_tui.runs import control as ctl
    from opeddev_tui.runs import events as ev

    roots = [
        helpers.make_workspace(tmp_path / name, tiny_model, rows=12, settings={"lora.enabled": True})
        for name in ("plain", "stopped")
    ]
    helpers.train(roots[0])
    control = ctl.Control()

    def stop(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.Progress) and event.global_step == 4:
            control.request(ctl.Stop())

    helpers.train(roots[1], sink=helpers.Seen(stop), control=control)
    assert helpers.states(roots[1])[-1].status == "interrupted"
    helpers.train(roots[1])
    assert helpers.final_weights(roots[0]) == helpers.final_weights(roots[1])


def test_damage_is_told_before_an_export(mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = helpers.copy_workspace(mixed, tmp_path / "copy")
    entry = [entry for entry in list_entries(helpers.workspace_of(root)) if entry.step == 0][-1]
    weights = entry.folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert folders.problems_of(entry.folder)
    assert main(["checkpoints", "export", "step0", str(tmp_path / "out"), "-w", str(root)]) == 4
    assert "model.safetensors has" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# --- the model below adapters


@pytest.fixture
def on_own_model(tiny_model: Path, tmp_path: Path) -> Path:
    """One LoRA step on a model inside the workspace, and a second batch."""
    root = tmp_path / "workspace"
    settings = {"lora.enabled": True, "model.name": "model", "training.num_train_epochs": 1}
    helpers.make_workspace(root, tiny_model, rows=12, batches=(8,), settings=settings)
    shutil.copytree(tiny_model, root / "model")
    helpers.train(root)
    return root


def other_weights(root: Path) -> None:
    """Replace the base by a model of the same shape."""
    from safetensors.torch import load_file, save_file

    path = root / "model/model.safetensors"
    tensors = {name: tensor + 0.25 for name, tensor in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})


def test_a_base_that_was_replaced_is_refused_everywhere(
    on_own_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = on_own_model
    assert main(["checkpoints", "verify", "-w", str(root)]) == 0
    runs = helpers.workspace_of(root).run_ids()
    other_weights(root)
    out = str(tmp_path / "out")
    for words in (
        ["train"],
        ["checkpoints", "export", "latest", out],
        ["checkpoints", "export", "latest", out, "--adapter"],
        ["checkpoints", "generate", "latest", "hello"],
        ["checkpoints", "evaluate", "latest"],
        ["race", "--from", "latest"],
    ):
        capsys.readouterr()
        assert main([*words, "-w", str(root)]) == 5, words
        told = capsys.readouterr()
        assert "the model below its adapters, model, has changed since they were trained" in told.err, words
    assert main(["checkpoints", "verify", "-w", str(root)]) == 4
    assert helpers.workspace_of(root).run_ids() == runs
    assert not Path(out).exists()


def test_a_resume_on_a_base_that_was_replaced_is_refused(on_own_model: Path) -> None:
    helpers.take_back_end(on_own_model)
    other_weights(on_own_model)
    with pytest.raises(TrainingProblem, match=r"the model .* has changed"):
        helpers.train(on_own_model)


def test_a_base_below_a_base_is_compared_too(on_own_model: Path) -> None:
    helpers.train(on_own_model)
    entry = [entry for entry in list_entries(helpers.workspace_of(on_own_model)) if entry.step == 1][-1]
    assert Path(entry.base).name.startswith("checkpoint-")
    other_weights(on_own_model)
    with pytest.raises(ModelProblem, match="the model below its adapters, model, has changed"):
        load_model(str(entry.folder), helpers.settings_of(on_own_model).model)


def test_adapters_of_an_older_version_are_used_and_their_base_is_called_unverified(
    on_own_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in helpers.checkpoint_folder(on_own_model).iterdir():
        manifest = folders.manifest_of(folder)
        folders.publish(folder, replace(manifest, base_identity=""))
    assert main(["checkpoints", "verify", "-w", str(on_own_model)]) == 0
    assert "is unverified: an older version recorded no hash of it" in " ".join(capsys.readouterr().out.split())
    helpers.train(on_own_model)
    assert any("is unverified" in warning for warning in helpers.states(on_own_model)[-1].warnings)


# --- what an export tells about this machine


def test_no_file_of_any_export_names_a_place_of_this_machine(on_own_model: Path, tmp_path: Path) -> None:
    helpers.train(on_own_model)
    helpers.write_rows(helpers.batch_file(on_own_model, 2), helpers.make_rows(8, "batch2"))
    helpers.train(on_own_model, overrides=["lora.enabled=false"])
    workspace, settings = helpers.workspace_of(on_own_model), helpers.settings_of(on_own_model)
    # a person may have named the model by its place
    settings = replace(settings, model=replace(settings.model, name=str(on_own_model / "model")))
    entries = list_entries(workspace)
    assert [entry.lora for entry in entries] == [True, True, False]
    for entry, adapter in [(entry, adapter) for entry in entries for adapter in (False, True)]:
        target = export(workspace, entry, settings, tmp_path / f"out-{entry.step}-{adapter}", Form(adapter)).folder
        for path in target.rglob("*"):
            content = path.read_bytes() if path.is_file() else b""
            for place in (tmp_path, Path.home(), Path(tempfile.gettempdir())):
                assert str(place).encode() not in content, path


def test_the_card_of_an_adapter_names_the_base_that_it_needs(on_own_model: Path, tmp_path: Path) -> None:
    helpers.train(on_own_model)
    workspace = helpers.workspace_of(on_own_model)
    entry = list_entries(workspace)[-1]
    target = export(workspace, entry, helpers.settings_of(on_own_model), tmp_path / "o", Form(adapter=True)).folder
    base = checkpoint_name(entry.base)
    assert f"**needs the model `{base}` below it**" in (target / "README.md").read_text()
    assert "base_model:" not in (target / "README.md").read_text()
    config = json.loads((target / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == base
