"""Figures of runs for print: loss over epochs, hold-out loss and grades over the size of the training set.

Colours are those of Okabe and Ito (2008) and every series has its own marker, so that prints in grey can be read. Text
from outside is never read as TeX (``parse_math`` is off).
"""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from opeddev_tui.analysis.forecast import CONFIDENCE, Forecast
from opeddev_tui.analysis.learning_curve import StepPoint, loss_interval
from opeddev_tui.format import share
from opeddev_tui.intervals import wilson
from opeddev_tui.runs.cheap_ways import cheap_ways
from opeddev_tui.runs.state import RunState
from opeddev_tui.text import clean_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, VERMILLION, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#E69F00", "#009E73", "#CC79A7"
SKY = "#56B4E9"
# as on the screen: the train loss is blue, the hold-out loss orange
TRAIN, HOLDOUT = BLUE, VERMILLION
# the cheap ways with a share of exact grades; older journals have a text classifier
_CHEAP = (
    ("the commonest grade", ORANGE, "v", "--"),
    ("the n-gram grader", GREEN, "^", "-."),
    ("a text classifier", PURPLE, "D", ":"),
)
_MOST_POINTS = 1500
_WIDTH = 6.3  # inches: the text width of an A4 page
# Any: matplotlib types every key of its own settings
_STYLE: Any = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#d9d9d9",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.fontsize": 8,
    "legend.framealpha": 0.9,
    "lines.linewidth": 1.5,
    "lines.markersize": 5.5,
    "errorbar.capsize": 3,
    "text.parse_math": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "opeddev-tui",
    "path.simplify": True,
}


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """Use the style of this module inside the block."""
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        yield


