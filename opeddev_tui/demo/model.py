"""Make the tiny model of the demo and the tests: a Qwen3 with random weights and a tokenizer trained on its texts.

The result is an ordinary model folder, read like any real model. The same texts and seed give the same bytes.
"""

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from opeddev_tui.files import storage_errors, sync_folder, unwritable

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import Qwen3ForCausalLM

PAD = "<|endoftext|>"
START = "<|im_start|>"
END = "<|im_end|>"
THINK = ("<think>", "</think>")
_HEAD_DIM = 32
_MAX_POSITIONS = 4096
# twice the usual standard deviation: so narrow a model learns faster with it
_INITIALIZER_RANGE = 0.04

# ChatML; with thinking off an empty thought stands before the answer, both in a prompt and in a complete conversation
CHAT_TEMPLATE = """\
{%- for message in messages -%}
{{- '<|im_start|>' + message['role'] + '\\n' -}}
{%- if loop.last and message['role'] == 'assistant' and '<think>' not in message['content'] -%}
{{- '<think>\\n\\n</think>\\n\\n' -}}
{%- endif -%}
{{- message['content'] + '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- if enable_thinking is defined and enable_thinking is false -%}
{{- '<think>\\n\\n</think>\\n\\n' -}}
{%- endif -%}
{%- endif -%}
"""


def build_tiny_model(
    folder: Path,
    texts: Sequence[str],
    seed: int = 42,
    *,
    hidden_size: int = 128,
    num_hidden_layers: int = 3,
    vocab_size: int = 4096,
) -> None:
    """Write a model folder at ``folder`` whose tokenizer is trained on ``texts``; an existing folder is replaced.

    The folder appears whole or not at all; raises ``StorageProblem`` if it cannot be written.
    """
    with storage_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        half = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        try:
            tokenizer = _train_tokenizer(texts, vocab_size)
            _save_tokenizer(tokenizer, half)
            model = _random_model(tokenizer, seed, hidden_size, num_hidden_layers)
            _save_model(model, half)
            half.chmod(0o755)  # mkdtemp makes a folder that only its owner can read
            if folder.exists():
                shutil.rmtree(folder)
            half.rename(folder)
        except BaseException:
            shutil.rmtree(half, ignore_errors=True)
            raise
        sync_folder(folder.parent)


def _train_tokenizer(texts: Sequence[str], vocab_size: int) -> "Tokenizer":
    """Return a byte-level BPE tokenizer: every text can be encoded and decoded without loss."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(THINK),
        special_tokens=[PAD, START, END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    # as in Qwen3, <think> and </think> are single tokens but not special ones: decoding keeps them
    tokenizer.add_tokens([AddedToken(mark, normalized=False, special=False) for mark in THINK])
    return tokenizer


def _save_tokenizer(tokenizer: "Tokenizer", folder: Path) -> None:
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "pad_token": PAD,
        "additional_special_tokens": [START],
        "model_max_length": _MAX_POSITIONS,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")


def _save_model(model: "Qwen3ForCausalLM", folder: Path) -> None:
    from safetensors import SafetensorError

    try:
        model.save_pretrained(folder)
    except SafetensorError as error:
        # safetensors reports a full disk with an error of its own, not with an OSError
        raise unwritable(folder, error) from error


def _random_model(tokenizer: "Tokenizer", seed: int, hidden_size: int, num_hidden_layers: int) -> "Qwen3ForCausalLM":
    """Return a Qwen3 with weights drawn from ``seed``; the global random state is left as it was."""
    import torch
    from transformers import GenerationConfig, Qwen3Config, Qwen3ForCausalLM

    pad, end = tokenizer.token_to_id(PAD), tokenizer.token_to_id(END)
    config = Qwen3Config(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=hidden_size,
        intermediate_size=3 * hidden_size,
        num_hidden_layers=num_hidden_layers,
        num_attention_heads=hidden_size // _HEAD_DIM,
        num_key_value_heads=max(1, hidden_size // _HEAD_DIM // 2),
        head_dim=_HEAD_DIM,
        max_position_embeddings=_MAX_POSITIONS,
        initializer_range=_INITIALIZER_RANGE,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=pad,
        dtype="float32",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: Qwen3ForCausalLM = Qwen3ForCausalLM(config)
    model.generation_config = GenerationConfig(eos_token_id=[end, pad], pad_token_id=pad)
    return model
