"""Owns what the loss plots say: which series a run has, its legend, and the values at a place. Pure: no widget.

Two plots: losses of a step against its epochs (or optimizer steps), and the hold-out loss of all steps against
the size of the data set.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace
from rich.text import Text
from textual.color import Color, ColorParseError

from opeddev_tui.format import number
from opeddev_tui.state import RunState
from opeddev_tui.ui.plotting import Series
from opeddev_tui.ui.points import column, smooth

if TYPE_CHECKING:
    from opeddev_tui.ui.points import Column


class Look(Struct, frozen=True):
    """How the person wants to see the curves. ``window`` and ``cursor`` are in units of the x axis."""

    log: bool = False
    smoothing: float = 0.6
    by_step: bool = False
    sizes: bool = False
    window: tuple[float, float] | None = None
    cursor: float | None = None


class Palette(Struct, frozen=True):
    """Colours of the plot."""

    train: str = "#6cb6ff"
    raw: str = "#39618a"
    holdout: str = "#f0b35a"
    best: str = "#57c98a"
    previous: str = "#55606d"
    axis: str = "#8b96a3"
    cursor: str = "#f0f3f6"


_THEME_NAMES: dict[str, tuple[str, ...]] = {
    "train": ("plot-train", "primary"),
    "holdout": ("plot-holdout", "warning", "accent"),
    "best": ("plot-best", "success"),
    "previous": ("plot-previous", "secondary"),
    "axis": ("plot-axis", "text-muted", "foreground"),
    "cursor": ("plot-cursor", "foreground"),
}


def palette_of(variables: dict[str, str]) -> Palette:
    """Return the plot's colours from theme variables; what is missing or no plain colour has a fallback."""
    found = Palette()
    for field, names in _THEME_NAMES.items():
        colour = next((colour for name in names if (colour := _plain(variables.get(name, "")))), None)
        if colour is not None:
            found = replace(found, **{field: colour.hex6})
    background = _plain(variables.get("background", "")) or Color(18, 18, 18)
    return replace(found, raw=Color.parse(found.train).blend(background, 0.5).hex6)


def _plain(text: str) -> Color | None:
    """Return a colour of the theme that can be drawn with: "auto 60%" and the terminal's own cannot."""
    try:
        colour = Color.parse(text)
    except ColorParseError:
        return None
    return None if colour.ansi is not None or colour.auto else colour


class Entry(Struct, frozen=True):
    """One item of the legend: how the series is drawn, its colour, what it is now."""

    mark: str
    colour: str
    text: str


class SizePoint(Struct, frozen=True):
    """What one step reached with its data."""

    step: int
    rows: int
    best: float
    best_epoch: int
    last: float
    last_epoch: int


def signature(state: RunState) -> tuple[object, ...]:
    """Return what tells whether the curves of a run look different, without reading them."""
    curves = state.curves
    newest = (curves.global_step[-1], curves.loss[-1]) if len(curves.loss) else ()
    losses = tuple((epoch, measured.loss) for epoch, measured in state.holdout.items())
    return id(state), len(curves.loss), newest, losses, len(state.epochs), state.started, state.data


def train_columns(state: RunState, by_step: bool) -> tuple[Column, Column]:
    """Return x and train loss of every logged point."""
    return column(state.curves.global_step if by_step else state.curves.epoch), column(state.curves.loss)


def holdout_losses(state: RunState) -> dict[int, float]:
    """Return the hold-out loss by epoch, epoch 0 (before the step) included."""
    losses = {epoch: row.val_loss for epoch, row in state.epochs.items()}
    losses.update((epoch, measured.loss) for epoch, measured in state.holdout.items())
    return dict(sorted(losses.items()))


def holdout_points(state: RunState, by_step: bool) -> tuple[list[float], list[float]]:
    """Return x and hold-out loss of every evaluation."""
    losses = holdout_losses(state)
    if not by_step:
        return [float(epoch) for epoch in losses], list(losses.values())
    places = {epoch: _step_of(state, epoch) for epoch in losses}
    known = [(place, losses[epoch]) for epoch, place in places.items() if place is not None]
    return [place for place, _ in known], [loss for _, loss in known]


def _step_of(state: RunState, epoch: int) -> float | None:
    """Return the optimizer step at the end of an epoch, None where it cannot be known."""
    if epoch == 0:
        return 0.0
    if epoch in state.epochs:
        return float(state.epochs[epoch].global_step)
    return float(state.data.steps_per_epoch * epoch) if state.data is not None else None


def extent(state: RunState, by_step: bool) -> tuple[float, float]:
    """Return the range of the x axis: the whole plan, so that the empty part shows what is still to come."""
    epochs = float(state.started.planned_epochs) if state.started is not None else 1.0
    planned = epochs
    if by_step:
        planned = epochs * state.data.steps_per_epoch if state.data is not None else 1.0
    reached = state.curves.global_step if by_step else state.curves.epoch
    xs, _ = holdout_points(state, by_step)
    return 0.0, max([planned, *xs[-1:], *reached[-1:]]) or 1.0


def step_number(state: RunState) -> int:
    """Return the number of the run's step, 0 if it has not begun."""
    return state.started.step if state.started is not None else 0


