"""A position of the padding attends to something, in every architecture, and nothing that is read changes by it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from test_architectures import TYPES, rows
from tiny_models import tiny
from transformers.masking_utils import sdpa_mask

from opeddev_tui.config import settings
from opeddev_tui.models import attention, loading
from opeddev_tui.models.architectures import batch_form
from opeddev_tui.models.generation import generate
from opeddev_tui.models.token_rows import LeftPadCollator

# written before attention could be exchanged
OWN_ATTENTION = ("falcon",)


def trained(model: Any) -> tuple[float, dict[str, torch.Tensor]]:
    """Return loss and gradients of one batch whose rows are padded."""
    model.zero_grad(set_to_none=True)
    batch = LeftPadCollator(0, form=batch_form(model))(rows())
    inputs = {key: value for key, value in batch.items() if key not in ("rows", "weights")}
    loss = model(**inputs).loss
    loss.backward()
    return float(loss.detach()), {
        name: item.grad.clone() for name, item in model.named_parameters() if item.grad is not None
    }


@pytest.mark.parametrize("kind", TYPES)
def test_loss_and_gradients_stay_what_they_are(kind: str, tmp_path: Path) -> None:
    model: Any = tiny(kind)
    if model.config._attn_implementation != "sdpa" or kind in OWN_ATTENTION:
        attention.attend_in_padding(model)
        assert model.config._attn_implementation != attention.NAME
        return
    before = trained(model)
    attention.attend_in_padding(model)
    assert model.config._attn_implementation == attention.NAME
    after = trained(model)
    assert after[0] == pytest.approx(before[0], rel=1e-6)
    for name, gradient in before[1].items():
        torch.testing.assert_close(after[1][name], gradient, rtol=1e-4, atol=1e-6)
    # a saved model is read by others, who know no attention of ours
    model.save_pretrained(tmp_path)
    assert attention.NAME not in json.dumps(json.loads((tmp_path / "config.json").read_text()))


def test_no_position_is_left_without_anything_to_attend_to(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[torch.Tensor] = []
    plain: list[torch.Tensor] = []

    def watched(*arguments: Any, **options: Any) -> torch.Tensor | None:
        mask = sdpa_mask(*arguments, **options)
        if mask is not None:
            plain.append(mask)
        return mask

    monkeypatch.setattr(attention, "sdpa_mask", watched)
    original = attention._mask

    def kept(*arguments: Any, **options: Any) -> torch.Tensor | None:
        mask = original(*arguments, **options)
        if mask is not None:
            made.append(mask)
        return mask

    monkeypatch.setattr(attention, "_mask", kept)
    model: Any = tiny("qwen3")
    attention.attend_in_padding(model)
    trained(model)
    # the reason: without it there are such positions
    assert not all(bool(mask.any(-1).all()) for mask in plain)
    assert made
    assert all(bool(mask.any(-1).all()) for mask in made)
    assert bool((made[0] >= plain[0]).all())


class Encoder:
    """What generation asks of an encoder."""

    end_ids = (1,)
    positions = None

    def room_after(self, _prompt: int, new_tokens: int) -> int:
        return new_tokens


@pytest.mark.parametrize("kind", ["qwen3", "gemma3_text", "gpt2"])
def test_texts_stay_what_they_are(kind: str) -> None:
    model: Any = tiny(kind)
    prompts = [row.prompt for row in rows()]
    arguments: dict[str, Any] = {"pad_id": 0, "max_new_tokens": 6, "batch_size": 4}
    encoder: Any = Encoder()
    before = generate(model, encoder, prompts, **arguments)
    attention.attend_in_padding(model)
    assert generate(model, encoder, prompts, **arguments) == before


def test_a_loaded_model_is_never_read_by_cudnn(tiny_model: Path) -> None:
    # it prepares a plan for each length that is new, which takes many times longer than reading the rows
    torch.backends.cuda.enable_cudnn_sdp(True)
    loading.load_model(str(tiny_model), settings.Model())
    assert not torch.backends.cuda.cudnn_sdp_enabled()
