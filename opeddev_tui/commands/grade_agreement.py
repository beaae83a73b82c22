"""The table of a grader's agreement with people's grades, with intervals, beside two answers that need no grader."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from opeddev_tui.commands.printing import plain_table
from opeddev_tui.format import number, with_interval
from opeddev_tui.grading.scores import MISSING, Predictions, Reference, figures

if TYPE_CHECKING:
    from opeddev_tui.grading.scale import Scale

_SHOWN = (
    ("kappa", "quadratic weighted kappa"),
    ("exact", "exactly right"),
    ("within_one", "at most one off"),
    ("mae", "mean distance"),
)


def agreement_table(right: Sequence[int], given: Sequence[int], scale: "Scale") -> Table:
    """Return the table for grades ``given`` and people's ``right`` ones, places on ``scale``, −1 without a grade."""
    reference = Reference(np.array(right, dtype=np.int64), scale.size)
    commonest = int(np.bincount(reference.grades, minlength=scale.size).argmax())
    found = figures(Predictions(np.where(np.array(given) < 0, MISSING, given).astype(np.int64)), reference)
    others = [
        figures(Predictions(np.full(len(right), place, dtype=np.int64)), reference)
        for place in (commonest, scale.middle)
    ]
    names = ("the grader", f"always {scale.labels[commonest]}", f"always {scale.labels[scale.middle]}")
    table = plain_table("", *names, title=f"Agreement with people on {len(right)} (with 95% intervals)", gap=2)
    for name, words in _SHOWN:
        told = with_interval(found[name].value, (found[name].low, found[name].high))
        table.add_row(words, told, *(number(item[name].value, 2) for item in others))
    return table
