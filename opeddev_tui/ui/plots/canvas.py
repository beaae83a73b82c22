"""Draw series of numbers with plotext: plain data in, a ``rich.text.Text`` of an exact size out.

It knows no widget, no run and no theme; colours are handed in. plotext is imported when the first point is drawn:
the first frame of the app has none and must not wait for it.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from rich.color import Color
from rich.style import Style
from rich.text import Text

from opeddev_tui.ui.plots.axes import x_numbers, y_numbers
from opeddev_tui.ui.plots.downsample import at_least, column, inside, limits, reduce_points
from opeddev_tui.ui.plots.look import LEAST_HEIGHT, LEAST_WIDTH, in_middle

if TYPE_CHECKING:
    from opeddev_tui.ui.plots.downsample import Column, Numbers

_ANSI = re.compile(r"\x1b\[([0-9;]*)m")


class Series(Struct, frozen=True):
    """One curve, NaN where it has a gap. ``line`` joins the points; ``marker`` is a character put on each of them.

    An empty marker is none, "braille" is a fine dot.
    """

    label: str
    xs: Numbers
    ys: Numbers
    colour: str
    line: bool = True
    marker: str = ""


class Colours(Struct, frozen=True):
    """Colours of what is not a series: the axes with all text, and the cursor."""

    axes: str = "#808080"
    cursor: str = "#c0c0c0"


class _Drawn(Struct, frozen=True):
    """A series ready for plotext, on the scale of the plot: the line, cut to the range and reduced, and the points."""

    series: Series
    line: tuple[Column, Column]
    points: tuple[Column, Column]


class _Frame(Struct, frozen=True):
    """The ranges of the axes and the cells between them."""

    x: tuple[float, float]
    y: tuple[float, float]
    columns: int
    rows: int

    def has(self, x: float, y: float) -> bool:
        """Return whether the point lies in the picture."""
        return self.x[0] <= x <= self.x[1] and self.y[0] <= y <= self.y[1]

    def cell_of_fine_dot(self, x: float, y: float) -> tuple[float, float]:
        """Return where to put a marker so that it is in the cell of a braille line's (x, y): plotext rounds apart."""
        return _snap(x, self.x, self.columns, 2), _snap(y, self.y, self.rows, 4)


def _snap(value: float, ends: tuple[float, float], cells: int, dots: int) -> float:
    """Return the value in the middle of the cell that holds the dot of ``value``; a cell has ``dots`` dots."""
    low, high = ends
    if cells < 2 or high <= low:
        return value
    cell = math.floor(0.5 + (cells * dots - 1) * (value - low) / (high - low)) // dots
    return low + min(cell, cells - 1) / (cells - 1) * (high - low)


def render(
    series: Sequence[Series],
    width: int,
    height: int,
    *,
    x_label: str = "",
    log_y: bool = False,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    y_least: float = 0.0,
    cursor_x: float | None = None,
    colours: Colours | None = None,
    ascii_only: bool = False,
    empty: str = "Nothing to draw yet.",
) -> Text:
    """Return the picture of ``series``: ``height`` lines of ``width`` cells, or a sentence why there is none.

    Without ``x_range`` and ``y_range`` all points are shown; the y axis spans at least ``y_least``, on a log scale
    whatever is drawn. ``ascii_only`` draws without braille.
    """
    colours = colours or Colours()
    if width < LEAST_WIDTH or height < LEAST_HEIGHT:
        return in_middle("Too small for a plot.", width, height, colours.axes)
    drawn, dropped = _prepare(series, width, log_y, x_range)
    if not drawn:
        if dropped:
            empty = f"Nothing above 0 to draw on a log scale ({dropped} values at or below 0)."
        return in_middle(empty, width, height, colours.axes)
    if dropped:
        x_label = f"{x_label} ({dropped} at or below 0: not on a log scale)".strip()
    xlimits = x_range or limits([values for item in drawn for values in (item.line[0], item.points[0])], 0.0)
    ylimits = _heights(drawn, y_range, 0.0 if log_y else y_least, log_y=log_y)
    plt = _fresh_figure(width, height, colours)
    if labelled := height >= 8 and bool(x_label):
        plt.xlabel(x_label)
    frame = _axes(plt, xlimits, ylimits, (width, height - labelled), log_y=log_y, fine=not ascii_only)
    if cursor_x is not None and xlimits[0] <= cursor_x <= xlimits[1]:
        plt.vertical_line(cursor_x, color=_rgb(colours.cursor))
    for item in drawn:
        _draw(plt, item, frame, ascii_only)
    picture = plt.build()
    plt.clear_figure()
    return _to_text(picture, height)


def _prepare(
    series: Sequence[Series], width: int, log_y: bool, x_range: tuple[float, float] | None
) -> tuple[list[_Drawn], int]:
    """Return the series that have something to draw, and the number of points that a log scale cannot show."""
    if not any(len(item.xs) for item in series):
        return [], 0
    import numpy as np

    drawn, dropped = [], 0
    for item in series:
        x, y = column(item.xs), column(item.ys)
        seen = True if x_range is None else (x >= x_range[0]) & (x <= x_range[1])
        if log_y:
            impossible = y <= 0
            dropped += int(np.count_nonzero(impossible & seen))
            y[impossible] = np.nan
            y = np.log10(y)
        real = ~np.isnan(y) & seen
        # one or two measured points are worth a mark of their own even on a plain line
        marked = bool(item.marker) or not item.line or np.count_nonzero(real) <= 2
        points = reduce_points(x[real], y[real], 2 * width) if marked else (x[:0], y[:0])
        line = reduce_points(*inside(x, y, x_range), width) if item.line else points
        if len(points[0]) or np.any(~np.isnan(line[1])):
            drawn.append(_Drawn(item, line, points))
    return drawn, dropped


