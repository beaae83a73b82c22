"""Hold encoded rows and make padded batches of them.

The loss mask goes by position, never by comparing ids with the padding id. Where the model allows, rows are padded on
the left: completions then end in the same column, and the output layer runs on the last columns only.
"""

import hashlib
from array import array
from collections.abc import Sequence
from typing import Any

import torch
from msgspec import Struct
from torch.nn.functional import cross_entropy

IGNORED = -100


# the ids with which each grade of a scale goes on, the lowest grade first; none is the beginning of another
Tails = tuple[tuple[int, ...], ...]


class GradePlace(Struct, frozen=True):
    """Where a completion writes its grade: at token number ``start``, as ``tails[target]``."""

    start: int
    target: int
    tails: Tails

    @property
    def length(self) -> int:
        """How many tokens write the grade."""
        return len(self.tails[self.target])


class TokenRow(Struct, frozen=True):
    """One example as token ids; ``row`` is its index in the step, ``weight`` multiplies its loss in training.

    ``grade`` is set only where a loss of its own is trained for the grade.
    """

    row: int
    prompt: list[int]
    completion: list[int]
    weight: float = 1.0
    grade: GradePlace | None = None

    @property
    def length(self) -> int:
        """Number of tokens together."""
        return len(self.prompt) + len(self.completion)


class CutPrompt(Struct, frozen=True):
    """A prompt that lost its middle: its place, its tokens before, and how many are kept.

    ``by_completion``: fewer than of other rows, because the completion is longer than what is kept free for it.
    """

    where: str
    tokens: int
    kept: int
    by_completion: bool = False


class EncodedRows(Struct):
    """The rows that fit, where the others are, and what a person should know of the rows.

    ``unweighted`` names rows of weight 0. ``in_prompts`` and ``in_completions`` count the rows that spell guarded
    markers, by marker. ``thoughts`` counts completions that begin with a thought though thinking is off, ``unopened``
    those without one though the template's prompt begins a thought.
    """

    rows: list[TokenRow]
    dropped: list[str]
    cuts: list[CutPrompt]
    unweighted: list[str]
    in_prompts: dict[str, int]
    in_completions: dict[str, int]
    thoughts: int = 0
    unopened: int = 0

    @property
    def shortened(self) -> int:
        """How many prompts lost their middle."""
        return len(self.cuts)

    @property
    def digest(self) -> str:
        """SHA-256 over the ids, the weights and the places of grades of all rows, in order."""
        found = hashlib.sha256()
        for row in self.rows:
            found.update(f"{row.row} {len(row.prompt)} {len(row.completion)} {row.weight}\n".encode())
            found.update(array("q", row.prompt + row.completion).tobytes())
            if row.grade is not None:
                found.update(f"{row.grade.start} {row.grade.target} {row.grade.tails}\n".encode())
        return found.hexdigest()


def without_middle(ids: list[int], length: int) -> list[int]:
    """Return ``length`` ids: the beginning (roles, task) and the end (rest, begin of the answer) of ``ids``."""
    head = length // 2
    return ids[:head] + ids[len(ids) - (length - head) :]


class BatchForm(Struct, frozen=True):
    """How a model takes a padded batch: padding on the ``left``, with ``positions``, the head on the last columns."""

    left: bool = True
    positions: bool = True
    kept_head: bool = True


class LeftPadCollator:
    """Rows to one batch: ``input_ids``, ``attention_mask``, ``position_ids`` of shape [batch, length].

    ``labels`` has shape [batch, kept]: only the last ``kept`` columns, those from the token before the first
    completion on; ``logits_to_keep`` tells the model to run its head on these alone. The loss and its gradients
    are those of the full computation. Without ``completion_only`` labels cover all columns. ``form`` says what the
    model takes of this. With a row whose weight is not 1, ``weights`` of shape [batch] are there too; with a row whose
    grade has a place, ``grades``: per row the column of ``labels`` and the place, or None.
    """

    def __init__(
        self,
        pad_id: int,
        *,
        completion_only: bool = True,
        with_rows: bool = False,
        form: BatchForm = BatchForm(),  # noqa: B008 - immutable
    ) -> None:
        self._pad_id = pad_id
        self._form = form
        self._completion_only = completion_only and form.left and form.kept_head
        self._with_rows = with_rows

    def __call__(self, rows: Sequence[TokenRow]) -> dict[str, Any]:
        """Return the batch of ``rows``."""
        length = max(row.length for row in rows)
        input_ids = torch.full((len(rows), length), self._pad_id, dtype=torch.long)
        labels = torch.full((len(rows), length), IGNORED, dtype=torch.long)
        mask = torch.zeros((len(rows), length), dtype=torch.long)
        for index, row in enumerate(rows):
            end = length if self._form.left else row.length
            input_ids[index, end - row.length : end] = torch.tensor(row.prompt + row.completion)
            labels[index, end - len(row.completion) : end] = torch.tensor(row.completion)
            mask[index, end - row.length : end] = 1
        batch: dict[str, Any] = {"input_ids": input_ids, "attention_mask": mask}
        if self._form.positions:
            batch["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)
        batch["labels"] = labels
        if self._completion_only:
            # one column more than the longest completion: the token before it predicts its first token
            kept = min(length, max(len(row.completion) for row in rows) + 1)
            batch["labels"] = labels[:, length - kept :]
            batch["logits_to_keep"] = kept
        if any(row.weight != 1.0 for row in rows):
            batch["weights"] = torch.tensor([row.weight for row in rows])
        if any(row.grade is not None for row in rows):
            first = length - batch["labels"].shape[1]
            batch["grades"] = [self._placed(row, length, first) for row in rows]
        if self._with_rows:
            batch["rows"] = [row.row for row in rows]
        return batch

    def _placed(self, row: TokenRow, length: int, first: int) -> tuple[int, GradePlace] | None:
        if row.grade is None:
            return None
        end = length if self._form.left else row.length
        return end - len(row.completion) + row.grade.start - first, row.grade


def token_losses(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (losses, targets), both [rows, columns - 1]: cross-entropy in nats of every token from those before it.

    ``logits`` are [rows, columns, vocabulary], ``labels`` [rows, columns]; what is no completion has a loss of 0.
    """
    targets = labels[:, 1:]
    shifted = logits[:, :-1].float().transpose(1, 2)
    return cross_entropy(shifted, targets, ignore_index=IGNORED, reduction="none"), targets


def summed_losses(logits: torch.Tensor, labels: torch.Tensor) -> tuple[list[float], list[int]]:
    """Return (summed loss in nats, number of completion tokens) of each row; see ``token_losses``."""
    losses, targets = token_losses(logits, labels)
    return losses.double().sum(1).tolist(), (targets != IGNORED).sum(1).tolist()


def weighted_loss(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor, tokens: Any) -> torch.Tensor:
    """Return the sum of token losses, each times its row's weight, over the number of completion tokens.

    ``logits`` are [batch, length, vocabulary], ``labels`` [batch, length], ``weights`` [batch]; ``tokens`` is the
    number of completion tokens of all batches of an optimizer step, None for those of this one. With weights of 1 it
    is the model's own loss.
    """
    losses, targets = token_losses(logits, labels)
    return (losses.sum(1) * weights.to(losses)).sum() / (
        (targets != IGNORED).sum().clamp(min=1) if tokens is None else tokens
    )
