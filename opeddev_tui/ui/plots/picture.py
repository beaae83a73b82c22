"""Draw the curves pane: one chart with its legend and the values at the cursor, or as many as fit beside each other.

Pure: it knows no widget, only sizes and colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace
from rich.text import Text

from opeddev_tui.runs.state import RunState
from opeddev_tui.ui.plots import charts
from opeddev_tui.ui.plots import series as data
from opeddev_tui.ui.plots.canvas import Colours, Series, render
from opeddev_tui.ui.plots.heights import cuts_off, heights, in_sight
from opeddev_tui.ui.plots.legends import legend_text
from opeddev_tui.ui.plots.look import NO_LOSS, Look, Palette
from opeddev_tui.ui.plots.tiles import tiled

if TYPE_CHECKING:
    from opeddev_tui.analysis.outlook import Outlook
    from opeddev_tui.ui.plots.downsample import Column

# a chart of a tiling has at least this size
LEAST = (38, 8)
# of the lines of the chart by size one in so many may say what more rows bring
_OUTLOOK_SHARE = 4


class Pictures:
    """Draws the charts of one run. It keeps the series of the losses and the outlook while the run is the same."""

    def __init__(self, *, ascii_only: bool) -> None:
        self._ascii_only = ascii_only
        self._state = RunState()
        self._previous: tuple[RunState, ...] = ()
        self._seen: tuple[object, ...] = ()
        self._series: tuple[tuple[object, ...], list[Series]] = ((), [])
        # what is said of more rows, and the points it was computed from
        self._outlook: tuple[tuple[object, ...], Outlook] | None = None

    def show(self, state: RunState, previous: tuple[RunState, ...], seen: tuple[object, ...]) -> None:
        """Draw ``state`` from now on; ``seen`` changes whenever its curves do."""
        self._state, self._previous, self._seen = state, previous, seen

    def draw(self, look: Look, palette: Palette, size: tuple[int, int]) -> Text:
        """Return the picture, ``size`` (width, height) cells."""
        width, height = size
        columns, rows = width // LEAST[0], height // LEAST[1]
        if not look.tiled or columns * rows < 2:
            return self._chart(look, palette, width, height)
        names = list(charts.TILES)[: columns * rows]
        columns = min(columns, -(-len(names) // rows), 3)
        rows = min(rows, -(-len(names) // columns))

        def draw(name: str, cells: tuple[int, int]) -> Text:
            return self._chart(replace(look, chart=name, tiled=False), palette, *cells)

        return tiled(names, (columns, rows), size, draw)

    def _chart(self, look: Look, palette: Palette, width: int, height: int) -> Text:
        """Return legend, plot and, where the cursor is on, its values."""
        legend, reading, drawn = self._parts(look, palette, width)
        told = self._told(look, width, height) if look.sizes and reading is None else []
        if reading is not None:
            told = [reading]
        picture = Text("\n").join([legend, self._plot(look, palette, drawn, width, height - 1 - len(told))])
        for words in told:
            line = Text(words, palette.cursor)
            line.truncate(width, overflow="ellipsis")
            picture.append("\n").append_text(line)
        return picture

    def _told(self, look: Look, width: int, height: int) -> list[str]:
        """Return the lines on what more rows bring, as far as there is room for them beside the chart."""
        if look.chart in charts.CHARTS:
            return []
        return self._outlook_of(self.size_points()).lines(max(10, width), max(1, height // _OUTLOOK_SHARE))

    def _parts(self, look: Look, palette: Palette, width: int) -> tuple[Text, str | None, list[Series]]:
        """Return the legend, the values at the cursor, and the series of a chart."""
        if look.chart in charts.CHARTS:
            chart = charts.CHARTS[look.chart]
            drawn = chart.series(self._state, look, palette)
            legend = legend_text(charts.legend(chart, drawn, look.smoothing, palette), width)
            told = charts.reading(chart, drawn, look.cursor, log=_log(look)) if look.cursor is not None else None
            return legend, told, drawn
        points = self.size_points() if look.sizes else []
        hidden = set[int]() if look.sizes else self._hidden(look)
        drawn = data.size_series(points, palette) if look.sizes else self._in_view(look, palette, hidden)
        return self._legend(look, points, palette, width, hidden), self._reading(look, points), drawn

    def _plot(self, look: Look, palette: Palette, drawn: Sequence[Series], width: int, height: int) -> Text:
        whole: tuple[float, float] | None = data.extent(self._state, look.by_step)
        label = "optimizer step" if look.by_step else "epoch"
        empty = charts.CHARTS[look.chart].empty if look.chart in charts.CHARTS else NO_LOSS
        if look.sizes:
            points = self.size_points()
            whole = (float(points[0].rows), float(points[-1].rows)) if len(points) > 1 else None
            label = "rows trained on, all steps so far"
            empty = "The hold-out loss by size of the data set is drawn from the first finished epoch on."
        return render(
            drawn,
            width,
            height,
            x_label=label if height >= 12 else "",
            log_y=_log(look),
            x_range=look.window or whole,
            y_range=self._fitted(look),
            # losses are written with four digits
            y_least=charts.CHARTS[look.chart].least if look.chart in charts.CHARTS else 0.001,
            cursor_x=look.cursor,
            colours=Colours(axes=palette.axis, cursor=palette.cursor),
            ascii_only=self._ascii_only,
            empty=empty if look.window is None else "Nothing here: 0 shows the whole plot.",
        )

    def _fitted(self, look: Look) -> tuple[float, float] | None:
        """Return the range of losses that this step fills, None for that of all curves."""
        if look.chart != "loss":
            return None
        return heights(self._state, look, look.window or data.extent(self._state, look.by_step))

    def whole(self, look: Look) -> tuple[float, float]:
        """Return the range of the x axis without zoom."""
        if not look.sizes:
            return data.extent(self._state, look.by_step)
        points = self.size_points()
        return (float(points[0].rows), float(points[-1].rows)) if len(points) > 1 else (0.0, 1.0)

    def places(self, look: Look) -> Column:
        """Return the x values at which the cursor may stand, in order."""
        return data.places(self._state, self.size_points(), look)

    def _losses(self, look: Look, palette: Palette) -> list[Series]:
        """Return the series of the losses, the same ones where only the window or the cursor has moved."""
        key = (self._seen, look.by_step, look.smoothing, palette)
        if key != self._series[0]:
            self._series = key, data.loss_series(self._state, self._previous, look, palette)
        return self._series[1]

    def _hidden(self, look: Look) -> set[int]:
        """Return the places of the earlier steps of which almost nothing is in view.

        In a window a line may cross the view without a point in it: there all are drawn.
        """
        fitted = self._fitted(look) if look.window is None else None
        runs = enumerate(self._previous)
        return {at for at, run in runs if not in_sight(data.holdout_points(run, look.by_step)[1], fitted)}

    def _in_view(self, look: Look, palette: Palette, hidden: set[int]) -> list[Series]:
        """Return the series of the losses without those of ``hidden`` steps; earlier steps are the first."""
        return [series for at, series in enumerate(self._losses(look, palette)) if at not in hidden]

    def _legend(
        self, look: Look, points: Sequence[data.SizePoint], palette: Palette, width: int, hidden: set[int]
    ) -> Text:
        if look.sizes:
            entries = data.size_legend(points, palette)
        else:
            shown = [run for at, run in enumerate(self._previous) if at not in hidden]
            entries = data.loss_legend(self._state, shown, look, palette)
            if hidden:
                steps = ", ".join(str(step) for step in sorted({data.step_number(self._previous[at]) for at in hidden}))
                entries.append(Text(f"step {steps} not in view", palette.axis))
        cut = bool(entries) and not look.sizes and cuts_off(self._losses(look, palette), self._fitted(look))
        for flags in _flags(look, bool(entries), cut):
            legend = legend_text(entries, width - len(flags) - 2 if flags else width)
            if legend.plain.count("  ") >= len(entries) - 1:
                break
        if flags:
            legend.append(" " * (width - legend.cell_len - len(flags)) + flags, palette.axis)
        return legend

    def _reading(self, look: Look, points: Sequence[data.SizePoint]) -> str | None:
        if look.cursor is None:
            return None
        if look.sizes:
            return data.size_reading(points, look.cursor)
        return data.loss_reading(self._state, self._previous, look, look.cursor)

    def _outlook_of(self, points: Sequence[data.SizePoint]) -> Outlook:
        """Return what is said of more rows; computed once for the same points and races."""
        runs = (*self._previous, self._state)
        key = (*points, *(len(run.races) for run in runs))
        if self._outlook is None or self._outlook[0] != key:
            self._outlook = key, data.size_outlook(runs)
        return self._outlook[1]

    def size_points(self) -> list[data.SizePoint]:
        """Return one point per step: rows and losses."""
        return data.size_points((*self._previous, self._state))


def _log(look: Look) -> bool:
    """Return whether the y axis is logarithmic: shares are never drawn so."""
    return look.log and look.chart not in ("grades", "load")


def _flags(look: Look, drawn: bool, cut: bool) -> tuple[str, ...]:
    """Return what was changed about the view, or is not in sight, in a long and a short form."""
    changed = ["log"] * look.log + ["zoomed"] * (look.window is not None) + ["all"] * look.everything
    changed += ["0: all"] * cut
    smoothing = f"smoothing {look.smoothing:g}" if look.smoothing else "not smoothed"
    long = [smoothing, *changed] if drawn and not look.sizes else changed
    return ", ".join(long), ", ".join(changed)
