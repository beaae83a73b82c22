"""Reading a real model: batches and padding change nothing, losses are the evaluation's, the pass ends where it may."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from opeddev_tui.config import settings as st
from opeddev_tui.data.rows import Example, Message
from opeddev_tui.errors import ModelProblem
from opeddev_tui.grading import features
from opeddev_tui.grading.feature_cache import FeatureCache
from opeddev_tui.grading.features import base_features, layers_of, read_rows
from opeddev_tui.grading.grade_tokens import GradeTokens, grade_stem, grade_tokens
from opeddev_tui.grading.spans import GradeRow, grade_rows
from opeddev_tui.models.chat import ChatEncoder
from opeddev_tui.models.loading import load_model, load_tokenizer, with_adapters
from opeddev_tui.models.losses import example_losses
from opeddev_tui.models.token_rows import LeftPadCollator, TokenRow

PATTERN = st.Grading().pattern


def example(number: int, *, grade: str = "3", words: int = 4) -> Example:
    submission = f"<b>button {number} {'table list ' * words}</b>"
    prompt = (Message("system", "Grade it."), Message("user", f"Task: Make a menu.\n\nSubmission:\n{submission}\nEnd."))
    completion = f"Grade: {grade}\nFeedback: card good"
    return Example(prompt, completion, 3, "html", f"row {number}", str(number), submission)


@pytest.fixture(scope="module")
def parts(tiny_model: Path) -> tuple[Any, Any, ChatEncoder]:
    tokenizer = load_tokenizer(str(tiny_model), st.Model())
    return load_model(str(tiny_model), st.Model()), tokenizer, ChatEncoder(tokenizer, max_length=300)


@pytest.fixture(scope="module")
def deep_model(tiny_model: Path) -> Any:
    """Ten layers, so that five depths are five layers."""
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(str(tiny_model))
    config.num_hidden_layers = 10
    config.layer_types = ["full_attention"] * 10
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config).eval()


def some_rows(encoder: ChatEncoder, *, completion: bool = False) -> list[GradeRow]:
    examples = [example(number, words=words) for number, words in enumerate((1, 9, 3, 6, 2))]
    return grade_rows(encoder, examples, max_length=300, completion=completion)


def tokens_for(encoder: ChatEncoder, labels: Sequence[str], completions: Sequence[str] = ()) -> GradeTokens:
    stem = grade_stem(completions or [f"Grade: {label}\nFeedback: card good" for label in labels], r"Grade:\s*(\S+)")
    assert stem is not None
    found = grade_tokens(encoder, stem, labels)
    assert found is not None
    return found


def test_a_batch_of_several_reads_what_one_by_one_reads(parts: tuple[Any, Any, ChatEncoder], deep_model: Any) -> None:
    _, tokenizer, encoder = parts
    rows = some_rows(encoder, completion=True)
    tokens = tokens_for(encoder, "12345")
    assert len({row.length for row in rows}) > 1
    one, several = (
        read_rows(deep_model, rows, pad_id=tokenizer.pad_token_id, batch_size=size, loss=True, grade_tokens=tokens)
        for size in (1, 4)
    )
    np.testing.assert_allclose(one.states, several.states, atol=1e-5)
    np.testing.assert_allclose(one.sums, several.sums, rtol=1e-5)
    assert one.tokens == several.tokens == [len(row.completion) for row in rows]
    assert one.grade_probabilities is not None
    assert several.grade_probabilities is not None
    np.testing.assert_allclose(one.grade_probabilities, several.grade_probabilities, atol=1e-6)


def test_features_are_the_maximum_of_the_hidden_states_over_the_submission(
    parts: tuple[Any, Any, ChatEncoder], deep_model: Any
) -> None:
    _, tokenizer, encoder = parts
    rows = some_rows(encoder)
    found = read_rows(deep_model, rows, pad_id=tokenizer.pad_token_id, batch_size=3).states
    assert layers_of(deep_model) == [2, 3, 4, 5, 6]
    for row, states in zip(rows, found, strict=True):
        with torch.no_grad():
            hidden = deep_model(torch.tensor([row.prompt]), output_hidden_states=True).hidden_states
        most = [hidden[layer][0, row.span[0] : row.span[1]].amax(0) for layer in layers_of(deep_model)]
        np.testing.assert_allclose(states, torch.cat(most).numpy(), atol=1e-5)


def test_a_completion_behind_the_prompt_does_not_change_the_features(
    parts: tuple[Any, Any, ChatEncoder], deep_model: Any
) -> None:
    _, tokenizer, encoder = parts
    plain, with_loss = (
        read_rows(
            *(deep_model, some_rows(encoder, completion=loss)), pad_id=tokenizer.pad_token_id, batch_size=2, loss=loss
        )
        for loss in (False, True)
    )
    np.testing.assert_allclose(plain.states, with_loss.states, atol=1e-5)
    assert (plain.sums, plain.grade_probabilities) == ([], None)


def test_the_losses_are_those_of_the_evaluation(parts: tuple[Any, Any, ChatEncoder]) -> None:
    model, tokenizer, encoder = parts
    rows = some_rows(encoder, completion=True)
    plain = [TokenRow(index, row.prompt, row.completion) for index, row in enumerate(rows)]
    sums, tokens = example_losses(model, plain, LeftPadCollator(tokenizer.pad_token_id), batch_size=2)
    found = read_rows(model, rows, pad_id=tokenizer.pad_token_id, batch_size=2, loss=True)
    assert (found.sums, found.tokens) == (sums, tokens)


def test_without_loss_the_later_layers_are_not_run(parts: tuple[Any, Any, ChatEncoder], deep_model: Any) -> None:
    _, tokenizer, encoder = parts
    seen: list[int] = []
    before = [len(layer._forward_hooks) for layer in deep_model.model.layers]
    hooks = [
        layer.register_forward_hook(lambda *_, place=place: seen.append(place))
        for place, layer in enumerate(deep_model.model.layers)
    ]
    read_rows(deep_model, some_rows(encoder)[:1], pad_id=tokenizer.pad_token_id, batch_size=1)
    for hook in hooks:
        hook.remove()
    assert max(seen) == 5
    assert [len(layer._forward_hooks) for layer in deep_model.model.layers] == before


def test_reading_leaves_mode_and_random_state_as_they_were(parts: tuple[Any, Any, ChatEncoder]) -> None:
    model, tokenizer, encoder = parts
    model.train()
    before = torch.get_rng_state()
    read_rows(model, some_rows(encoder), pad_id=tokenizer.pad_token_id, batch_size=2)
    assert model.training
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "labels",
    [("1", "2", "3", "4", "5"), ("1", "1.5", "2", "2.5", "3"), tuple(map(str, range(0, 101, 10))), ("F", "D", "A+")],
    ids=["one token", "half grades", "points", "letters"],
)
def test_the_probability_of_a_grade_is_that_of_its_whole_token_sequence(
    parts: tuple[Any, Any, ChatEncoder], labels: tuple[str, ...]
) -> None:
    model, tokenizer, encoder = parts
    tokens = tokens_for(encoder, labels)
    rows = grade_rows(
        encoder, [example(1, grade=labels[1]), example(2, grade=labels[0])], max_length=300, completion=True
    )
    found = read_rows(model, rows, pad_id=tokenizer.pad_token_id, batch_size=2, loss=True, grade_tokens=tokens)
    assert found.grade_probabilities is not None
    for row, chances in zip(rows, found.grade_probabilities, strict=True):
        sums = []
        for tail in tokens.tails:
            ids = [*row.prompt, *tokens.stem, *tail]
            with torch.no_grad():
                logs = model.eval()(torch.tensor([ids])).logits[0].double().log_softmax(-1)
            places = range(len(ids) - len(tail), len(ids))
            sums.append(sum(float(logs[place - 1, ids[place]]) for place in places))
        np.testing.assert_allclose(chances, np.exp(sums) / np.exp(sums).sum(), rtol=1e-3)


def test_a_row_without_a_grade_in_its_completion_still_gets_a_distribution(parts: tuple[Any, Any, ChatEncoder]) -> None:
    model, tokenizer, encoder = parts
    tokens = tokens_for(encoder, "12345")
    odd = replace(example(3), completion="card good")
    rows = grade_rows(encoder, [example(1), odd], max_length=300, completion=True)
    mixed = read_rows(model, rows, pad_id=tokenizer.pad_token_id, batch_size=2, loss=True, grade_tokens=tokens)
    alone = read_rows(model, rows[:1], pad_id=tokenizer.pad_token_id, batch_size=1, loss=True, grade_tokens=tokens)
    assert mixed.grade_probabilities is not None
    assert alone.grade_probabilities is not None
    np.testing.assert_allclose(mixed.grade_probabilities[0], alone.grade_probabilities[0], rtol=1e-4)


def test_base_features_are_read_once_and_without_the_adapters(
    parts: tuple[Any, Any, ChatEncoder], tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, tokenizer, encoder = parts
    rows = some_rows(encoder)
    plain = load_model(str(tiny_model), st.Model())
    cache = FeatureCache(tmp_path, base="b", prompt="p", layers=layers_of(plain))
    options = {"pad_id": tokenizer.pad_token_id, "batch_size": 2, "cache": cache}
    base = base_features(plain, [*rows, rows[0]], **options)
    adapted = with_adapters(load_model(str(tiny_model), st.Model()), st.Lora(enabled=True))
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    fresh = FeatureCache(tmp_path / "other", base="b", prompt="p", layers=layers_of(adapted))
    np.testing.assert_allclose(base_features(adapted, rows, **{**options, "cache": fresh}), base[:-1], atol=1e-5)
    tuned = read_rows(adapted, rows, pad_id=tokenizer.pad_token_id, batch_size=2).states
    assert np.abs(tuned - base[:-1]).max() > 1e-3

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a known row was read again")

    monkeypatch.setattr(features, "read_rows", never)
    np.testing.assert_array_equal(base_features(plain, rows[::-1], **options), base[:-1][::-1])
    np.testing.assert_array_equal(base[-1], base[0])


def test_states_that_are_not_finite_are_told_and_never_kept(
    parts: tuple[Any, Any, ChatEncoder], tiny_model: Path, tmp_path: Path
) -> None:
    _, tokenizer, encoder = parts
    broken = load_model(str(tiny_model), st.Model())
    with torch.no_grad():
        broken.model.embed_tokens.weight.fill_(float("nan"))
    cache = FeatureCache(tmp_path, base="b", prompt="p", layers=layers_of(broken))
    with pytest.raises(ModelProblem, match="not finite"):
        base_features(broken, some_rows(encoder), pad_id=tokenizer.pad_token_id, batch_size=2, cache=cache)
    assert not cache.folder.exists()


def test_a_model_without_decoder_layers_is_refused() -> None:
    class Config:
        num_hidden_layers = 3

    model = torch.nn.Linear(2, 2)
    model.config = Config()  # type: ignore[assignment]
    with pytest.raises(ModelProblem, match="no list of 3 decoder layers"):
        layers_of(model)


def test_the_room_is_imported_without_torch() -> None:
    import subprocess
    import sys

    code = (
        "import sys, opeddev_tui.grading.features, opeddev_tui.grading.store, opeddev_tui.grading.race,"
        "opeddev_tui.grading.proposals, opeddev_tui.grading.step_head; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
