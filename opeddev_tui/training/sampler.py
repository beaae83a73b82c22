"""Order the rows of an epoch: every row once, rows of similar length together, the same order on every resume.

Several ranks share one order: an optimizer step holds the rows that it would hold with one.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch.utils.data import Sampler

from opeddev_tui.ranks.dealing import evenly

# rows are sorted by length within so many optimizer steps: enough for similar lengths, few enough to stay shuffled
_SORTED_STEPS = 16


class SimilarLengthSampler(Sampler[int]):
    """Yields every row once per epoch; the rows of an optimizer step have similar lengths, so little is padded.

    ``group`` is the number of rows per optimizer step. The order depends on the seed and the epoch alone, never on the
    global random state, and an optimizer step has the same rows however it is split into batches and accumulation.
    """

    def __init__(self, lengths: Sequence[int], group: int, seed: int, epoch: Callable[[], int]) -> None:
        self._lengths = lengths
        self._group = group
        self._seed = seed
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + self._epoch())
        order = torch.randperm(len(self._lengths), generator=generator).tolist()
        groups: list[list[int]] = []
        span = self._group * _SORTED_STEPS
        for start in range(0, len(order), span):
            part = sorted(order[start : start + span], key=lambda row: (self._lengths[row], row), reverse=True)
            groups += [part[at : at + self._group] for at in range(0, len(part), self._group)]
        # a group that is not full must stay last, or every group after it would be split over two optimizer steps
        rest = [groups.pop()] if groups and len(groups[-1]) < self._group else []
        shuffled = [groups[at] for at in torch.randperm(len(groups), generator=generator).tolist()]
        return iter([row for group in [*shuffled, *rest] for row in group])


class RankBatches(Sampler[list[int]]):
    """Yields the batches of one rank: its share of each optimizer step of ``order``, whose group is ``group`` rows.

    The ranks take batches of ``batch`` rows in turn. The last step of an epoch is dealt evenly; a rank for which no row
    is left gets the row ``blank``, so that all ranks make the same exchanges.
    """

    def __init__(
        self, order: SimilarLengthSampler, *, group: int, batch: int, world: int, rank: int, blank: int
    ) -> None:
        self._order = order
        self._group = group
        self._batch = batch
        self._world = world
        self._rank = rank
        self._blank = blank

    def __len__(self) -> int:
        full, rest = divmod(len(self._order), self._group)
        at_once = self._batch * self._world
        return full * (self._group // at_once) + -(-rest // at_once)

    def __iter__(self) -> Iterator[list[int]]:
        rows = list(self._order)
        for start in range(0, len(rows), self._group):
            for ranks in evenly(rows[start : start + self._group], self._batch, self._world):
                yield ranks[self._rank] or [self._blank]
