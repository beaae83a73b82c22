"""Draw whether a grader's confidence can be trusted: the share of right grades over the confidence in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from opeddev_tui.reports.figures import BLUE, drawing, new_figure
from opeddev_tui.reports.races import Bin
from opeddev_tui.text import clean_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def calibration_figure(bins: Sequence[Bin], words: str, rows: int) -> Figure:
    """Return the reliability plot of the way called ``words`` on ``rows`` hold-out rows, with 95% intervals."""
    with drawing():
        figure = new_figure(4.2, width=4.6)
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color="#777777", linestyle="--", linewidth=1, label="as sure as right")
        right = [item.right.value or 0.0 for item in bins]
        low = [max(0.0, value - (item.right.low or 0.0)) for value, item in zip(right, bins, strict=True)]
        high = [
            max(0.0, (item.right.high if item.right.high is not None else 1.0) - value)
            for value, item in zip(right, bins, strict=True)
        ]
        sure = [item.confidence for item in bins]
        sizes = sorted({item.rows for item in bins})
        each = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
        label = f"share right of {each} rows, 95% interval"
        axes.errorbar(sure, right, yerr=[low, high], color=BLUE, marker="o", linestyle="none", label=label)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_aspect("equal")
        axes.set_xlabel("mean confidence in the grade given")
        axes.set_ylabel("share of grades exactly right")
        axes.set_title(f"{clean_line(words, max_chars=50)}, {rows} hold-out rows".capitalize(), pad=8)
        axes.legend(loc="upper left")
    return figure
