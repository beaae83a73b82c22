"""Let a model continue texts whose beginnings are given: forced pieces and written ones in turn, in batches.

Must not know what the pieces mean. A beginning is tokenized as the beginning of a completion, so that any tokenizer
and template will do; a blank at its end is left to the model, which writes it as a part of its next token.
"""

from collections.abc import Callable, Sequence

from msgspec import Struct

from opeddev_tui.config import settings as st
from opeddev_tui.models.causal_lm import CausalLM
from opeddev_tui.models.chat import ChatEncoder
from opeddev_tui.models.generation import generate

# new ids in whose text the end is looked for: more than any stop has
_TAIL = 48


class Beginning(Struct, frozen=True):
    """A completion so far: the ``prompt`` ids before it, its ``text``, the texts that end it, its most new tokens."""

    prompt: list[int]
    text: str
    stops: tuple[str, ...]
    most: int


class Continued(Struct, frozen=True):
    """What the model wrote after a beginning; ``cut``: it would have gone on."""

    text: str
    cut: bool


def continue_texts(
    model: CausalLM,
    encoder: ChatEncoder,
    beginnings: Sequence[Beginning],
    *,
    pad_id: int,
    batch_size: int,
    sampling: st.Generation | None = None,
    on_tokens: Callable[[list[list[int]], int], None] | None = None,
) -> list[Continued]:
    """Return what ``model`` writes after each of ``beginnings``, up to and with a text of its stops."""
    if not beginnings:
        return []
    given = [encoder.begin(item.text.rstrip(" ")) for item in beginnings]

    def ended(row: int, new: list[int]) -> bool:
        item = beginnings[row]
        tail = encoder.decode(new[-_TAIL:])
        return len(new) >= item.most or any(stop in tail for stop in item.stops)

    found = generate(
        model,
        encoder,
        [[*item.prompt, *ids] for item, ids in zip(beginnings, given, strict=True)],
        pad_id=pad_id,
        max_new_tokens=max(item.most for item in beginnings),
        batch_size=batch_size,
        sampling=sampling,
        on_tokens=on_tokens,
        ended=ended,
    )
    return [
        Continued(_after(encoder, ids, new, item.text), len(new) >= item.most)
        for item, ids, new in zip(beginnings, given, found, strict=True)
    ]


def _after(encoder: ChatEncoder, given: list[int], new: list[int], beginning: str) -> str:
    """Return the text of ``new`` after ``given``: some tokenizers drop a blank at the beginning of what they decode."""
    before, whole = encoder.decode(given), encoder.decode([*given, *new])
    text = whole[len(before) :] if whole.startswith(before) else encoder.decode(new)
    return text.lstrip(" ") if beginning.endswith(" ") else text
