"""Adapters as a first-class mode: mixed with full steps, exported, exact."""

import itertools
from pathlib import Path

import engine_helpers as helpers
import pytest
import torch

from opeddev_tui.checkpoints import folders
from opeddev_tui.checkpoints.catalog import list_entries
from opeddev_tui.cli import main
from opeddev_tui.config import loading
from opeddev_tui.models.export import export
from opeddev_tui.models.loading import load_model
from opeddev_tui.runs.history import read_run


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
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoModelForCausalLM, AutoTokenizer

    workspace = helpers.workspace_of(mixed)
    entry = [entry for entry in list_entries(workspace) if entry.step == step][-1]
    settings = loading.load(mixed, environment={}).settings
    target = export(entry, read_run(workspace, entry.run), settings, tmp_path / "out", adapter=adapter)
    loader = AutoPeftModelForCausalLM if adapter else AutoModelForCausalLM
    inside = logits(load_model(str(entry.folder), settings.model))
    outside = logits(loader.from_pretrained(target, dtype=torch.float32))
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
