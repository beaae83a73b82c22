"""The table of a grader's agreement with people's grades, with intervals, beside two answers that need no grader."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table
from rich.text import Text

from opeddev_tui.format import number
from opeddev_tui.grading.scores import MISSING, Predictions, Reference, figures

if TYPE_CHECKING:
    from opeddev_tui.grading.intervals import Estimate
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
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.title = Text(f"Agreement with people on {len(right)} (with 95% intervals)")
    table.title_justify = "left"
    for name in ("", "the grader", f"always {scale.labels[commonest]}", f"always {scale.labels[scale.middle]}"):
        table.add_column(name)
    for name, words in _SHOWN:
        table.add_row(words, _with_interval(found[name]), *(number(item[name].value, 2) for item in others))
    return table


def _with_interval(estimate: "Estimate") -> str:
    return f"{number(estimate.value, 2)} ({number(estimate.low, 2)} to {number(estimate.high, 2)})"
