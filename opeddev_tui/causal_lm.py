"""What this app uses of a causal language model and its tokenizer, with shapes. The libraries type little of it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, Self

import torch


class Scores(Protocol):
    """What a forward pass returns."""

    @property
    def logits(self) -> torch.Tensor:
        """Shape [rows, tokens, vocabulary]; the scores at a token are those of the next one."""


class CausalLM(Protocol):
    """A decoder in memory: a transformers model, or one with PEFT's adapters."""

    training: bool

    def __call__(self, **inputs: Any) -> Scores:
        """Run forward on ``input_ids`` and ``attention_mask``, both of shape [rows, tokens]."""

    def generate(self, **inputs: Any) -> torch.Tensor:
        """Return prompts and new tokens, shape [rows, prompt + new]; rows that ended are padded on the right."""

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """Return all weights."""

    def state_dict(self) -> Mapping[str, torch.Tensor]:
        """Return all weights and buffers by name; shared ones under each of their names."""

    def save_pretrained(self, folder: str | Path, **options: Any) -> None:
        """Write an ordinary model folder, or the adapters alone."""

    def train(self, mode: bool = True) -> Self:
        """Switch dropout on or off."""

    def eval(self) -> Self:
        """Switch dropout off."""


class Tokenizer(Protocol):
    """What is asked of a tokenizer besides encoding and decoding, which ``ChatEncoder`` does."""

    @property
    def pad_token_id(self) -> int:
        """The token that rows are padded with on the left; it is masked, whatever it is."""
