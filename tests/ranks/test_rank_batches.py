"""Rows are dealt to any number of ranks: each once, in the order of one rank, with the same number of batches."""

import pytest

from opeddev_tui.training.sampler import RankBatches, SimilarLengthSampler

BLANK = -7


@pytest.mark.parametrize("world", range(1, 9))
def test_any_number_of_rows_is_dealt_once_and_evenly(world: int) -> None:
    for rows in range(1, 104):
        batch, accumulation = 1 + rows % 4, 1 + rows % 3
        group = batch * accumulation * world
        order = SimilarLengthSampler([5 + row % 11 for row in range(rows)], group, 3, lambda: 1)
        ranks = [
            list(RankBatches(order, group=group, batch=batch, world=world, rank=rank, blank=BLANK))
            for rank in range(world)
        ]
        counts = {len(batches) for batches in ranks}
        assert len(counts) == 1
        assert all(1 <= len(one) <= batch for batches in ranks for one in batches)
        together = [row for at in range(counts.pop()) for batches in ranks for row in batches[at]]
        assert [row for row in together if row != BLANK] == list(order)
        assert sorted(order) == list(range(rows))
