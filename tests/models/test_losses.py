"""Probe prompts, and generation that leaves the random state alone."""

from collections.abc import Callable
from pathlib import Path

import engine_helpers as eh
import pytest
import torch

from opeddev_tui.config import settings as st
from opeddev_tui.data.rows import Example, Message
from opeddev_tui.models.chat import ChatEncoder
from opeddev_tui.models.fingerprint import fingerprint
from opeddev_tui.models.generation import choose_probes, generate
from opeddev_tui.models.loading import load_model, load_tokenizer
from opeddev_tui.models.precision import resolve_precision
from opeddev_tui.runs import events as ev
from opeddev_tui.training import model_in_use

GRADES = range(1, 6)


def example(grade: int, kind: str) -> Example:
    return Example(
        prompt=(Message("user", "x"),), completion="y", grade=grade, kind=kind, where="", id="", submission="x"
    )


def test_probes_are_fixed_and_spread() -> None:
    holdout = [example(grade, kind) for grade in GRADES for kind in ("html", "css", "js") for _ in range(4)]
    chosen = choose_probes(holdout, 6, 42)
    assert chosen == choose_probes(holdout, 6, 42)
    assert chosen != choose_probes(holdout, 6, 43)
    assert len(set(chosen)) == 6
    assert {holdout[index].grade for index in chosen} == set(GRADES)
    assert {holdout[index].kind for index in chosen} == {"html", "css", "js"}
    assert sorted(choose_probes(holdout[:3], 6, 1)) == [0, 1, 2]


def test_generation_is_repeatable_batched_or_not_and_changes_nothing(tiny_model: Path) -> None:
    tokenizer = load_tokenizer(str(tiny_model), st.Model())
    model = load_model(str(tiny_model), st.Model()).train()
    encoder = ChatEncoder(tokenizer, max_length=200)
    prompts = [encoder.encode_prompt([Message("user", "word " * count)]) for count in (1, 9, 4)]
    torch.manual_seed(1)
    before = torch.get_rng_state()
    sampling = st.Generation(do_sample=True)
    results = [
        generate(model, encoder, prompts, pad_id=tokenizer.pad_token_id, max_new_tokens=12, batch_size=size)
        for size in (1, 3)
    ]
    assert results[0] == results[1]
    generate(model, encoder, prompts, pad_id=tokenizer.pad_token_id, max_new_tokens=4, batch_size=2, sampling=sampling)
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training


def test_a_models_own_beams_and_penalties_do_not_shape_its_texts(tiny_model: Path) -> None:
    tokenizer = load_tokenizer(str(tiny_model), st.Model())
    model = load_model(str(tiny_model), st.Model())
    encoder = ChatEncoder(tokenizer, max_length=200)
    prompts = [encoder.encode_prompt([Message("user", "word " * count)]) for count in (1, 9)]

    def texts() -> list[list[int]]:
        # texts that are shown as they grow, as on the screen
        return generate(
            model,
            encoder,
            prompts,
            pad_id=tokenizer.pad_token_id,
            max_new_tokens=12,
            batch_size=2,
            on_tokens=lambda grown, finished: None,  # noqa: ARG005
        )

    plain = texts()
    own = model.generation_config
    own.update(num_beams=3, repetition_penalty=5.0, no_repeat_ngram_size=1, suppress_tokens=plain[0][:1], min_length=9)
    assert texts() == plain
    assert model.generation_config is own
    assert own.repetition_penalty == 5.0


def test_fingerprints_tell_weights_apart(tiny_model: Path) -> None:
    one, two = (load_model(str(tiny_model), st.Model()) for _ in range(2))
    assert fingerprint(one) == fingerprint(two)
    with torch.no_grad():
        weight = two.model.layers[0].mlp.up_proj.weight
        weight[0], weight[1] = weight[1].clone(), weight[0].clone()
    assert fingerprint(one) != fingerprint(two)


def test_a_cpu_trains_in_float32_whatever_is_wanted() -> None:
    for wanted in ("fp16", "bf16", "fp32"):
        precision = resolve_precision(wanted)
        if not torch.cuda.is_available():
            assert (precision.name, precision.dtype) == ("fp32", None)
        assert precision.reason


def test_a_long_scoring_says_how_far_it_is(
    workspace_factory: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_in_use, "PULSE_SECONDS", 0.0)
    root = workspace_factory(rows=8)
    eh.train(root)
    told = [event.detail for event in eh.journal_of(root) if isinstance(event, ev.PhaseChanged)]
    assert any(detail.endswith("hold-out rows") and " of " in detail for detail in told), told
