"""Random two-layer models of many causal architectures: batches give the losses of single rows, and train."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import SIZES, tiny
from torch.nn.functional import cross_entropy

from opeddev_tui.config import settings as st
from opeddev_tui.errors import ModelProblem
from opeddev_tui.models import memory, model_config
from opeddev_tui.models.architectures import batch_form, positions_of
from opeddev_tui.models.generation import generate
from opeddev_tui.models.losses import example_losses
from opeddev_tui.models.token_rows import IGNORED, BatchForm, LeftPadCollator, TokenRow, weighted_loss
from opeddev_tui.models.weight_files import check_weights

LEFT = BatchForm()
TYPES = {
    "qwen2": LEFT,
    "qwen3": LEFT,
    "qwen3_moe": LEFT,
    "llama": LEFT,
    "mistral": LEFT,
    "mixtral": LEFT,
    "gemma": LEFT,
    "gemma2": LEFT,
    "gemma3_text": LEFT,
    "phi": LEFT,
    "phi3": LEFT,
    "gpt2": LEFT,
    "gpt_neo": LEFT,
    "gpt_neox": LEFT,
    "gpt_bigcode": LEFT,
    "gptj": LEFT,
    "codegen": LEFT,
    "opt": LEFT,
    "falcon": LEFT,
    "starcoder2": LEFT,
    "stablelm": LEFT,
    "olmo2": LEFT,
    "granite": LEFT,
    "cohere": LEFT,
    "smollm3": LEFT,
    "bloom": BatchForm(positions=False),
    "mpt": BatchForm(positions=False),
    "mamba": BatchForm(positions=False),
    "roberta": BatchForm(positions=False),
    "rwkv": BatchForm(left=False, positions=False, kept_head=False),
}


def rows() -> list[TokenRow]:
    draw = torch.Generator().manual_seed(1)
    sizes = [(12, 3), (7, 6), (3, 1), (9, 9)]
    texts = [
        (torch.randint(5, 90, (p,), generator=draw).tolist(), torch.randint(5, 90, (c,), generator=draw).tolist())
        for p, c in sizes
    ]
    return [TokenRow(index, prompt, completion) for index, (prompt, completion) in enumerate(texts)]


@torch.no_grad()
def alone(model: Any, row: TokenRow) -> float:
    """The summed loss of a row without any padding, from the model's logits."""
    logits = model(input_ids=torch.tensor([row.prompt + row.completion])).logits[0]
    first = len(row.prompt) - 1
    return float(cross_entropy(logits[first:-1].float(), torch.tensor(row.completion), reduction="sum"))


class Ends:
    """What generation asks an encoder."""

    end_ids = (2,)

    def room_after(self, prompt_tokens: int, new_tokens: int) -> int:
        return min(new_tokens, 64 - prompt_tokens + 1)


