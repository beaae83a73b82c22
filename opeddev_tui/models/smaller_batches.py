"""Run work on a model in batches that fit into memory, half the rows after each out-of-memory; give memory back.

Must not be used where a batch's size changes the result: training plans its own smaller batches.
"""

import gc
from collections.abc import Callable
from typing import TypeVar

import torch

from opeddev_tui.errors import ran_out_of_memory

Found = TypeVar("Found")


def give_back_memory() -> None:
    """Free what nothing uses any more, and on a GPU what torch keeps for later.

    A model under autocast in a Trainer holds itself: its forward pass is replaced by a method bound to it. Without a
    collection its weights, gradients and the optimizer's state would lie beside those of the next attempt.
    """
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def in_batches_that_fit(work: Callable[[int], Found], rows: int) -> Found:
    """Return ``work(rows per batch)``, begun anew with half as many after each out-of-memory.

    Raises what ``work`` raises, out-of-memory only for batches of one row.
    """
    while True:
        try:
            return work(rows)
        except (RuntimeError, MemoryError) as error:
            if rows <= 1 or not ran_out_of_memory(error):
                raise
        # outside the handler, which keeps the failed work's frames alive
        rows //= 2
        give_back_memory()
