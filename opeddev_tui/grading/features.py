"""Read rows with a model: features, and from the same pass completion losses and grade-token probabilities.

The features of a row are, for each of five depths, the maximum of the hidden states over the submission's tokens.
Precision (autocast) and the random state are the caller's. Loads torch when a model is read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opeddev_tui.errors import ModelProblem
from opeddev_tui.grading.feature_cache import FeatureCache
from opeddev_tui.grading.forward_pass import BatchReader, Readings, layers_of
from opeddev_tui.grading.grade_tokens import GradeTokens
from opeddev_tui.grading.spans import GradeRow
from opeddev_tui.models.reading_batches import OnBatch, evaluating, longest_first

__all__ = ["Readings", "adapters_off", "base_features", "layers_of", "read_rows"]

Floats = NDArray[np.float32]
# rows between two files of the cache: what an interrupted extraction loses at most
_SAVED_TOGETHER = 64


@contextlib.contextmanager
def adapters_off(model: Any) -> Iterator[None]:
    """Run the block on the base weights where ``model`` has LoRA adapters; nothing for any other model."""
    switch = getattr(model, "disable_adapter", None)
    with switch() if callable(switch) else contextlib.nullcontext():
        yield


def read_rows(
    model: Any,
    rows: Sequence[GradeRow],
    *,
    pad_id: int,
    batch_size: int,
    loss: bool = False,
    grade_tokens: GradeTokens | None = None,
    on_batch: OnBatch | None = None,
) -> Readings:
    """Return features of ``rows``, and from the same pass losses and grade-token probabilities where asked for.

    Rows of similar length go together. Without ``loss`` and ``grade_tokens`` the pass ends at the
    deepest layer that is read. ``on_batch(done, total)`` is told after each batch.
    """
    reader = BatchReader(model, pad_id, loss=loss, grade_tokens=grade_tokens)
    states: list[Floats | None] = [None] * len(rows)
    sums, tokens = [0.0] * len(rows), [0] * len(rows)
    grades: dict[int, NDArray[np.float64]] = {}
    with evaluating(model):
        for chosen in longest_first([row.length for row in rows], batch_size, on_batch):
            batch = reader.read([rows[index] for index in chosen])
            for place, index in enumerate(chosen):
                states[index] = batch.states[place]
                if loss:
                    sums[index], tokens[index] = batch.sums[place], batch.tokens[place]
                if batch.grade_probabilities is not None:
                    grades[index] = batch.grade_probabilities[place]
    return Readings(
        _finite([state for state in states if state is not None]),
        sums if loss else [],
        tokens if loss else [],
        np.stack([grades[index] for index in range(len(rows))]) if grades else None,
    )


def base_features(
    model: Any,
    rows: Sequence[GradeRow],
    *,
    pad_id: int,
    batch_size: int,
    cache: FeatureCache,
    on_batch: OnBatch | None = None,
) -> Floats:
    """Return the features [n, layers · width] of ``rows`` on the base model, reading only those not yet in ``cache``.

    Adapters are switched off. The caller vouches that the weights are those that the cache names. ``on_batch(done,
    total)`` counts the rows that are read, and is never called where all are known.
    """
    keys = [row.key for row in rows]
    known = cache.load(keys)
    missing = list({key: row for key, row in zip(keys, rows, strict=True) if key not in known}.items())
    for start in range(0, len(missing), _SAVED_TOGETHER):
        part = missing[start : start + _SAVED_TOGETHER]
        with adapters_off(model):
            found = read_rows(
                *(model, [row for _, row in part]),
                pad_id=pad_id,
                batch_size=batch_size,
                on_batch=_counted_on(on_batch, start, len(missing)),
            ).states
        new = {key: found[place] for place, (key, _) in enumerate(part)}
        cache.add(new)
        known.update(new)
    return np.stack([known[key] for key in keys]) if keys else np.zeros((0, 0), np.float32)


def _counted_on(on_batch: OnBatch | None, before: int, total: int) -> OnBatch:
    def told(done: int, _part: int) -> None:
        if on_batch is not None:
            on_batch(before + done, total)

    return told


def _finite(states: Sequence[Floats]) -> Floats:
    found = np.stack(states) if states else np.zeros((0, 0), np.float32)
    if not np.isfinite(found).all():
        raise ModelProblem(
            "the model's hidden states are not finite, so no grade can be read from them.",
            where="model.precision",
            cure="Set model.precision to bf16 or fp32; if that does not help, the weights are broken.",
        )
    return found
