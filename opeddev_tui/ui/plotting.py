"""Owns how series of numbers become a picture: plain data in, a ``rich.text.Text`` of exact size out, through plotext.

Knows no widget, no run and no theme; colours are handed in. plotext is imported when the first point is
drawn, not before: the first frame of the app has none.
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

from opeddev_tui.ui.points import column, inside, limits, log_ticks, reduce_points, tick_labels, ticks

if TYPE_CHECKING:
    from opeddev_tui.ui.points import Column, Numbers

_ANSI = re.compile(r"\x1b\[([0-9;]*)m")


class Series(Struct, frozen=True):
    """One curve. ``line`` joins the points; ``marker`` is a character put on each of them.

    An empty marker is none, "braille" is a fine dot.
    """

    label: str
    xs: Numbers
    ys: Numbers
    colour: str
    dim: bool = False
    line: bool = True
    marker: str = ""


class Colours(Struct, frozen=True):
    """Colours of what is not a series."""

    axes: str = "#808080"
    cursor: str = "#c0c0c0"
    text: str = "#808080"


class _Drawn(Struct, frozen=True):
    """A series ready for plotext, on the scale of the plot: its line, cut and reduced, and its points."""

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
        """Return whether a point is in the picture."""
        return self.x[0] <= x <= self.x[1] and self.y[0] <= y <= self.y[1]

    def cell_of_fine_dot(self, x: float, y: float) -> tuple[float, float]:
        """Return the place whose cell is the one in which a braille line passes (x, y): plotext rounds them apart."""
        return _snap(x, self.x, self.columns, 2), _snap(y, self.y, self.rows, 4)


def _snap(value: float, ends: tuple[float, float], cells: int, dots: int) -> float:
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
    y_label: str = "",
    log_y: bool = False,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    cursor_x: float | None = None,
    colours: Colours | None = None,
    ascii_only: bool = False,
    empty: str = "Nothing to draw yet.",
) -> Text:
    """Return the picture of ``series``: ``height`` lines of ``width`` cells, or the sentence that says why not.

    ``ascii_only`` draws lines without braille, which one ASCII character each cannot tell apart.
    """
    colours = colours or Colours()
    if width < 12 or height < 4:
        return _sentence("Too small for a plot.", width, height, colours)
    drawn, dropped = _prepare(series, width, log_y, x_range)
    if not drawn:
        return _sentence(_why_empty(dropped, empty), width, height, colours)
    if dropped:
        x_label = f"{x_label} ({dropped} at or below 0: not on a log scale)".strip()
    xlimits = x_range or limits([values for item in drawn for values in (item.line[0], item.points[0])], 0.0)
    heights = [values for item in drawn for values in (item.line[1], item.points[1])]
    ylimits = _scaled_range(y_range, log_y) or limits(heights, 0.04)
    plt = _fresh_figure(width, height, colours)
    labelled = height >= 8 and bool(x_label or y_label)
    if labelled:
        plt.xlabel(x_label or None)
        plt.ylabel(y_label or None)
    frame = _axes(plt, xlimits, ylimits, (width, height - labelled), log_y)
    if cursor_x is not None and xlimits[0] <= cursor_x <= xlimits[1]:
        plt.vertical_line(cursor_x, color=_rgb(colours.cursor))
    for item in drawn:
        _draw(plt, item, frame, ascii_only)
    picture = plt.build()
    plt.clear_figure()
    return _to_text(picture, height)


def _why_empty(dropped: int, empty: str) -> str:
    if dropped:
        return f"Nothing above 0 to draw on a log scale ({dropped} values at or below 0)."
    return empty


def _prepare(
    series: Sequence[Series], width: int, log_y: bool, x_range: tuple[float, float] | None
) -> tuple[list[_Drawn], int]:
    """Return the series that have something to show, and how many points a log scale cannot."""
    if not any(len(item.xs) for item in series):
        return [], 0
    import numpy as np

    drawn, dropped = [], 0
    for item in series:
        x, y = column(item.xs), column(item.ys)
        if log_y:
            impossible = y <= 0
            seen = impossible if x_range is None else impossible & (x >= x_range[0]) & (x <= x_range[1])
            dropped += int(np.count_nonzero(seen))
            y[impossible] = np.nan
            y = np.log10(y)
        real = ~np.isnan(y) if x_range is None else ~np.isnan(y) & (x >= x_range[0]) & (x <= x_range[1])
        # one or two measured points are worth a mark of their own even on a plain line
        marked = bool(item.marker) or not item.line or np.count_nonzero(real) <= 2
        points = reduce_points(x[real], y[real], 2 * width) if marked else (x[:0], y[:0])
        line = reduce_points(*inside(x, y, x_range), width) if item.line else points
        if len(points[0]) or np.any(~np.isnan(line[1])):
            drawn.append(_Drawn(item, line, points))
    return drawn, dropped


def _scaled_range(y_range: tuple[float, float] | None, log_y: bool) -> tuple[float, float] | None:
    if y_range is None or not log_y:
        return y_range
    return (math.log10(y_range[0]), math.log10(y_range[1])) if y_range[0] > 0 else None


def _axes(
    plt: Any, xlimits: tuple[float, float], ylimits: tuple[float, float], size: tuple[int, int], log_y: bool
) -> _Frame:
    """Give the figure its ranges and round ticks."""
    width, height = size
    plt.xlim(*xlimits)
    plt.ylim(*ylimits)
    across = ticks(*xlimits, max(2, width // 12))
    plt.xticks(across, tick_labels(across))
    count = max(2, height // 4)
    values = log_ticks(*ylimits, count) if log_y else ticks(*ylimits, count)
    places = [math.log10(value) for value in values] if log_y else values
    labels = [f"{value:.4g}" for value in values] if log_y else tick_labels(values)
    # a steady width keeps the curves from jumping sideways when a label grows
    labels = [f"{label:>{5 if width >= 40 else 0}}" for label in labels]
    plt.yticks(places, labels)
    # what plotext leaves for the curves: without the labels, the two axes and the numbers below
    return _Frame(xlimits, ylimits, width - 1 - max(map(len, labels), default=0), height - 2)


def _fresh_figure(width: int, height: int, colours: Colours) -> Any:
    """Return plotext with nothing left over from the last picture: its state belongs to the module."""
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
    style = "dim" if series.dim else None
    colour = _rgb(series.colour)
    x, y = item.line
    if series.line and np.count_nonzero(~np.isnan(y)) > 1:
        span = frame.y[1] - frame.y[0]
        # lines that leave the picture end soon after its edge, for the reason given in points.inside
        heights = np.clip(y, frame.y[0] - span, frame.y[1] + span).tolist()
        plain = "." if series.dim or series.marker else "*"
        plt.plot(x.tolist(), heights, marker=plain if ascii_only else "braille", color=colour, style=style)
    points = [(a, b) for a, b in zip(*(values.tolist() for values in item.points), strict=True) if frame.has(a, b)]
    marker = series.marker or ("•" if len(points) == 1 or not series.line else "")
    if not marker or not points:
        return
    if marker == "braille":
        marker = "." if ascii_only else marker
    elif not ascii_only:
        points = [frame.cell_of_fine_dot(a, b) for a, b in points]
    plt.scatter(*zip(*points, strict=True), marker=marker, color=colour, style=style)


def _rgb(colour: str) -> tuple[int, int, int]:
    """Return a hex, rgb() or named colour as three numbers."""
    return tuple(Color.parse(colour).get_truecolor())  # type: ignore[return-value]


def _to_text(picture: str, height: int) -> Text:
    """Return plotext's colour codes as styles. The few codes it writes are read here, 4x faster than in general."""
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
    """Return the style after one colour code; a picture has hundreds of the same few."""
    numbers = [int(number) for number in code.split(";") if number]
    if numbers[:2] == [38, 2] and len(numbers) >= 5:
        return before + Style.from_color(Color.from_rgb(*numbers[2:5]))
    if numbers[:1] == [2]:
        return before + Style(dim=True)
    return Style.null() if numbers in ([], [0]) else before


def _sentence(words: str, width: int, height: int, colours: Colours) -> Text:
    """Return ``words`` in the middle of an otherwise empty picture."""
    import textwrap

    lines = textwrap.wrap(words, max(width - 2, 1))[: max(height, 1)]
    top = max((height - len(lines)) // 2, 0)
    body = "\n" * top + "\n".join(line.center(width).rstrip() for line in lines)
    return Text(body + "\n" * max(height - top - len(lines), 0), style=colours.text, no_wrap=True, end="")
