"""Contents of the loss plots: their series, their legends, and the values at one x. Pure: no widget.

There are two plots: the losses of a step by epoch (or optimizer step), and the hold-out loss of all steps by size of
the data set. Losses are in nats per token.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from rich.text import Text

from opeddev_tui.format import number
from opeddev_tui.runs.state import RunState
from opeddev_tui.ui.plots.canvas import Series
from opeddev_tui.ui.plots.downsample import column, newest_smoothed, smooth
from opeddev_tui.ui.plots.legends import pale
from opeddev_tui.ui.plots.look import Look, Palette
from opeddev_tui.ui.plots.values import of_line, of_nearest

if TYPE_CHECKING:
    from opeddev_tui.analysis.outlook import Outlook
    from opeddev_tui.ui.plots.downsample import Column


class SizePoint(Struct, frozen=True):
    """The best and the last hold-out loss of one step, and the rows it was trained on."""

    step: int
    rows: int
    best: float
    best_epoch: int
    last: float
    last_epoch: int


def train_columns(state: RunState, by_step: bool) -> tuple[Column, Column]:
    """Return x and train loss of all logged points."""
    return column(state.curves.global_step if by_step else state.curves.epoch), column(state.curves.loss)


def holdout_losses(state: RunState) -> dict[int, float]:
    """Return the hold-out loss by epoch, epoch 0 (before the step) included."""
    losses = {epoch: row.val_loss for epoch, row in state.epochs.items()}
    losses.update((epoch, measured.loss) for epoch, measured in state.holdout.items())
    return dict(sorted(losses.items()))


def holdout_points(state: RunState, by_step: bool) -> tuple[list[float], list[float]]:
    """Return x and hold-out loss of all evaluations."""
    losses = holdout_losses(state)
    if not by_step:
        return [float(epoch) for epoch in losses], list(losses.values())
    steps = {epoch: step for epoch in losses if (step := step_of(state, epoch, True)) is not None}
    return list(steps.values()), [losses[epoch] for epoch in steps]


def step_of(state: RunState, epoch: int, by_step: bool) -> float | None:
    """Return the place of an epoch's end on the x axis, None where its optimizer step is not known yet."""
    if epoch == 0 or not by_step:
        return float(epoch)
    if epoch in state.epochs:
        return float(state.epochs[epoch].global_step)
    return float(state.data.steps_per_epoch * epoch) if state.data is not None else None


def extent(state: RunState, by_step: bool) -> tuple[float, float]:
    """Return the range of the x axis: all planned epochs, so that the empty part shows what is still to come."""
    planned = float(state.started.planned_epochs) if state.started is not None else 1.0
    if by_step:
        planned = planned * state.data.steps_per_epoch if state.data is not None else 1.0
    reached = state.curves.global_step if by_step else state.curves.epoch
    xs, _ = holdout_points(state, by_step)
    return 0.0, max([planned, *xs[-1:], *reached[-1:]]) or 1.0


def step_number(state: RunState) -> int:
    """Return the number of the run's step, 0 where it has not begun."""
    return state.started.step if state.started is not None else 0


def loss_series(state: RunState, previous: Sequence[RunState], look: Look, palette: Palette) -> list[Series]:
    """Return the series of the losses by epoch, those in the background first."""
    series = []
    for earlier in previous:
        xs, ys = holdout_points(earlier, look.by_step)
        step = step_number(earlier)
        series.append(Series(f"step {step}", xs, ys, palette.previous, marker=str(step % 10)))
    if len(state.curves.loss):
        xs_train, losses = train_columns(state, look.by_step)
        smoothed = _is_smoothed(state, look)
        colour = palette.raw if smoothed else palette.train
        marker = "•" if len(losses) <= 2 else "braille"
        series.append(Series("train", xs_train, losses, colour, line=not smoothed, marker=marker))
        if smoothed:
            series.append(Series("smoothed", xs_train, smooth(losses, look.smoothing), palette.train))
    xs, ys = holdout_points(state, look.by_step)
    if xs:
        series.append(Series("hold-out", xs, ys, palette.holdout, marker="●"))
    return series


def _is_smoothed(state: RunState, look: Look) -> bool:
    return look.smoothing > 0 and len(state.curves.loss) > 2


def size_points(runs: Iterable[RunState]) -> list[SizePoint]:
    """Return one point per step, smallest data set first; of a step that ran again the later run counts."""
    points: dict[int, SizePoint] = {}
    for run in runs:
        trained = {epoch: loss for epoch, loss in holdout_losses(run).items() if epoch > 0 and not math.isnan(loss)}
        if run.started is None or not trained:
            continue
        best, last = min(trained, key=lambda epoch: trained[epoch]), max(trained)
        step = run.started.step
        points[step] = SizePoint(step, run.started.rows, trained[best], best, trained[last], last)
    return sorted(points.values(), key=lambda point: point.rows)


