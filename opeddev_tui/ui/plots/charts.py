"""The charts besides the losses: grades, learning rate, gradient norm, speed, GPU memory, load. Pure: no widget.

Each is made from the state of a run alone, on the same x axis as the losses, so one cursor stands in all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct
from rich.text import Text

from opeddev_tui.format import number, percent, rate
from opeddev_tui.runs.cheap_ways import to_beat
from opeddev_tui.runs.events import GradesMeasured
from opeddev_tui.runs.state import RunState
from opeddev_tui.ui.plots.canvas import Series
from opeddev_tui.ui.plots.downsample import column, newest_smoothed, smooth
from opeddev_tui.ui.plots.legends import pale
from opeddev_tui.ui.plots.look import Look, Palette
from opeddev_tui.ui.plots.series import extent, step_of
from opeddev_tui.ui.plots.values import of_line, of_nearest

_GIB = 2.0**30


class Chart(Struct, frozen=True):
    """One chart: its title, what it says where there is nothing yet, its series, and how a value is written.

    ``least`` is what its axis spans at least: ten units of the last digit that is written.
    """

    title: str
    empty: str
    series: Callable[[RunState, Look, Palette], list[Series]]
    write: Callable[[float], str]
    least: float = 0.0


def _grades(state: RunState, look: Look, palette: Palette) -> list[Series]:
    epochs = [epoch for epoch in sorted(state.grades) if step_of(state, epoch, look.by_step) is not None]
    xs = [step_of(state, epoch, look.by_step) or 0.0 for epoch in epochs]
    measured = [state.grades[epoch] for epoch in epochs]
    if not measured:
        return []
    cheap = to_beat(measured[-1]).value
    ends = list(extent(state, look.by_step))
    series = [
        Series("to beat", ends, [100 * cheap, 100 * cheap], palette.previous, marker=""),
        Series("±1", xs, [100 * item.within_one for item in measured], palette.best, marker="○"),
        Series("exact", xs, [100 * item.exact for item in measured], palette.train, marker="●"),
    ]
    for at, name in ((0, "kappa low"), (1, "kappa high")):
        bounds = [_bound(item, at) for item in measured]
        if not all(bound != bound for bound in bounds):
            series.append(Series(name, xs, bounds, palette.raw, line=False, marker="-"))
    kappas = [100 * item.kappa if item.kappa is not None else float("nan") for item in measured]
    return [*series, Series("kappa", xs, kappas, palette.holdout, marker="◆")]


def _bound(measured: GradesMeasured, at: int) -> float:
    return 100 * measured.kappa_interval[at] if measured.kappa_interval is not None else float("nan")


def _logged(field: str, label: str, *, smoothed: bool) -> Callable[[RunState, Look, Palette], list[Series]]:
    """Return the maker of the series of a logged number: every point, and above them their mean."""

    def make(state: RunState, look: Look, palette: Palette) -> list[Series]:
        curves = state.curves
        values = getattr(curves, field)
        xs = curves.global_step if look.by_step else curves.epoch
        if not len(values):
            return []
        mean = smoothed and look.smoothing > 0 and len(values) > 2
        points = Series(label, xs, values, palette.raw if mean else palette.train, line=not mean, marker="braille")
        return [points, Series("smoothed", xs, smooth(values, look.smoothing), palette.train)] if mean else [points]

    return make


def _machine(names: Mapping[str, tuple[str, float]]) -> Callable[[RunState, Look, Palette], list[Series]]:
    """Return the maker of the series of readings of the machine: (field: label, divisor)."""

    def make(state: RunState, look: Look, palette: Palette) -> list[Series]:
        history = state.machine
        xs = history.global_step if look.by_step else history.epoch
        colours = (palette.train, palette.holdout, palette.best)
        series = []
        for colour, (field, (label, divisor)) in zip(colours, names.items(), strict=False):
            values = column(getattr(history, field)) / divisor
            if len(values) and bool((values == values).any()):
                series.append(Series(label, xs, values, colour))
        return series

    return make


CHARTS: Mapping[str, Chart] = {
    "grades": Chart("Grades", "Grades of the hold-out are read after every epoch.", _grades, percent, 10.0),
    "rate": Chart("Learning rate", "It is drawn from the first logged point on.",
                  _logged("learning_rate", "LR", smoothed=False), rate),
    "gradient": Chart("Gradient norm", "It is drawn from the first logged point on.",
                      _logged("grad_norm", "raw", smoothed=True), lambda value: number(value, 2), 0.1),
    "speed": Chart("Samples per second", "It is drawn from the first logged point on.",
                   _logged("samples_per_second", "samples/s", smoothed=False), lambda value: number(value, 1), 1.0),
    "memory": Chart("Memory, GiB", "The machine is read every few seconds while it trains.",
                    _machine({"gpu_memory": ("GPU", _GIB), "ram": ("RAM", _GIB)}),
                    lambda value: f"{value:.1f} GiB", 1.0),
    "load": Chart("Load, %", "The machine is read every few seconds while it trains.",
                  _machine({"gpu": ("GPU", 1.0), "cpu": ("CPU", 1.0)}), percent, 10.0),
}  # fmt: skip
# the order of the pages; the first two are those of ``series``
PAGES: tuple[str, ...] = ("loss", "sizes", *CHARTS)
# what is tiled: all but the loss by size of the data set, which has another x axis
TILES: tuple[str, ...] = ("loss", *CHARTS)


def title(look: Look) -> str:
    """Return the title of the pane."""
    if look.tiled:
        return "Charts"
    return CHARTS[look.chart].title if look.chart in CHARTS else "Loss by data size" if look.sizes else "Loss curves"


def legend(chart: Chart, series: Sequence[Series], smoothing: float, palette: Palette) -> list[Text]:
    """Return name and newest value of each series, the most important first."""
    entries = [Text(chart.title, "bold")]
    for item in reversed(series):
        value = newest_smoothed(item.ys, 0.0 if item.label != "smoothed" else smoothing)
        if value is not None and not item.label.startswith("kappa "):
            mark, words = item.marker if len(item.marker) == 1 else "─", f" {item.label} {_written(chart, item, value)}"
            dim = item.colour in (palette.raw, palette.previous)
            entries.append(pale(mark, item.colour, words, palette.axis) if dim else Text(mark + words, item.colour))
    return entries


def _written(chart: Chart, item: Series, value: float) -> str:
    """Return a value as it is written; kappa is no share, although it is drawn with the shares."""
    return number(value / 100, 2) if item.label.startswith("kappa") else chart.write(value)


def reading(chart: Chart, series: Sequence[Series], x: float, *, log: bool = False) -> str:
    """Return the values at ``x`` of the lines that are drawn there, and of the nearest points that no line joins."""
    parts = []
    for item in series:
        mark, value = "", of_nearest(item.xs, item.ys, x) if not item.line else None
        if item.line and (found := of_line(item.xs, item.ys, x, log=log)) is not None:
            # of a line that is logged all the time every place is as good as measured
            mark, value = found.mark if item.marker else "", found.value
        if value is not None:
            parts.append(f"{item.label} {mark}{_written(chart, item, value)}")
    return " · ".join(parts)
