"""The tiny model: an ordinary folder for AutoModel and AutoTokenizer, the same bytes on each build."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen3ForCausalLM

from opeddev_tui.demo.dataset import build_demo_set
from opeddev_tui.demo.model import build_tiny_model
from opeddev_tui.errors import StorageProblem

BASE_ROWS = [one.row() for one in build_demo_set().training[0]]
TEXTS = [f"{row['task']}\n{row['submission']}\n{row['feedback']}" for row in BASE_ROWS]
SMALL = {"hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 2000}
MESSAGES = [
    {"role": "system", "content": "You grade code."},
    {"role": "user", "content": "Grade <b>this</b>."},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "tiny"
    build_tiny_model(path, TEXTS, **SMALL)
    return path


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder)


def test_the_folder_is_an_ordinary_model_folder(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
    }
    assert folder.stat().st_mode & 0o777 == 0o755
    assert json.loads((folder / "config.json").read_text())["architectures"] == ["Qwen3ForCausalLM"]


def test_the_model_is_small_and_float32(model: Any, tokenizer: Any) -> None:
    assert type(model).__name__ == "Qwen3ForCausalLM"
    assert model.dtype == torch.float32
    assert sum(weight.numel() for weight in model.parameters()) < 400_000
    assert model.config.vocab_size == len(tokenizer) <= 2000
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_ids_agree_between_model_and_tokenizer(model: Any, tokenizer: Any) -> None:
    assert (tokenizer.pad_token, tokenizer.eos_token) == ("<|endoftext|>", "<|im_end|>")
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    end, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    assert (model.config.eos_token_id, model.config.pad_token_id) == (end, pad)
    assert (model.generation_config.eos_token_id, model.generation_config.pad_token_id) == ([end, pad], pad)


def test_any_text_survives_the_tokenizer(tokenizer: Any) -> None:
    for text in (TEXTS[0], " a  b\n\tc ", "“naïve” ☃ 漢字 🦊", "\x00\x1b[0m", ""):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert tokenizer.decode(ids) == text


def test_marks_are_single_tokens_and_only_thoughts_stay_in_decoded_text(tokenizer: Any) -> None:
    for mark in ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"):
        assert len(tokenizer(mark, add_special_tokens=False)["input_ids"]) == 1
    assert not {"<think>", "</think>"} & set(tokenizer.all_special_tokens)
    ids = tokenizer("<|im_start|>x<think></think><|im_end|>", add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "x<think></think>"


def test_a_typed_role_mark_can_be_kept_harmless(tokenizer: Any) -> None:
    ids = tokenizer("<|im_end|>", add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert tokenizer.eos_token_id not in ids
    assert tokenizer.decode(ids) == "<|im_end|>"


def test_the_prompt_without_thinking_ends_with_an_empty_thought(tokenizer: Any) -> None:
    prompt = tokenizer.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=True, enable_thinking=False)
    assert prompt == (
        "<|im_start|>system\nYou grade code.<|im_end|>\n<|im_start|>user\nGrade <b>this</b>.<|im_end|>\n"
        "<|im_start|>assistant\n<think>\n\n</think>\n\n"
    )
    thinking = tokenizer.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=True)
    assert thinking.endswith("<|im_start|>assistant\n")


def test_the_prompt_is_an_exact_prefix_of_the_conversation(tokenizer: Any) -> None:
    prompt = tokenizer.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=True, enable_thinking=False)
    answer = {"role": "assistant", "content": "Grade: 4\nFeedback: Clarity: var."}
    whole = tokenizer.apply_chat_template([*MESSAGES, answer], tokenize=False)
    assert whole == prompt + answer["content"] + "<|im_end|>\n"
    # and in tokens, where the loss mask is drawn
    whole_ids = tokenizer(whole, add_special_tokens=False)["input_ids"]
    prompt_ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    assert whole_ids[: len(prompt_ids)] == prompt_ids


def test_the_model_generates_and_learns(model: Any, tokenizer: Any) -> None:
    ids = tokenizer("<|im_start|>user\nGrade this.", return_tensors="pt")
    with torch.random.fork_rng():
        out = model.generate(**ids, max_new_tokens=4, do_sample=False)
    assert ids["input_ids"].shape[1] < out.shape[1] <= ids["input_ids"].shape[1] + 4
    loss = model(**ids, labels=ids["input_ids"]).loss
    loss.backward()
    assert torch.isfinite(loss)
    assert all(weight.grad is not None for weight in model.parameters())


def test_the_same_seed_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    build_tiny_model(tmp_path / "again", TEXTS, **SMALL)
    assert torch.equal(torch.random.get_rng_state(), before)
    for path in folder.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name
    build_tiny_model(tmp_path / "again", TEXTS, seed=7, **SMALL)
    weights = (tmp_path / "again" / "model.safetensors").read_bytes()
    assert weights != (folder / "model.safetensors").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["again"]


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        # what the library raises when its own write fails
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
    ids=["operating system", "safetensors"],
)
def test_a_full_disk_is_told_and_leaves_nothing_half_made(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "config.json").write_text("{}")
    monkeypatch.setattr(Qwen3ForCausalLM, "save_pretrained", fails)
    with pytest.raises(StorageProblem):
        build_tiny_model(tmp_path / "tiny", TEXTS[:5], **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]
    assert (tmp_path / "tiny" / "config.json").read_text() == "{}"
