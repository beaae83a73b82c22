"""Order the rows of an epoch: every row once, rows of similar length together, the same order on every resume."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch.utils.data import Sampler

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