def _heights(
    drawn: Sequence[_Drawn], y_range: tuple[float, float] | None, least: float, *, log_y: bool
) -> tuple[float, float]:
    """Return the ends of the y axis, on the scale of the plot: of ``y_range``, or of everything that is drawn."""
    if y_range is not None and log_y:
        y_range = (math.log10(y_range[0]), math.log10(y_range[1])) if y_range[0] > 0 else None
    values = (
        [column(y_range)] if y_range is not None else [ys for item in drawn for ys in (item.line[1], item.points[1])]
    )
    return at_least(limits(values, 0.04), least)


def _axes(
    plt: Any,
    xlimits: tuple[float, float],
    ylimits: tuple[float, float],
    size: tuple[int, int],
    *,
    log_y: bool,
    fine: bool,
) -> _Frame:
    """Set the ranges and round ticks of the figure; return what plotext leaves for the curves.

    ``fine``: the curves are of braille dots; then each number stands in the line that holds the dots of its value.
    """
    width, height = size
    plt.xlim(*xlimits)
    plt.ylim(*ylimits)
    rows = height - 2
    places, labels = y_numbers(ylimits, max(2, height // 4), lambda place: _row(place, ylimits, rows, fine), log=log_y)
    # a constant width keeps the curves from jumping sideways when a label grows
    labels = [f"{label:>{5 if width >= 40 else 0}}" for label in labels]
    # less the labels, the two axes and the numbers below
    frame = _Frame(xlimits, ylimits, width - 1 - max(map(len, labels), default=0), rows)
    plt.yticks([frame.cell_of_fine_dot(xlimits[0], place)[1] for place in places] if fine else places, labels)
    plt.xticks(*x_numbers(xlimits, max(2, width // 12), frame.columns, width))
    return frame


def _row(place: float, ends: tuple[float, float], rows: int, fine: bool) -> int:
    """Return the line of a number at the y axis, counted from below."""
    at = _snap(place, ends, rows, 4) if fine else place
    return math.floor(round(0.5 + (rows - 1) * (at - ends[0]) / (ends[1] - ends[0]), 8))


def _fresh_figure(width: int, height: int, colours: Colours) -> Any:
    """Return plotext without the last picture: it keeps its figure in the module."""
    import plotext as plt

    plt.clear_figure()
    plt.limit_size(False, False)
    plt.plot_size(width, height)
    plt.canvas_color("default")
    plt.axes_color("default")
    plt.ticks_color(_rgb(colours.axes))
    plt.xaxes(True, False)
    plt.yaxes(True, False)
    return plt


def _draw(plt: Any, item: _Drawn, frame: _Frame, ascii_only: bool) -> None:
    """Draw one series: its line, then its markers above it."""
    import numpy as np

    series = item.series
    colour = _rgb(series.colour)
    x, y = item.line
    if series.line and np.count_nonzero(~np.isnan(y)) > 1:
        span = frame.y[1] - frame.y[0]
        # lines that leave the picture end soon after its edge, for the reason given at downsample.inside
        heights = np.clip(y, frame.y[0] - span, frame.y[1] + span).tolist()
        plain = "." if series.marker else "*"
        plt.plot(x.tolist(), heights, marker=plain if ascii_only else "braille", color=colour)
    points = [(a, b) for a, b in zip(*(values.tolist() for values in item.points), strict=True) if frame.has(a, b)]
    marker = series.marker or ("•" if len(points) == 1 or not series.line else "")
    if not marker or not points:
        return
    if marker == "braille":
        marker = "." if ascii_only else marker
    elif not ascii_only:
        points = [frame.cell_of_fine_dot(a, b) for a, b in points]
    plt.scatter(*zip(*points, strict=True), marker=marker, color=colour)


def _rgb(colour: str) -> tuple[int, int, int]:
    """Return a hex, rgb() or named colour as three numbers."""
    return tuple(Color.parse(colour).get_truecolor())  # type: ignore[return-value]


def _to_text(picture: str, height: int) -> Text:
    """Return plotext's colour codes as styles: reading only the few that it writes is 4x faster than Rich's decoder."""
    text, style = Text(no_wrap=True, end=""), Style.null()
    lines = picture.rstrip("\n").split("\n")[:height]
    for number, line in enumerate(lines):
        for position, part in enumerate(_ANSI.split(line + "\x1b[0m")):
            if position % 2:
                style = _style(part, style)
            elif part:
                text.append(part, style)
        if number < len(lines) - 1:
            text.append("\n")
    return text


@functools.lru_cache(maxsize=128)
def _style(code: str, before: Style) -> Style:
    """Return the style after one colour code; cached, as a picture has hundreds of the same few."""
    numbers = [int(number) for number in code.split(";") if number]
    if numbers[:2] == [38, 2] and len(numbers) >= 5:
        return before + Style.from_color(Color.from_rgb(*numbers[2:5]))
    if numbers[:1] == [2]:
        return before + Style(dim=True)
    return Style.null() if numbers in ([], [0]) else before
