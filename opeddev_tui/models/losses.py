"""Per-example losses of a model on a hold-out. Takes token rows, records nothing."""

from collections.abc import Sequence
from typing import Any

import torch

from opeddev_tui.models.causal_lm import CausalLM
from opeddev_tui.models.reading_batches import OnBatch, evaluating, longest_first
from opeddev_tui.models.token_rows import LeftPadCollator, TokenRow, summed_losses


def example_losses(
    model: CausalLM,
    rows: Sequence[TokenRow],
    collate: LeftPadCollator,
    *,
    batch_size: int,
    on_batch: OnBatch | None = None,
) -> tuple[list[float], list[int]]:
    """Return (summed loss in nats, number of completion tokens) of each row, in the order of ``rows``.

    Rows of similar length go together; ``on_batch(done, total)`` is told after each batch. The caller chooses
    autocast and protects the random state.
    """
    sums, counts = [0.0] * len(rows), [0] * len(rows)
    with evaluating(model):
        for chosen in longest_first([row.length for row in rows], batch_size, on_batch):
            totals, tokens = _batch_losses(model, collate([rows[index] for index in chosen]))
            for place, index in enumerate(chosen):
                sums[index], counts[index] = totals[place], tokens[place]
    return sums, counts


@torch.no_grad()
def _batch_losses(model: CausalLM, batch: dict[str, Any]) -> tuple[list[float], list[int]]:
    device = next(model.parameters()).device
    labels = batch.pop("labels").to(device)
    batch.pop("rows", None)
    batch.pop("weights", None)
    inputs = {key: value.to(device) if torch.is_tensor(value) else value for key, value in batch.items()}
    return summed_losses(model(**inputs).logits, labels)
