"""Divide training rows into folds, so that settings are compared without the hold-out.

Copies, near copies and rows of one group stay in one fold: a row whose copy was trained on measures nothing.
"""

import random
from collections import defaultdict
from collections.abc import Sequence

from opeddev_tui.data.leakage import alike
from opeddev_tui.data.rows import Example
from opeddev_tui.errors import DataProblem


def folds_of(examples: Sequence[Example], folds: int, seed: int, near_duplicate: float) -> list[int]:
    """Return the fold of each row, from 0; equal seeds give equal folds.

    Raises ``DataProblem`` where the rows make fewer than ``folds`` independent parts.
    """
    parts = _parts(examples, near_duplicate)
    if len(parts) < folds:
        raise DataProblem(
            f"the training rows make {len(parts)} parts without common copies and groups, too few for {folds} folds.",
            cure="Take fewer folds (--folds 2), or add rows.",
        )
    random.Random(seed).shuffle(parts)
    # the largest first, each into the smallest fold: folds of about the same size
    parts.sort(key=len, reverse=True)
    sizes, found = [0] * folds, [0] * len(examples)
    for part in parts:
        fold = sizes.index(min(sizes))
        sizes[fold] += len(part)
        for row in part:
            found[row] = fold
    return found


def _parts(examples: Sequence[Example], near_duplicate: float) -> list[list[int]]:
    """Return the rows that must stay together, in the order of the rows."""
    leader = list(range(len(examples)))

    def find(row: int) -> int:
        while leader[row] != row:
            leader[row] = leader[leader[row]]
            row = leader[row]
        return row

    for one, two in alike(examples, near_duplicate):
        first, second = sorted((find(one), find(two)))
        leader[second] = first
    together: dict[int, list[int]] = defaultdict(list)
    for row in range(len(examples)):
        together[find(row)].append(row)
    return list(together.values())