def new_figure(height: float, width: float = _WIDTH) -> Figure:
    """Return an empty figure of this size in inches, on a canvas that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


# --- loss over epochs


def loss_figure(state: RunState) -> Figure:
    """Return train and hold-out loss over the epochs of one step, with its best epoch and decisions."""
    with drawing():
        figure = new_figure(3.9)
        axes = figure.add_subplot()
        _train(axes, state)
        _holdout(axes, state)
        _best(axes, state)
        _decisions(axes, state)
        last = max(state.epochs, default=0)
        axes.set_xticks(range(last + 1))
        axes.set_xlim(-0.15, last + 0.25)
        axes.set_xlabel("epoch (0: before the step)")
        axes.set_ylabel("loss (nats per token)")
        axes.set_title(
            f"Step {state.begun.step}: {clean_line(state.begun.batch, max_chars=40)}, {state.begun.rows} rows", pad=18
        )
        _legend(axes, below=-0.17, first="hold-out")
    return figure


def _legend(axes: Axes, *, below: float, first: str | tuple[str, ...]) -> None:
    """Put the legend under the axes, where it covers nothing; labels that begin with ``first`` come first."""
    entries = zip(*axes.get_legend_handles_labels(), strict=True)
    handles, labels = zip(*sorted(entries, key=lambda entry: not entry[1].startswith(first)), strict=True)
    axes.legend(
        handles, labels, loc="upper center", bbox_to_anchor=(0.5, below), ncols=3, borderaxespad=0, frameon=False
    )


def _train(axes: Axes, state: RunState) -> None:
    curves = state.curves
    every = max(1, len(curves.loss) // _MOST_POINTS)
    axes.plot(
        curves.epoch[::every], curves.loss[::every], color=SKY, alpha=0.55, linewidth=0.8,
        label="train, as logged", zorder=1,
    )  # fmt: skip
    means = [(epoch, row.train_loss) for epoch, row in sorted(state.epochs.items()) if row.train_loss is not None]
    if means:
        axes.plot(*zip(*means, strict=True), color=TRAIN, marker="s", linestyle="--", label="train, epoch mean")


def _holdout(axes: Axes, state: RunState) -> None:
    epochs = sorted(epoch for epoch in state.epochs if epoch in state.holdout)
    losses = [state.holdout[epoch].loss for epoch in epochs]
    if epochs:
        intervals = [loss_interval(state.holdout[epoch]) for epoch in epochs]
        axes.errorbar(
            epochs, losses, yerr=_bars(losses, intervals), color=HOLDOUT, marker="o", label="hold-out, 95% interval"
        )


def _bars(values: Sequence[float], intervals: Sequence[tuple[float, float]]) -> list[list[float]]:
    """Return the lengths of error bars: shape [2 (down, up), values]."""
    down = [max(0.0, value - low) for value, (low, _) in zip(values, intervals, strict=True)]
    up = [max(0.0, high - value) for value, (_, high) in zip(values, intervals, strict=True)]
    return [down, up]


def _best(axes: Axes, state: RunState) -> None:
    best = state.best_epoch()
    if best is None:
        return
    loss = state.epochs[best].val_loss
    axes.plot(
        best, loss, color=GREEN, marker="*", markersize=13, markeredgecolor="black", markeredgewidth=0.6,
        linestyle="none", label=f"best: epoch {best}, {loss:.3f}", zorder=5,
    )  # fmt: skip


def _decisions(axes: Axes, state: RunState) -> None:
    """Mark decisions above the frame, where no curve can cover them."""
    kinds = (("continue", ">", "white", "decision: continue"), ("stop", "s", "black", "decision: stop"))
    for choice, marker, face, label in kinds:
        epochs = [item.epoch for item in state.decisions if item.choice == choice]
        if epochs:
            _row_above(axes, epochs, marker=marker, markerfacecolor=face, markeredgecolor="black", label=label)
    against = [item.epoch for item in state.decisions if item.choice != item.verdict.choice]
    if against:
        _row_above(
            axes, against, marker="o", markersize=11, markerfacecolor="none", markeredgecolor=PURPLE,
            label="against the verdict",
        )  # fmt: skip


def _row_above(axes: Axes, epochs: Sequence[int], **look: Any) -> None:
    look = {"markersize": 6, "linestyle": "none", "clip_on": False, **look}
    axes.plot(epochs, [1.05] * len(epochs), transform=axes.get_xaxis_transform(), **look)


# --- hold-out over data-set size


def size_figure(series: Sequence[StepPoint], ahead: Forecast | None, note: str = "") -> Figure:
    """Return best hold-out loss, and grades if there are any, over the rows trained on; ``ahead`` adds the forecast.

    ``note`` says which steps are not in it, and what keeps the forecast from being a promise.
    """
    graded = [point for point in series if point.grades is not None]
    with drawing():
        figure = new_figure(6.6 if graded else 3.6)
        panels = figure.subplots(2 if graded else 1, 1, sharex=True, squeeze=False)[:, 0]
        _losses_over_size(panels[0], series, ahead)
        if graded:
            _grades_over_size(panels[1], graded)
        sizes = [point.rows for point in series] + ([ahead.rows] if ahead else [])
        panels[-1].set_xticks(sorted(set(sizes)))
        panels[-1].set_xlabel("cumulative training set (rows)")
        panels[0].margins(x=0.1)
        if note:
            panels[0].set_title(f"Best hold-out loss of each step\n{textwrap.fill(note, 100)}", fontsize=8)
        for panel in panels:
            panel.tick_params(labelbottom=True)
            _legend(panel, below=-0.22 if panel is panels[-1] else -0.14, first=("best", "model"))
    return figure


def _losses_over_size(axes: Axes, series: Sequence[StepPoint], ahead: Forecast | None) -> None:
    rows, losses = [point.rows for point in series], [point.loss for point in series]
    bars = _bars(losses, [point.interval for point in series])
    axes.errorbar(rows, losses, yerr=bars, color=HOLDOUT, marker="o", label="best epoch, 95% interval", zorder=3)
    for point in series:
        axes.annotate(
            f"{point.loss:.3f}\nepoch {point.epoch}", (point.rows, point.loss), (7, 5), textcoords="offset points",
            fontsize=7.5,
        )  # fmt: skip
    if ahead is not None:
        _ahead(axes, min(rows), ahead)
    axes.set_ylabel("hold-out loss\n(nats per token)")
    axes.set_title("Best hold-out loss of each step")


def _ahead(axes: Axes, first: int, ahead: Forecast) -> None:
    count = 40
    grid = [first + (ahead.rows - first) * i / (count - 1) for i in range(count)]
    line = [ahead.scale * size**ahead.exponent for size in grid]
    axes.plot(grid, line, color="black", linestyle=":", linewidth=1, label=f"power law, exponent {ahead.exponent:.2f}")
    axes.errorbar(
        [ahead.rows], [ahead.loss], yerr=_bars([ahead.loss], [ahead.interval]), color=PURPLE, marker="D",
        markerfacecolor="white", linestyle="none", label=f"forecast, {share(CONFIDENCE)} interval", zorder=4,
    )  # fmt: skip
    axes.annotate(f"{ahead.loss:.3f}", (ahead.rows, ahead.loss), (7, 5), textcoords="offset points", fontsize=7.5)


def _grades_over_size(axes: Axes, series: Sequence[StepPoint]) -> None:
    rows = [point.rows for point in series]
    measured = [point.grades for point in series if point.grades is not None]
    exact = [100 * item.exact for item in measured]
    intervals = [wilson(item.exact * len(item.reference), len(item.reference)) for item in measured]
    shares = [(100 * low, 100 * high) for low, high in intervals]
    axes.errorbar(rows, exact, yerr=_bars(exact, shares), color=BLUE, marker="o", label="model, 95% interval", zorder=3)
    for words, color, marker, line in _CHEAP:
        known = [
            (count, 100 * share)
            for count, item in zip(rows, measured, strict=True)
            for way in cheap_ways(item)
            if way.words == words and (share := way.figures["exact"].value) is not None
        ]
        if known:
            axes.plot(*zip(*known, strict=True), color=color, marker=marker, linestyle=line, label=words)
    axes.set_ylim(0, 100)
    axes.set_ylabel("exactly the right grade\n(% of hold-out rows)")
    axes.set_title("Grades of the hold-out, beside cheap ways")
