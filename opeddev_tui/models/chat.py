"""Owns the way from an example to tokens: chat template, truncation, loss mask, padding.

Prompt and completion are separate token lists, so the loss mask is a matter of position and never of
comparing ids. Text from outside can spell a role marker such as ``<|im_start|>``; it is encoded so that it
stays text. Sequences are padded on the left: completions end in the same column and the LM head needs to run
on the last columns only.
"""

from collections.abc import Sequence
from typing import Any

import torch
from msgspec import Struct

from opeddev_tui.data.rows import Example, Message

IGNORED = -100
# private-use characters that stand for one message while the template is rendered
_OPEN, _CLOSE = "\ue000", "\ue001"


class TokenRow(Struct, frozen=True):
    """One example as token ids; ``row`` is its index in the step."""

    row: int
    prompt: list[int]
    completion: list[int]

    @property
    def length(self) -> int:
        """Number of tokens together."""
        return len(self.prompt) + len(self.completion)


class EncodedRows(Struct, frozen=True):
    """The rows that fit, where the others are, and how many lost the middle of their prompt."""

    rows: list[TokenRow]
    dropped: list[str]
    shortened: int


class ChatEncoder:
    """Encodes prompts and completions with one tokenizer, the same for training and generation."""

    def __init__(self, tokenizer: Any, *, max_length: int, min_prompt_tokens: int = 16, thinking: bool = False) -> None:
        self._tokenizer = tokenizer
        self._max_length = max_length
        self._min_prompt = min_prompt_tokens
        self._thinking = thinking
        self._markers = sorted((str(token) for token in tokenizer.get_added_vocab()), key=len, reverse=True)
        self.end_ids = self._ends()

    def encode_all(self, examples: Sequence[Example]) -> EncodedRows:
        """Encode ``examples``; rows whose completion does not fit are dropped and named."""
        rows: list[TokenRow] = []
        dropped: list[str] = []
        shortened = 0
        for index, example in enumerate(examples):
            prompt, completion = self.encode(example)
            room = self._max_length - len(completion)
            if len(prompt) > room and room < self._min_prompt:
                dropped.append(example.where)
                continue
            if len(prompt) > room:
                prompt = _without_middle(prompt, room)
                shortened += 1
            rows.append(TokenRow(index, prompt, completion))
        return EncodedRows(rows, dropped, shortened)

    def encode(self, example: Example) -> tuple[list[int], list[int]]:
        """Return (prompt ids, completion ids); the completion ends with the end-of-turn token."""
        if not example.prompt:
            return self._start_ids(), [*self._text_ids(example.completion), self.end_ids[0]]
        return self.encode_prompt(example.prompt), [*self._text_ids(example.completion), self.end_ids[0]]

    def encode_prompt(self, messages: Sequence[Message]) -> list[int]:
        """Return the ids of ``messages`` up to where the model begins to write."""
        contents = [message.content for message in messages]
        if not any(self._has_marker(content) for content in contents):
            return self._ids(self._render(messages))
        stand_ins = [Message(item.role, f"{_OPEN}{index}{_CLOSE}") for index, item in enumerate(messages)]
        rendered = self._render(stand_ins)
        ids: list[int] = []
        for index, content in enumerate(contents):
            before, _, rendered = rendered.partition(f"{_OPEN}{index}{_CLOSE}")
            ids += self._ids(before) + self._text_ids(content)
        return ids + self._ids(rendered)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of generated ``ids`` without special tokens."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))

    def _render(self, messages: Sequence[Message]) -> str:
        plain = [{"role": message.role, "content": message.content} for message in messages]
        if not self._tokenizer.chat_template:
            return "\n\n".join(item["content"] for item in plain) + "\n\n"
        return str(
            self._tokenizer.apply_chat_template(
                plain, tokenize=False, add_generation_prompt=True, enable_thinking=self._thinking
            )
        )

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"]) if text else []

    def _has_marker(self, text: str) -> bool:
        return any(marker in text for marker in self._markers)

    def _text_ids(self, text: str) -> list[int]:
        """Encode ``text`` so that no part of it becomes a marker token: cut inside every marker it spells."""
        for marker in self._markers:
            at = text.find(marker)
            if at >= 0:
                cut = at + max(1, len(marker) // 2)
                return self._text_ids(text[:cut]) + self._text_ids(text[cut:])
        return self._ids(text)

    def _start_ids(self) -> list[int]:
        """Return what stands before plain text: the begin token, or the end-of-text token in its place."""
        bos = self._tokenizer.bos_token_id
        return [bos if bos is not None else self.end_ids[-1]]

    def _ends(self) -> list[int]:
        """Return the ids that end a completion: the template's end of turn first, then end of text."""
        ends: list[int] = []
        if self._tokenizer.chat_template:
            turn = [{"role": "user", "content": "x"}, {"role": "assistant", "content": f"{_OPEN}{_CLOSE}"}]
            rendered = str(self._tokenizer.apply_chat_template(turn, tokenize=False))
            after = self._ids(rendered.partition(f"{_OPEN}{_CLOSE}")[2].strip())
            ends += [after[0]] if after else []
        if self._tokenizer.eos_token_id is not None:
            ends.append(int(self._tokenizer.eos_token_id))
        return list(dict.fromkeys(ends))


def _without_middle(ids: list[int], length: int) -> list[int]:
    """Return ``length`` ids: the beginning (roles, task) and the end (rest, begin of the answer) of ``ids``."""
    head = length // 2
    return ids[:head] + ids[len(ids) - (length - head) :]


class LeftPadCollator:
    """Rows to one batch: ``input_ids``, ``attention_mask``, ``position_ids`` of shape [batch, length].

    ``labels`` has shape [batch, kept]: only the last ``kept`` columns, those from the token before the first
    completion on; ``logits_to_keep`` tells the model to run its head on these alone. The loss and its gradients
    are those of the full computation. Without ``completion_only`` labels cover all columns.
    """

    def __init__(self, pad_id: int, *, completion_only: bool = True, with_rows: bool = False) -> None:
        self._pad_id = pad_id
        self._completion_only = completion_only
        self._with_rows = with_rows

    def __call__(self, rows: Sequence[TokenRow]) -> dict[str, Any]:
        """Return the batch of ``rows``."""
        length = max(row.length for row in rows)
        input_ids = torch.full((len(rows), length), self._pad_id, dtype=torch.long)
        labels = torch.full((len(rows), length), IGNORED, dtype=torch.long)
        mask = torch.zeros((len(rows), length), dtype=torch.long)
        for index, row in enumerate(rows):
            input_ids[index, length - row.length :] = torch.tensor(row.prompt + row.completion)
            labels[index, length - len(row.completion) :] = torch.tensor(row.completion)
            mask[index, length - row.length :] = 1
        batch: dict[str, Any] = {
            "input_ids": input_ids,
            "attention_mask": mask,
            "position_ids": (mask.cumsum(1) - 1).clamp(min=0),
            "labels": labels,
        }
        if self._completion_only:
            # one column more than the longest completion: the token before it predicts its first token
            kept = min(length, max(len(row.completion) for row in rows) + 1)
            batch["labels"] = labels[:, length - kept :]
            batch["logits_to_keep"] = kept
        if self._with_rows:
            batch["rows"] = [row.row for row in rows]
        return batch
