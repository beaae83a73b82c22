"""Model folders whose weights are cut off, missing or of other sizes: one sentence, the same from check and train."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from engine_helpers import states
from safetensors.torch import load_file, save_file

from opeddev_tui import cli
from opeddev_tui.config import settings as st
from opeddev_tui.models.weight_files import check_weights

Make = Callable[..., Path]
Weights = dict[str, torch.Tensor]
_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


def _rewritten(folder: Path, change: Callable[[Weights], Weights]) -> None:
    file = folder / "model.safetensors"
    save_file(change(load_file(file)), file, metadata={"format": "pt"})


def _under_another_name(folder: Path) -> None:
    """As torch.compile and data-parallel training save a model."""
    _rewritten(folder, lambda weights: {f"_orig_mod.{name}": weight for name, weight in weights.items()})


def _without_a_layer(folder: Path) -> None:
    _rewritten(folder, lambda weights: {name: item for name, item in weights.items() if "layers.1.mlp" not in name})


def _classifier(folder: Path) -> None:
    """A head for classes in place of the output layer."""

    def change(weights: Weights) -> Weights:
        kept = {name: weight for name, weight in weights.items() if name != "lm_head.weight"}
        return {**kept, "score.weight": torch.zeros(5, 64)}

    _rewritten(folder, change)
    _configured(folder, tie_word_embeddings=False)


def _cut_off(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])


def _one_part_of_two(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    first, second = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
    here = sorted(weights)[:5]
    save_file({name: weights[name] for name in here}, folder / first, metadata={"format": "pt"})
    places = {name: first if name in here else second for name in weights}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


def _configured(folder: Path, **changes: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def _pointer(name: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / name).write_text(_POINTER)

    return spoil


FOLDERS: list[tuple[str, Callable[[Path], None], str]] = [
    ("weights under another name", _under_another_name, "it lacks "),
    ("weights of a layer missing", _without_a_layer, "it lacks 3 weights, such as model.layers.1.mlp"),
    ("a classifier's head", _classifier, "it lacks 1 weight, such as lm_head.weight"),
    ("half a file", _cut_off, "incomplete metadata"),
    ("a part missing", _one_part_of_two, "model-00002-of-00002.safetensors"),
    ("more layers than weights", lambda folder: _configured(folder, num_hidden_layers=3, layer_types=None), "it lacks"),
    ("other sizes", lambda folder: _configured(folder, vocab_size=640), "in its file, but 640 x 64 by config.json"),
    ("a pointer in place of weights", _pointer("model.safetensors"), "model.safetensors is only a pointer"),
    ("a pointer in place of a tokenizer", _pointer("tokenizer.json"), "tokenizer.json is only a pointer"),
]


@pytest.mark.parametrize(("spoil", "told"), [case[1:] for case in FOLDERS], ids=[case[0] for case in FOLDERS])
def test_weights_that_do_not_fit_are_told_before_anything_is_trained(
    workspace_factory: Make,
    tiny_model: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Path], None],
    told: str,
) -> None:
    root = workspace_factory(rows=8)
    shutil.copytree(tiny_model, root / "mine")
    spoil(root / "mine")
    assert cli.main(["check", "-w", str(root), "--set", "model.name=mine"]) == 1
    shown = capsys.readouterr()
    # lines are broken anywhere
    assert "".join(told.split()) in "".join(shown.out.split())
    assert "LOAD REPORT" not in shown.out + shown.err
    assert cli.main(["train", "-w", str(root), "--set", "model.name=mine"]) == 5
    error = capsys.readouterr().err.strip()
    assert told in error
    assert len(error.splitlines()) == 1
    assert not states(root)


def test_no_weights_are_read_and_whole_ones_are_taken(tiny_model: Path, tmp_path: Path) -> None:
    check_weights(str(tiny_model), st.Model())
    check_weights("somebody/model-of-the-hub", st.Model())
    shutil.copytree(tiny_model, tmp_path / "mine")
    _rewritten(tmp_path / "mine", lambda weights: {name: weight.half() for name, weight in weights.items()})
    check_weights(str(tmp_path / "mine"), st.Model())


def test_weights_that_are_no_numbers_are_said_to_be_damaged(
    workspace_factory: Make, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(rows=8)
    shutil.copytree(tiny_model, root / "mine")
    _rewritten(root / "mine", lambda weights: {name: weight * float("nan") for name, weight in weights.items()})
    assert cli.main(["train", "-w", str(root), "--set", "model.name=mine"]) == 6
    error = capsys.readouterr().err
    assert "the loss is nan before any training" in error
    assert "weights may be damaged" in error
