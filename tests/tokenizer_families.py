"""Small tokenizers with the added vocabulary of real families: which tokens are added, special, normalized.

Each is trained on a few lines; what matters is the structure around the model, not the merges.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

LINES = (
    "def grade(text):\n    if text:\n        return len(text)\n    return 0\n",
    "<div class='card'>\n  <h1>Title</h1>\n\t<p>a b</p>\n</div>\n",
    "user assistant system Grade: 3\nFeedback: good, but the list has no labels.\n",
    "for (let i = 0; i < 10; i++) { console.log(i); }\n",
)
_CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
_GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant') }}{% endif %}"
    "{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\\n' + m.content | trim + "
    "'<end_of_turn>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"
)
_LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}"
    "{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n' + m.content | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
)
_MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ '[SYSTEM_PROMPT]' + m.content + "
    "'[/SYSTEM_PROMPT]' }}{% elif m.role == 'user' %}{{ '[INST]' + m.content + '[/INST]' }}"
    "{% else %}{{ m.content + eos_token }}{% endif %}{% endfor %}"
)
_QWEN3 = (
    "{% for m in messages %}{% set text = m.content %}{% set thought = m.reasoning_content or '' %}"
    "{% if m.role == 'assistant' and '</think>' in text %}"
    "{% set thought = text.split('</think>')[0].split('<think>')[-1].strip('\\n') %}"
    "{% set text = text.split('</think>')[-1].lstrip('\\n') %}{% endif %}"
    "{{ '<|im_start|>' + m.role + '\\n' }}{% if m.role == 'assistant' and loop.last %}"
    "{{ '<think>\\n' + thought.strip('\\n') + '\\n</think>\\n\\n' }}{% endif %}{{ text + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}"
    "{% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}"
    "{% endif %}"
)


def _blanks(least: int, most: int) -> list[str]:
    return [" " * count for count in range(least, most + 1)]


def _tabs(least: int, most: int) -> list[str]:
    return ["\t" * count for count in range(least, most + 1)]


# name -> (special tokens, ordinary added tokens, bos, eos, pad, template, SentencePiece-like)
FAMILIES: dict[str, tuple[list[str], list[str], str | None, str, str | None, str | None, bool]] = {
    "gemma": (
        ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"],
        ["\n", "\n\n", "\n\n\n", "\t", "\t\t", *_blanks(2, 31), "<table>", "<h1>", "</h1>", "<div>", "</div>", "<li>"],
        "<bos>",
        "<eos>",
        "<pad>",
        _GEMMA,
        True,
    ),
    "phi": (
        ["<|endoftext|>"],
        [*_blanks(2, 31), *("\t" * n for n in range(2, 10))],
        None,
        "<|endoftext|>",
        None,
        None,
        False,
    ),
    "neox": (["<|endoftext|>", "<|padding|>"], _blanks(2, 24), None, "<|endoftext|>", "<|padding|>", _CHATML, False),
    "llama3": (
        ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
        [],
        "<|begin_of_text|>",
        "<|eot_id|>",
        None,
        _LLAMA3,
        False,
    ),
    "mistral": (
        ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[TOOL_CALLS]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "<pad>"],
        [],
        "<s>",
        "</s>",
        "<pad>",
        _MISTRAL,
        False,
    ),
    "qwen3": (
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>"],
        ["<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|repo_name|>", "<think>", "</think>"],
        None,
        "<|im_end|>",
        "<|endoftext|>",
        _QWEN3,
        False,
    ),
}


def build(folder: Path, name: str, texts: Sequence[str] = LINES, *, template: str | None = None) -> Any:
    """Write the tokenizer of the family ``name`` into ``folder`` and return it as Transformers loads it."""
    from transformers import AutoTokenizer

    special, added, bos, eos, pad, own_template, pieces = FAMILIES[name]
    tokenizer = _pieces() if pieces else _bytes()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=special,
        initial_alphabet=[] if pieces else sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=False) for token in added])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": eos,
        "clean_up_tokenization_spaces": False,
        **({"bos_token": bos} if bos else {}),
        **({"pad_token": pad} if pad else {}),
        **({"unk_token": "<unk>"} if "<unk>" in special else {}),
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    if wanted := template if template is not None else own_template:
        (folder / "chat_template.jinja").write_text(wanted)
    return AutoTokenizer.from_pretrained(folder)


def _bytes() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    pattern = r"\p{N}{1,3}|[^\r\n\p{L}\p{N}]?\p{L}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _pieces() -> Tokenizer:
    """As SentencePiece: blanks are ▁, and characters that are not known fall back to bytes."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", behavior="merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer
