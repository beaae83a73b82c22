"""Say of which rows the next batches of all ranks are, by one exchange per optimizer step.

Every rank must call it for every optimizer step, with the same number of batches.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

# the number of a row that is no row: it fills the batch of a rank for which none is left
BLANK = -1
# a place in a batch without a row
_NONE = -2


def of_all_ranks(
    samples: Sequence[Mapping[str, Any]], arguments: Any, accelerator: Any
) -> tuple[list[tuple[list[int], float]], int]:
    """Return (rows, tokens) of each batch of ``samples``, of all ranks together, and how many rows have a grade.

    ``arguments`` are the Trainer's; rows of the ranks follow each other as in the order of the epoch.
    """
    width, world = arguments.train_batch_size, arguments.world_size
    table = torch.full((len(samples), width + 2), _NONE, dtype=torch.int64)
    for number, batch in enumerate(samples):
        rows, real = batch["rows"], [row != BLANK for row in batch["rows"]]
        table[number, : len(rows)] = torch.tensor(rows)
        table[number, width] = int(batch["attention_mask"].sum(1)[torch.tensor(real)].sum())
        table[number, width + 1] = sum(grade is not None for grade in batch.get("grades", ()))
    if world > 1:
        table = accelerator.gather(table.to(arguments.device)).cpu()
    ranks = table.view(world, len(samples), width + 2)
    counted = []
    for number in range(len(samples)):
        rows = [row for row in ranks[:, number, :width].flatten().tolist() if row >= 0]
        counted.append((rows, float(ranks[:, number, width].sum())))
    return counted, int(ranks[:, :, width + 1].sum())