def loss_series(state: RunState, previous: Sequence[RunState], look: Look, palette: Palette) -> list[Series]:
    """Return the series of the first plot, those behind first."""
    series = []
    for earlier in previous:
        xs, ys = holdout_points(earlier, look.by_step)
        step = step_number(earlier)
        series.append(Series(f"step {step}", xs, ys, palette.previous, marker=str(step % 10)))
    if len(state.curves.loss):
        xs_train, losses = train_columns(state, look.by_step)
        smoothed = look.smoothing > 0 and len(losses) > 2
        colour = palette.raw if smoothed else palette.train
        few = len(losses) <= 2
        series.append(Series("train", xs_train, losses, colour, line=not smoothed, marker="•" if few else "braille"))
        if smoothed:
            series.append(Series("smoothed", xs_train, smooth(losses, look.smoothing), palette.train))
    xs, ys = holdout_points(state, look.by_step)
    if xs:
        series.append(Series("hold-out", xs, ys, palette.holdout, marker="●"))
    return series


def size_points(runs: Iterable[RunState]) -> list[SizePoint]:
    """Return the best and the last hold-out loss of each step; a step that ran again counts once, the later time."""
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
    """Return the series of the second plot."""
    rows = [float(point.rows) for point in points]
    return [
        Series("last", rows, [point.last for point in points], palette.holdout, marker="○"),
        Series("best", rows, [point.best for point in points], palette.best, marker="●"),
    ]


def loss_legend(state: RunState, previous: Sequence[RunState], look: Look, palette: Palette) -> list[Entry]:
    """Return the legend of the first plot with the newest values, the most important first."""
    entries: list[Entry] = []
    losses = state.curves.loss
    if len(losses) and look.smoothing > 0 and len(losses) > 2:
        newest = float(smooth(losses[-2000:], look.smoothing)[-1])
        entries.append(Entry("──", palette.train, f"train {number(newest)}"))
    elif len(losses):
        entries.append(Entry("⠒⠒", palette.train, f"train {number(losses[-1])}"))
    measured = holdout_losses(state)
    if measured:
        epoch, loss = list(measured.items())[-1]
        entries.append(Entry("●─", palette.holdout, f"hold-out {number(loss)}"))
        best = state.best_epoch()
        if best is not None and best != epoch:
            entries.append(Entry("", palette.holdout, f"best {number(measured.get(best))} (epoch {best})"))
    if previous:
        steps = sorted({step_number(earlier) for earlier in previous})
        shown = f"{steps[0]}–{steps[-1]}" if len(steps) > 1 else str(steps[0])
        entries.append(Entry(f"{steps[-1] % 10}─", palette.previous, f"hold-out, step {shown}"))
    if len(losses) > 2 and look.smoothing > 0:
        entries.append(Entry("··", palette.raw, f"raw {number(losses[-1])}"))
    return entries


def legend_text(entries: Sequence[Entry], width: int) -> Text:
    """Return as many legend entries as fit, the first ones first."""
    legend = Text(no_wrap=True, end="")
    for entry in entries:
        words = f"{entry.mark} {entry.text}".strip()
        gap = "  " if legend else ""
        if legend.cell_len + len(gap) + len(words) > width:
            break
        legend.append(gap)
        legend.append(words, entry.colour)
    return legend


def size_legend(points: Sequence[SizePoint], palette: Palette) -> list[Entry]:
    """Return the legend of the second plot."""
    if not points:
        return []
    newest = points[-1]
    return [
        Entry("●─", palette.best, f"best {number(newest.best)}"),
        Entry("○─", palette.holdout, f"last {number(newest.last)}"),
        Entry("", palette.axis, f"at {newest.rows} rows (step {newest.step})"),
    ]


def size_forecast(states: Sequence[RunState]) -> str | None:
    """Return in words what the next rows should bring, None where the steps so far do not tell."""
    from opeddev_tui.forecast import forecast_of

    newest = {step_number(state): state for state in states if state.epochs}
    found = forecast_of([newest[step] for step in sorted(newest)])
    return found.words if found is not None else None


def size_reading(points: Sequence[SizePoint], x: float) -> str:
    """Return what is known at ``x`` rows."""
    if not points:
        return ""
    point = min(points, key=lambda item: abs(item.rows - x))
    return (
        f"step {point.step}, {point.rows} rows: best {number(point.best)} (epoch {point.best_epoch}), "
        f"last {number(point.last)} (epoch {point.last_epoch})"
    )


def loss_reading(state: RunState, previous: Sequence[RunState], look: Look, x: float) -> str:
    """Return the values at ``x``: the logged point nearest to it, evaluations at or before it."""
    parts = [f"optimizer step {x:.0f}" if look.by_step else f"epoch {x:.2f}"]
    if len(state.curves.loss):
        import numpy as np

        xs, losses = train_columns(state, look.by_step)
        nearest = int(np.nanargmin(np.abs(xs - x)))
        parts.append(f"train {number(float(losses[nearest]))}")
        if look.smoothing > 0 and len(losses) > 2:
            parts.append(f"smoothed {number(float(smooth(losses[: nearest + 1], look.smoothing)[-1]))}")
    for run, name in ((state, "hold-out"), *((earlier, f"step {step_number(earlier)}") for earlier in previous)):
        places, values = holdout_points(run, look.by_step)
        before = [value for place, value in zip(places, values, strict=True) if place <= x + 1e-9]
        if before:
            parts.append(f"{name} {number(before[-1])}")
    return " · ".join(parts)


def places(state: RunState, points: Sequence[SizePoint], look: Look) -> Column:
    """Return every x that has a value, ascending: where the cursor can stand."""
    import numpy as np

    if look.sizes:
        return np.array([float(point.rows) for point in points])
    xs, _ = train_columns(state, look.by_step)
    return np.unique(np.concatenate([xs[~np.isnan(xs)], column(holdout_points(state, look.by_step)[0])]))