def size_series(points: Sequence[SizePoint], palette: Palette) -> list[Series]:
    """Return the series of the hold-out loss by size of the data set."""
    rows = [float(point.rows) for point in points]
    return [
        Series("last", rows, [point.last for point in points], palette.holdout, marker="○"),
        Series("best", rows, [point.best for point in points], palette.best, marker="●"),
    ]


def loss_legend(state: RunState, previous: Sequence[RunState], look: Look, palette: Palette) -> list[Text]:
    """Return the legend of ``loss_series``: mark, name and newest value of each, the most important first."""
    entries: list[Text] = []
    losses, smoothed = state.curves.loss, _is_smoothed(state, look)
    if smoothed:
        newest = newest_smoothed(losses, look.smoothing)
        entries.append(Text(f"── train {number(newest)}", palette.train))
    elif len(losses):
        entries.append(Text(f"⠒⠒ train {number(losses[-1])}", palette.train))
    measured = holdout_losses(state)
    if measured:
        epoch, loss = max(measured), measured[max(measured)]
        entries.append(Text(f"●─ hold-out {number(loss)}", palette.holdout))
        best = state.best_epoch()
        if best is not None and best != epoch:
            entries.append(Text(f"best {number(measured.get(best))} (epoch {best})", palette.holdout))
    if previous:
        steps = sorted({step_number(earlier) for earlier in previous})
        numbers = f"{steps[0]}–{steps[-1]}" if len(steps) > 1 else str(steps[0])
        entries.append(pale(f"{steps[-1] % 10}─", palette.previous, f" hold-out, step {numbers}", palette.axis))
    if smoothed:
        entries.append(pale("··", palette.raw, f" raw {number(losses[-1])}", palette.axis))
    return entries


def size_legend(points: Sequence[SizePoint], palette: Palette) -> list[Text]:
    """Return the legend of ``size_series``."""
    if not points:
        return []
    newest = points[-1]
    return [
        Text(f"●─ best {number(newest.best)}", palette.best),
        Text(f"○─ last {number(newest.last)}", palette.holdout),
        Text(f"at {newest.rows} rows (step {newest.step})", palette.axis),
    ]


def size_outlook(states: Sequence[RunState]) -> Outlook:
    """Return what is said of more rows, from the newest run of each step."""
    from opeddev_tui.analysis.outlook import outlook_of

    newest = {step_number(state): state for state in states if state.epochs}
    return outlook_of([newest[step] for step in sorted(newest)])


def size_reading(points: Sequence[SizePoint], x: float) -> str:
    """Return the values of the step whose data set is nearest to ``x`` rows."""
    if not points:
        return ""
    point = min(points, key=lambda item: abs(item.rows - x))
    return (
        f"step {point.step}, {point.rows} rows: best {number(point.best)} (epoch {point.best_epoch}), "
        f"last {number(point.last)} (epoch {point.last_epoch})"
    )


def loss_reading(state: RunState, previous: Sequence[RunState], look: Look, x: float) -> str:
    """Return the values at ``x`` of the lines that are drawn there, by their names in the legend.

    ≈ is between two evaluations; behind the last one its value is told with its epoch.
    """
    parts = [f"optimizer step {x:.0f}" if look.by_step else f"epoch {x:.2f}"]
    if len(state.curves.loss):
        xs, losses = train_columns(state, look.by_step)
        smoothed = _is_smoothed(state, look)
        line = of_line(xs, smooth(losses, look.smoothing) if smoothed else losses, x, log=look.log)
        if line is not None:
            parts.append(f"train {number(line.value)}")
        if smoothed:
            parts.append(f"raw {number(of_nearest(xs, losses, x))}")
    for run, name in ((state, "hold-out"), *((earlier, f"step {step_number(earlier)}") for earlier in previous)):
        places, values = holdout_points(run, look.by_step)
        scored = of_line(places, values, x, log=look.log)
        if scored is not None:
            parts.append(f"{name} {scored.mark}{number(scored.value)}")
        elif places and places[-1] < x:
            parts.append(f"{name} {number(values[-1])} (epoch {max(holdout_losses(run))})")
    return " · ".join(parts)


def places(state: RunState, points: Sequence[SizePoint], look: Look) -> Column:
    """Return every x that has a value, ascending: the places of the cursor."""
    import numpy as np

    if look.sizes:
        return np.array([float(point.rows) for point in points])
    xs, _ = train_columns(state, look.by_step)
    return np.unique(np.concatenate([xs[~np.isnan(xs)], column(holdout_points(state, look.by_step)[0])]))
