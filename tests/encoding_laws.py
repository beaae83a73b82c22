"""What must hold for the tokens of every row, whatever its text and tokenizer; and texts to try it with."""

from typing import Any

from hypothesis import strategies as some

from opeddev_tui.data.rows import Example, Message
from opeddev_tui.errors import Problems
from opeddev_tui.models.chat import ChatEncoder
from opeddev_tui.models.markers import THOUGHT, special_tokens

_PIECES = (
    *("<", ">", "|", "/", "[", "]", "im", "_", "start", "end", "of", "turn", "INST", "s", "▁", "\n", "  ", "\t"),
    *("<|", "|>", "<|im_start|>", "<|im_end|>", "<start_of_turn>", "<end_of_turn>", "<bos>", "</s>", "[INST]"),
    *("[/INST]", "<|eot_id|>", "<|start_header_id|>", "<|endoftext|>", "<think>", "</think>", "<tool_call>", "<h1>"),
    *("\ue000", "\ue002", "\ue0020\ue001", "日", "👩\u200d🚀", "e\u0301", "\u202e", "\x00", "user\n", "Grade: 3"),
)
TEXTS = some.lists(some.one_of(some.sampled_from(_PIECES), some.text(max_size=8)), min_size=1, max_size=12).map("".join)
_ROLES = ("user", "assistant", "user")


def own_ids(tokenizer: Any, text: str) -> list[int]:
    """What the tokenizer itself makes of ``text``."""
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def rendered(tokenizer: Any, encoder: ChatEncoder, messages: list[Message]) -> str:
    """The prompt's text before it is tokenized."""
    if not tokenizer.chat_template:
        return "\n\n".join(message.content for message in messages) + "\n\n"
    return encoder.template.prompt(messages)


def guarded_ids(tokenizer: Any) -> set[int]:
    """The special tokens' ids, without that of unknown characters, which any text may have."""
    return set(special_tokens(tokenizer).values()) - ({tokenizer.unk_token_id} - {tokenizer.eos_token_id})


def guarded_texts(tokenizer: Any) -> list[str]:
    """The special tokens as a text may spell them."""
    return sorted(special_tokens(tokenizer))


def check_row(tokenizer: Any, encoder: ChatEncoder, texts: list[str], completion: str) -> None:
    """Assert: no guarded token from data, and ordinary text as the tokenizer has it; a refusal is fine."""
    messages = [Message(role, text) for role, text in zip(_ROLES, texts, strict=False)]
    plain = [Message(role, "x") for role, _ in zip(_ROLES, texts, strict=False)]
    try:
        (encoded,) = encoder.encode_all([Example(tuple(messages), completion, None, "", "f:1", "", texts[0])]).rows
    except Problems:
        return
    guarded = guarded_ids(tokenizer)
    expected = [token for token in encoder.encode_prompt(plain) if token in guarded]
    assert [token for token in encoded.prompt if token in guarded] == expected
    assert [token for token in encoded.completion if token in guarded] == [encoder.end_ids[0]]
    if THOUGHT.match(completion.lstrip()):
        return
    guard = encoder.guard
    if not guard.spelled(completion):
        assert encoded.completion[:-1] == own_ids(tokenizer, completion)
    if not any(guard.spelled(text) for text in texts):
        assert encoded.prompt == own_ids(tokenizer, rendered(tokenizer, encoder, messages))
