"""Where the submission stands among a prompt's tokens, for any tokenizer and template.

The prompt is encoded again with two stand-ins in the submission's place; what differs is the submission. So neither
offsets nor the template's text need to be known, and a token that merges the submission's edge with its surroundings
belongs to it.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from msgspec import Struct

from opeddev_tui.data.rows import Example, Message

# they begin and end differently, so that no submission shares its edges with both
STAND_INS = ("Q7 zebra J", "_ 0 ~")


class Encoder(Protocol):
    """What turns an example into token ids (``chat.ChatEncoder``)."""

    def encode(self, example: Any) -> tuple[list[int], list[int]]:
        """Return (prompt ids, completion ids), uncut."""

    def encode_prompt(self, messages: Any) -> list[int]:
        """Return the uncut prompt ids of messages."""

    def prompt_room(self, completion_tokens: int = 0) -> int:
        """Return the most tokens that a prompt keeps before a completion."""


class GradeRow(Struct, frozen=True):
    """One row to be read: token ids, and the submission's half-open ``span`` within ``prompt``.

    ``completion`` is empty where there is no reference; ``cut`` says that the prompt lost its middle.
    """

    prompt: list[int]
    completion: list[int]
    span: tuple[int, int]
    cut: bool = False

    @property
    def length(self) -> int:
        """Number of tokens together."""
        return len(self.prompt) + len(self.completion)

    @property
    def key(self) -> str:
        """SHA-256 of what the features depend on: prompt and span, never the completion."""
        return hashlib.sha256(repr((self.prompt, self.span)).encode()).hexdigest()


def with_submission(example: Example, text: str) -> tuple[Message, ...]:
    """Return the prompt of ``example`` with ``text`` in the place of its submission.

    The submission is looked for from the end of the last user message; where it is not found, the whole message is
    replaced.
    """
    asked = [index for index, message in enumerate(example.prompt) if message.role == "user"]
    if not asked:
        return example.prompt
    content = example.prompt[asked[-1]].content
    before, found, after = content.rpartition(example.submission) if example.submission else ("", "", "")
    changed = Message("user", f"{before}{text}{after}" if found else text)
    return (*example.prompt[: asked[-1]], changed, *example.prompt[asked[-1] + 1 :])


def grade_row(encoder: Encoder, example: Example, *, max_length: int, completion: bool = False) -> GradeRow:
    """Return ``example`` as tokens, its prompt cut in the middle as in training, and to ``max_length`` tokens.

    With ``completion`` prompt and completion together keep to ``max_length``. The prompt is the same with and without,
    unless the completion is longer than what the encoder keeps free for one.
    """
    prompt, written = encoder.encode(example)
    written = written if completion else []
    room = min(encoder.prompt_room(len(written)), max_length - len(written))
    return _cut(encoder, example, prompt, written, max(1, room))


def with_span(encoder: Encoder, example: Example, prompt: list[int], completion: list[int]) -> GradeRow:
    """Return ``example`` whose tokens are known already, as training has them (``chat.TokenRow``), with its span."""
    whole = encoder.encode(example)[0]
    return _cut(encoder, example, whole, completion, len(prompt))


def grade_rows(
    encoder: Encoder, examples: Sequence[Example], *, max_length: int, completion: bool = False
) -> list[GradeRow]:
    """Return ``grade_row`` of each example."""
    return [grade_row(encoder, example, max_length=max_length, completion=completion) for example in examples]


def _cut(encoder: Encoder, example: Example, prompt: list[int], completion: list[int], room: int) -> GradeRow:
    """Return the row with its prompt cut in the middle to ``room`` tokens, as ``chat.ChatEncoder`` cuts it."""
    start, end = _span(encoder, example, prompt)
    if len(prompt) <= room:
        return GradeRow(prompt, completion, (start, end))
    kept = [*range(room // 2), *range(len(prompt) - (room - room // 2), len(prompt))]
    inside = [place for place, index in enumerate(kept) if start <= index < end]
    span = (inside[0], inside[-1] + 1) if inside else (0, room)
    return GradeRow([prompt[index] for index in kept], completion, span, cut=True)


def _span(encoder: Encoder, example: Example, prompt: list[int]) -> tuple[int, int]:
    if not any(message.role == "user" for message in example.prompt):
        return 0, len(prompt)
    others = [encoder.encode_prompt(with_submission(example, text)) for text in STAND_INS]
    start = min(_alike(prompt, other) for other in others)
    tail = min(_alike(reversed(prompt), reversed(other)) for other in others)
    end = len(prompt) - tail
    return (start, end) if start < end else (0, len(prompt))


def _alike(one: Iterator[int] | Sequence[int], other: Iterator[int] | Sequence[int]) -> int:
    """Return how many ids two sequences share at their beginning."""
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count
