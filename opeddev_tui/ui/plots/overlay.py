"""Put one measure of several runs into one picture: a mark and a colour per run, and their values at one x. Pure.

The marks alone tell the runs apart, on a terminal without colours and for who does not see them; the colours are those
of Okabe and Ito (2008), which people with any colour vision can tell apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from rich.text import Text
from textual.color import Color

from opeddev_tui.format import number, percent, rate, rounded, share
from opeddev_tui.runs.state import RunState
from opeddev_tui.ui.plots import series as data
from opeddev_tui.ui.plots.canvas import Colours, Series, render
from opeddev_tui.ui.plots.downsample import column, newest_smoothed, reduce_points, smooth
from opeddev_tui.ui.plots.look import Palette
from opeddev_tui.ui.plots.tiles import tiled
from opeddev_tui.ui.plots.values import of_line
from opeddev_tui.ui.theme_colours import LINE, parsed_colour, readable

if TYPE_CHECKING:
    from opeddev_tui.ui.plots.downsample import Column

# one per run; no more runs than marks are drawn; no digits: in the loss curves these are numbers of steps
MARKS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_OKABE_ITO = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#0072b2", "#d55e00", "#999999")
# of more points than this not every one gets the mark: they would hide the curve
_MOST_MARKED = 16
_GIB = 2.0**30
# a chart of a tiling has at least this size
_LEAST = (34, 8)
# so many runs take long to draw: fewer charts of them are shown at once
_MANY, _MOST_TILES = 20, 6

Points = tuple["Column", "Column"]


class Measure(Struct, frozen=True):
    """What is compared: its title, its points of a run, how a value is written, whether lower is better.

    ``scored``: it is of the hold-out, so it says nothing beside a run that was scored on other rows. ``least`` is what
    the axis spans at least: ten units of the last digit that is written, so that none of them looks like a trend.
    """

    title: str
    points: Callable[[RunState, bool, float], Points]
    write: Callable[[float], str]
    lower: bool = True
    scored: bool = False
    least: float = 0.0


def _holdout(state: RunState, by_step: bool, _smoothing: float) -> Points:
    xs, ys = data.holdout_points(state, by_step)
    return column(xs), column(ys)


def _graded(field: str) -> Callable[[RunState, bool, float], Points]:
    def points(state: RunState, by_step: bool, _smoothing: float) -> Points:
        places = {epoch: data.step_of(state, epoch, by_step) for epoch in sorted(state.grades)}
        known = {epoch: place for epoch, place in places.items() if place is not None}
        values = [getattr(state.grades[epoch], field) for epoch in known]
        return column(list(known.values())), column([float("nan") if value is None else value for value in values])

    return points


def _logged(field: str, *, smoothed: bool = False) -> Callable[[RunState, bool, float], Points]:
    def points(state: RunState, by_step: bool, smoothing: float) -> Points:
        curves = state.curves
        values = getattr(curves, field)
        ys = smooth(values, smoothing) if smoothed and len(values) > 2 else column(values)
        return column(curves.global_step if by_step else curves.epoch), ys

    return points


def _machine(field: str, divisor: float = 1.0) -> Callable[[RunState, bool, float], Points]:
    def points(state: RunState, by_step: bool, _smoothing: float) -> Points:
        history = state.machine
        return column(history.global_step if by_step else history.epoch), column(getattr(history, field)) / divisor

    return points


MEASURES: Mapping[str, Measure] = {
    "holdout": Measure("Hold-out loss", _holdout, lambda value: number(value, 4), scored=True, least=0.001),
    "train": Measure("Train loss", _logged("loss", smoothed=True), lambda value: number(value, 4), least=0.001),
    "exact": Measure("Grades exact", _graded("exact"), share, lower=False, scored=True, least=0.1),
    "within": Measure("Grades within one", _graded("within_one"), share, lower=False, scored=True, least=0.1),
    "kappa": Measure("Kappa (QWK)", _graded("kappa"), rounded, lower=False, scored=True, least=0.1),
    "rate": Measure("Learning rate", _logged("learning_rate"), rate),
    "gradient": Measure(
        "Gradient norm", _logged("grad_norm", smoothed=True), lambda value: number(value, 2), least=0.1
    ),
    "speed": Measure(
        "Samples per second", _logged("samples_per_second"), lambda value: number(value, 1), lower=False, least=1.0
    ),
    "memory": Measure("GPU memory, GiB", _machine("gpu_memory", _GIB), lambda value: f"{value:.1f} GiB", least=1.0),
    "load": Measure("GPU use, %", _machine("gpu"), percent, lower=False, least=10.0),
}
# what is tiled, as many as fit
TILES = ("holdout", "train", "kappa", "exact", "rate", "gradient", "speed", "load", "memory")


class Line(Struct, frozen=True):
    """One run in the picture."""

    run: str
    mark: str
    colour: str
    state: RunState


class OverlayLook(Struct, frozen=True):
    """How a person looks at the overlay; ``window`` and ``cursor`` are in units of the x axis."""

    measure: str = "holdout"
    tiled: bool = False
    by_step: bool = False
    log: bool = False
    smoothing: float = 0.8
    window: tuple[float, float] | None = None
    cursor: float | None = None


def colours_of(count: int, background: str) -> list[str]:
    """Return a colour per run, with enough contrast to ``background``; after the eighth they come again."""
    ground = parsed_colour(background)
    if ground is None or ground.ansi is not None:
        ground = Color(18, 18, 18)
    readable_ones = [readable(Color.parse(name), [ground], LINE).hex6 for name in _OKABE_ITO]
    return [readable_ones[at % len(readable_ones)] for at in range(count)]


class Overlay:
    """Draws some runs; the points of a run are kept as long as nothing is added to it."""

    def __init__(self, *, ascii_only: bool) -> None:
        self._ascii_only = ascii_only
        self._lines: tuple[Line, ...] = ()
        # with how far the run had come
        self._points: dict[tuple[object, ...], tuple[tuple[int, ...], Points]] = {}

    def show(self, lines: Sequence[Line]) -> None:
        """Draw ``lines`` from now on."""
        self._lines = tuple(lines)
        shown = {line.run for line in lines}
        self._points = {key: kept for key, kept in self._points.items() if key[0] in shown}

    def points(self, line: Line, measure: str, look: OverlayLook) -> Points:
        """Return all points of a run."""
        key, grown = (line.run, measure, look.by_step, look.smoothing), _grown(line.state)
        kept = self._points.get(key)
        if kept is None or kept[0] != grown:
            kept = grown, MEASURES[measure].points(line.state, look.by_step, look.smoothing)
            self._points[key] = kept
        return kept[1]

    def whole(self, look: OverlayLook) -> tuple[float, float]:
        """Return the range of the x axis without zoom: as far as the longest run has come."""
        ends = [float(xs[-1]) for line in self._lines if len(xs := self.points(line, look.measure, look)[0])]
        return 0.0, max(ends, default=1.0) or 1.0

    def values(self, measure: str, look: OverlayLook) -> dict[str, float | None]:
        """Return the value of each run's line at the cursor, None where it has none; without a cursor the newest."""
        return {line.run: value_at(self.points(line, measure, look), look.cursor, log=look.log) for line in self._lines}

    def draw(self, look: OverlayLook, palette: Palette, size: tuple[int, int]) -> Text:
        """Return the picture, ``size`` (width, height) cells."""
        columns, rows = max(1, size[0] // _LEAST[0]), max(1, size[1] // _LEAST[1])
        if not look.tiled or columns * rows < 2:
            return self._chart(look.measure, look, palette, size)
        names = TILES[: min(columns * rows, _MOST_TILES if len(self._lines) > _MANY else len(TILES))]
        columns = min(columns, -(-len(names) // rows), 3)
        # no row that is partly empty
        names = names[: max(len(names) // columns, 1) * columns]
        grid = columns, len(names) // columns
        return tiled(names, grid, size, lambda name, cells: self._chart(name, look, palette, cells))

    def _chart(self, measure: str, look: OverlayLook, palette: Palette, size: tuple[int, int]) -> Text:
        width, height = size
        about = MEASURES[measure]
        better = "lower is better" if about.lower else "higher is better"
        heading = Text(about.title, "bold", no_wrap=True, end="")
        if measure not in ("rate", "memory", "load", "speed", "gradient"):
            heading.append(f"  {better}", palette.axis)
        heading.truncate(width)
        plot = render(
            self._series(measure, look, width),
            width,
            height - 1,
            x_label=("optimizer step" if look.by_step else "epoch") if height >= 13 else "",
            log_y=look.log,
            x_range=look.window or self.whole(look),
            y_least=about.least,
            cursor_x=look.cursor,
            colours=Colours(axes=palette.axis, cursor=palette.cursor),
            ascii_only=self._ascii_only,
            empty="None of these runs has it." if self._lines else "No run is chosen.",
        )
        return Text("\n").join([heading, plot])

    def _series(self, measure: str, look: OverlayLook, width: int) -> list[Series]:
        """Return line and marks of every run; of many runs each has fewer points, so that 50 are drawn at once."""
        series: list[Series] = []
        columns = max(24, min(width, 6 * width // max(len(self._lines), 1)))
        for at, line in enumerate(self._lines):
            xs, ys = self.points(line, measure, look)
            if not len(xs):
                continue
            if len(xs) <= _MOST_MARKED:
                series.append(Series(line.run, xs, ys, line.colour, marker=line.mark))
                continue
            few = reduce_points(xs, ys, columns)
            series.append(Series(line.run, *few, line.colour))
            series.append(Series(line.run, *_marked(few, at, look.window), line.colour, line=False, marker=line.mark))
        return series


def _grown(state: RunState) -> tuple[int, ...]:
    """Return what changes when a run gets further points, or loses some as it is resumed."""
    steps = state.curves.global_step
    newest = int(steps[-1]) if len(steps) else 0
    return len(steps), newest, len(state.holdout), len(state.grades), len(state.epochs), len(state.machine.at)


def _marked(points: Points, place: int, window: tuple[float, float] | None) -> Points:
    """Return the points of a long line that get its mark: a few, at other places for every run, and the last."""
    import numpy as np

    xs, ys = points
    known = np.flatnonzero(~np.isnan(ys) & ((xs >= window[0]) & (xs <= window[1]) if window else True))
    if not len(known):
        return xs[:0], ys[:0]
    every = max(1, len(known) // 4)
    chosen = np.unique(np.append(known[(place * 7) % every :: every], known[-1]))
    return xs[chosen], ys[chosen]


def value_at(points: Points, x: float | None, *, log: bool = False) -> float | None:
    """Return the value of the line at ``x`` as it is drawn (None: of the last point); None where there is no line."""
    xs, ys = points
    if x is None:
        return newest_smoothed(ys, 0.0)
    found = of_line(xs, ys, x, log=log)
    return found.value if found is not None else None
