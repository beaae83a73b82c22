"""Rank graded rows by how much the head, fitted without them, disputes their grade.

A dispute is a question to the person, not an error: with 10% of wrong grades about half of the most disputed rows are
wrong.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from opeddev_tui.grading.ordinal import Grades
from opeddev_tui.grading.scale import Positions


class Dispute(Struct, frozen=True):
    """One row: its place, the grade it has and the one the model would give, as positions.

    ``surprise`` is −log p of the grade it has, out of fold; ``chance`` that p.
    """

    row: int
    given: int
    proposed: int
    surprise: float
    chance: float


def disputes(out_of_fold: Grades, grades: Positions, settled: Sequence[int] = ()) -> list[Dispute]:
    """Return the rows from most to least disputed, without those ``settled`` by a person already."""
    chances = out_of_fold.probabilities[np.arange(len(grades)), grades]
    surprise = -np.log(np.maximum(chances, 1e-9))
    done = set(settled)
    return [
        Dispute(int(row), int(grades[row]), int(out_of_fold.median[row]), float(surprise[row]), float(chances[row]))
        for row in np.argsort(-surprise, kind="stable")
        if int(row) not in done
    ]