@pytest.mark.parametrize("kind", TYPES)
def test_batches_give_the_losses_of_single_rows_and_train(kind: str) -> None:
    model, examples = tiny(kind), rows()
    form = batch_form(model)
    assert form == TYPES[kind]
    collate = LeftPadCollator(0, form=form)
    sums, counts = example_losses(model, examples, collate, batch_size=3)
    expected = [alone(model, row) for row in examples]
    assert counts == [len(row.completion) for row in examples]
    assert sums == pytest.approx(expected, rel=2e-5)
    # the model's own loss on the completion's columns is that of the whole computation, and its gradients are numbers
    for completion_only in (True, False):
        batch = LeftPadCollator(0, form=form, completion_only=completion_only)(examples)
        assert ("logits_to_keep" in batch) is (completion_only and form.kept_head and form.left)
        model.zero_grad()
        loss = model.train()(**batch).loss
        loss.backward()
        assert float(loss.detach()) == pytest.approx(sum(expected) / sum(counts), rel=2e-5)
        gradients = [item.grad for item in model.parameters() if item.grad is not None]
        assert gradients
        assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients)
    model.eval()
    prompts = [row.prompt for row in examples]
    together = generate(model, Ends(), prompts, pad_id=0, max_new_tokens=3, batch_size=4)  # type: ignore[arg-type]
    for prompt, new in zip(prompts, together, strict=True):
        assert [new] == generate(model, Ends(), [prompt], pad_id=0, max_new_tokens=3, batch_size=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", TYPES)
def test_sizes_are_counted_for_every_type(kind: str) -> None:
    model = tiny(kind)
    sizes = memory.sizes_of(model)
    assert sizes.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert (sizes.hidden, sizes.layers, sizes.vocabulary) == (32, 2, 97)
    assert sizes.linear_inputs > 0
    assert model_config.of_config(model.config, kind).vocabulary == 97
    assert positions_of(model.config) == {"bloom": None, "mpt": None, "mamba": None, "rwkv": None, "roberta": 63}.get(
        kind, 64
    )


@pytest.mark.parametrize("kind", TYPES)
def test_saved_weights_of_every_type_fit_their_configuration(kind: str, tmp_path: Path) -> None:
    tiny(kind).save_pretrained(tmp_path)
    check_weights(str(tmp_path), st.Model())


def test_weights_of_rows_multiply_their_loss() -> None:
    model, examples = tiny("qwen3"), rows()
    weights = [2.0, 0.5, 1.0, 3.0]
    weighted = [
        TokenRow(row.row, row.prompt, row.completion, weight) for row, weight in zip(examples, weights, strict=True)
    ]
    batch = LeftPadCollator(0)(weighted)
    labels, found = batch.pop("labels"), batch.pop("weights")
    logits = model(**batch).logits.detach()
    tokens = sum(len(row.completion) for row in examples)
    expected = sum(weight * alone(model, row) for weight, row in zip(weights, examples, strict=True)) / tokens
    assert float(weighted_loss(logits, labels, found, None)) == pytest.approx(expected, rel=1e-5)
    ones = torch.ones(len(examples))
    plain = LeftPadCollator(0)(examples)
    assert "weights" not in plain
    assert float(weighted_loss(logits, labels, ones, tokens)) == pytest.approx(
        float(model(**plain).loss.detach()), rel=1e-6
    )
    # the hold-out counts every row alike
    assert example_losses(model, weighted, LeftPadCollator(0), batch_size=4) == example_losses(
        model, examples, LeftPadCollator(0), batch_size=4
    )
    assert int((labels != IGNORED).sum()) == tokens


def test_a_model_with_code_of_its_own_is_asked_by_its_signature() -> None:
    class Own:
        def __init__(self, forward: Any) -> None:
            self.config = type("Config", (), {"model_type": "own"})
            self.forward = forward

    def all_of_it(input_ids: Any, position_ids: Any = None, logits_to_keep: int = 0) -> None: ...
    def no_head(input_ids: Any, position_ids: Any = None) -> None: ...
    def nothing(input_ids: Any, **more: Any) -> None: ...

    assert batch_form(Own(all_of_it)) == BatchForm()
    assert batch_form(Own(no_head)) == BatchForm(kept_head=False)
    assert batch_form(Own(nothing)) == BatchForm(left=False, positions=False, kept_head=False)


def config_of(kind: str, **changes: Any) -> Any:
    from transformers import AutoConfig

    return AutoConfig.for_model(kind, **changes)


def quantized(**how: Any) -> dict[str, Any]:
    return {"quantization_config": how}


@pytest.mark.parametrize(
    ("kind", "changes", "told"),
    [
        ("llama", quantized(quant_method="bitsandbytes", load_in_4bit=True), "it is quantized (bitsandbytes)"),
        ("llama", quantized(quant_method="gptq", bits=4), "it is quantized (gptq)"),
        ("qwen3", quantized(quant_method="awq", bits=4), "it is quantized (awq)"),
        ("qwen3", quantized(quant_method="fp8"), "it is quantized (fp8)"),
        ("gpt_oss", quantized(quant_method="mxfp4"), "it is quantized (mxfp4)"),
        ("t5", {}, "t5 is an encoder-decoder model"),
        ("bert", {}, "bert is an encoder, in which every token sees the answer"),
        ("vit", {}, "vit is no causal language model"),
        ("clip", {}, "the text part of a multimodal model that cannot be loaded alone"),
        ("qwen2_5_vl", {}, "the text part of a multimodal model that cannot be loaded alone"),
        ("xlnet", {}, "xlnet has another loss"),
        ("bart", {"is_encoder_decoder": False, "is_decoder": True}, "bart has another loss"),
    ],
)
def test_what_cannot_be_trained_is_refused_from_its_configuration(
    kind: str, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(ModelProblem) as caught:
        model_config.of_config(config_of(kind, **changes), "somebody/model")
    assert told in caught.value.message
    assert caught.value.exit_code == 5
    assert len(str(caught.value).splitlines()) == 1


def text_sizes() -> dict[str, Any]:
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
    return {name: SIZES[name] for name in (*names, "head_dim", "vocab_size", "max_position_embeddings")}


@pytest.mark.parametrize("kind", ["gemma3", "llava", "mistral3", "smolvlm"])
def test_the_text_part_of_a_multimodal_model_is_loaded_and_saved_alone(kind: str, tmp_path: Path) -> None:
    from transformers import AutoModelForImageTextToText

    from opeddev_tui.models.loading import load_model

    inner = {"gemma3": None, "llava": "llama", "mistral3": "mistral", "smolvlm": "llama"}[kind]
    seen = {"gemma3": "siglip_vision_model", "llava": "clip_vision_model", "mistral3": "pixtral", "smolvlm": None}[kind]
    vision = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
    }
    config = config_of(
        kind,
        text_config={**text_sizes(), **({"model_type": inner} if inner else {})},
        vision_config={**vision, **({"model_type": seen} if seen else {})},
        **({"mm_tokens_per_image": 1} if kind == "gemma3" else {}),
    )
    torch.manual_seed(0)
    whole = AutoModelForImageTextToText.from_config(config).float().eval()
    whole.save_pretrained(tmp_path / "whole")
    found = model_config.load_config(str(tmp_path / "whole"), st.Model())
    assert not found.whole
    assert (found.vocabulary, found.positions) == (97, 64)
    text = load_model(str(tmp_path / "whole"), st.Model()).eval()
    ids = torch.arange(5, 40)[None]
    with torch.no_grad():
        assert torch.equal(text(input_ids=ids).logits, whole(input_ids=ids).logits)
    text.save_pretrained(tmp_path / "text")
    again = load_model(str(tmp_path / "text"), st.Model()).eval()
    with torch.no_grad():
        assert torch.equal(again(input_ids=ids).logits, text(input_ids=ids).logits)
    assert model_config.load_config(str(tmp_path / "text"), st.Model()).whole
