"""Read rows with a model in batches: without dropout, rows of similar length together. Loads no torch."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

# called after each batch with the number of rows that are done, and of all
OnBatch = Callable[[int, int], None]


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Switch dropout off inside the block, and back to what it was."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def longest_first(lengths: Sequence[int], batch_size: int, on_batch: OnBatch | None = None) -> Iterator[list[int]]:
    """Yield the places of rows with ``lengths``, the longest first, ``batch_size`` at a time."""
    order = sorted(range(len(lengths)), key=lambda place: lengths[place], reverse=True)
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]
        if on_batch is not None:
            on_batch(min(start + batch_size, len(order)), len(order))
