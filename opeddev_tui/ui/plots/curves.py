"""The curves pane: the two plots of ``series`` drawn to the pane's size, and the keys that change the view."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import replace
from rich.text import Text
from textual.binding import BindingType
from textual.timer import Timer
from textual.widget import Widget

from opeddev_tui.runs.state import RunState
from opeddev_tui.terminal.ascii_fallback import ascii_only
from opeddev_tui.ui.keys import CURVES, bindings
from opeddev_tui.ui.plots import series as data
from opeddev_tui.ui.plots.canvas import Colours, Series, render
from opeddev_tui.ui.plots.downsample import within
from opeddev_tui.ui.plots.heights import cuts_off, heights
from opeddev_tui.ui.plots.series import Look, Palette, palette_of

if TYPE_CHECKING:
    from opeddev_tui.ui.plots.downsample import Column

# at most about three pictures a second: a plot is most of the bytes on a slow line
DRAW_SECONDS = 0.35
SMOOTHINGS = (0.0, 0.6, 0.8, 0.95)
_CLOSEST_ZOOM = 1 / 512


class CurvesView(Widget, can_focus=True):
    """Loss curves of a step with those of earlier steps behind, or the hold-out loss by size of the data set.

    ``pictures`` counts how often a picture was drawn.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings(CURVES)
    DEFAULT_CSS = "CurvesView { height: 1fr; width: 1fr; }"

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.look = Look()
        self.pictures = 0
        self.ascii_only = ascii_only()
        self._state = RunState()
        self._previous: tuple[RunState, ...] = ()
        self._seen: tuple[object, ...] = ()
        self._series: tuple[tuple[object, ...], list[Series]] = ((), [])
        self._picture: tuple[tuple[int, int], Text] | None = None
        # the state has changed since the picture was drawn, while the pane was out of sight
        self._stale = False
        # the forecast, and the points it was computed from
        self._forecast: tuple[list[data.SizePoint], str | None] | None = None
        self._drawn_at = float("-inf")
        self._due: Timer | None = None

    def on_mount(self) -> None:
        """Draw again when the theme changes."""
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self._draw_anew())

    def update_state(self, state: RunState, previous: Sequence[RunState] = ()) -> None:
        """Show ``state``; drawn only if its curves changed, and not more often than ``DRAW_SECONDS``."""
        if state is not self._state:
            self._picture = None  # that was another run
        self._state, self._previous = state, tuple(previous)
        seen = (data.signature(state), *(data.signature(run) for run in previous))
        if seen == self._seen:
            return
        self._seen = seen
        if not self.is_mounted:
            return
        wait = self._drawn_at + DRAW_SECONDS - time.monotonic()
        if wait <= 0:
            self._draw_now()
        elif self._due is None:
            self._due = self.set_timer(wait, self._draw_now)

    def plain_text(self) -> str:
        """Return the picture as text, for the clipboard."""
        return self._picture[1].plain if self._picture is not None else ""

    def render(self) -> Text:
        """Return the picture, drawn again only when it must be.

        A pane that comes into sight shows its last picture at once, and the new one right after it.
        """
        size = self.content_size.width, self.content_size.height
        if self._picture is None or self._picture[0] != size:
            self._picture, self._stale = (size, self._draw(*size)), False
        elif self._stale:
            self._stale = False
            self.call_after_refresh(self._draw_now)
        return self._picture[1]

    def _draw_now(self) -> None:
        if self._due is not None:
            self._due.stop()
            self._due = None
        self._drawn_at = time.monotonic()
        in_sight = self.display and self.screen is self.app.screen
        self._stale = self._picture is not None and not in_sight
        if not self._stale:
            self._picture = None
        self.refresh()

    def _draw_anew(self) -> None:
        """Draw, and do not show the last picture before."""
        self._picture = None
        self._draw_now()

    def _draw(self, width: int, height: int) -> Text:
        """Return legend, plot and, where the cursor is on, its values."""
        if width < 2 or height < 2:
            return Text("")
        self.pictures += 1
        palette = palette_of(self.app.theme_variables)
        points = self._size_points() if self.look.sizes else []
        legend = self._legend(points, palette, width)
        reading = self._reading(points)
        lines = height - 1 - (reading is not None)
        picture = Text("\n").join([legend, self._plot(points, palette, width, lines)])
        if reading is not None:
            line = Text(reading, palette.cursor)
            line.truncate(width, overflow="ellipsis")
            picture.append("\n").append_text(line)
        picture.no_wrap = True
        return picture

    def _plot(self, points: Sequence[data.SizePoint], palette: Palette, width: int, height: int) -> Text:
        look = self.look
        colours = Colours(axes=palette.axis, cursor=palette.cursor)
        if look.sizes:
            series, label = data.size_series(points, palette), "rows trained on, all steps so far"
            empty = "The hold-out loss by size of the data set is drawn from the first finished epoch on."
            whole = (float(points[0].rows), float(points[-1].rows)) if len(points) > 1 else None
            fitted = None
        else:
            series = self._loss_series(palette)
            fitted = self._fitted()
            label = "optimizer step" if look.by_step else "epoch"
            empty = "The curves begin with the first logged loss."
            whole = data.extent(self._state, look.by_step)
        return render(
            series,
            width,
            height,
            x_label=label if height >= 12 else "",
            log_y=look.log,
            x_range=look.window or whole,
            y_range=fitted,
            cursor_x=look.cursor,
            colours=colours,
            ascii_only=self.ascii_only,
            empty=empty if look.window is None else "Nothing here: 0 shows the whole plot.",
        )

    def _fitted(self) -> tuple[float, float] | None:
        """Return the range of losses that this step fills, None for that of all curves."""
        if self.look.sizes:
            return None
        return heights(self._state, self.look, self.look.window or data.extent(self._state, self.look.by_step))

    def _loss_series(self, palette: Palette) -> list[Series]:
        """Return the series of the losses, the same ones where only the window or the cursor has moved."""
        key = (self._seen, self.look.by_step, self.look.smoothing, palette)
        if key != self._series[0]:
            self._series = key, data.loss_series(self._state, self._previous, self.look, palette)
        return self._series[1]

    def _legend(self, points: Sequence[data.SizePoint], palette: Palette, width: int) -> Text:
        if self.look.sizes:
            entries = data.size_legend(points, palette)
        else:
            entries = data.loss_legend(self._state, self._previous, self.look, palette)
        cut = bool(entries) and cuts_off(self._loss_series(palette), self._fitted())
        for flags in self._flags(bool(entries), cut):
            legend = data.legend_text(entries, width - len(flags) - 2 if flags else width)
            if legend.plain.count("  ") >= len(entries) - 1:
                break
        if flags:
            legend.append(" " * (width - legend.cell_len - len(flags)) + flags, palette.axis)
        return legend

    def _flags(self, drawn: bool, cut: bool) -> tuple[str, ...]:
        """Return what was changed about the view, or is not in sight, in a long and a short form."""
        look = self.look
        changed = ["log"] * look.log + ["zoomed"] * (look.window is not None) + ["all"] * look.everything
        changed += ["0: all"] * cut
        smoothing = f"smoothing {look.smoothing:g}" if look.smoothing else "not smoothed"
        long = [smoothing, *changed] if drawn and not look.sizes else changed
        return ", ".join(long), ", ".join(changed)

    def _reading(self, points: Sequence[data.SizePoint]) -> str | None:
        look = self.look
        if look.cursor is None:
            return self._forecast_of(points) if look.sizes else None
        if look.sizes:
            return data.size_reading(points, look.cursor)
        return data.loss_reading(self._state, self._previous, look, look.cursor)

    def _forecast_of(self, points: Sequence[data.SizePoint]) -> str | None:
        """Return what more data should bring, None where there is no forecast; computed once for the same points."""
        if self._forecast is None or self._forecast[0] != points:
            self._forecast = list(points), data.size_forecast((*self._previous, self._state))
        return self._forecast[1]

    def _size_points(self) -> list[data.SizePoint]:
        return data.size_points((*self._previous, self._state))

    def _change(self, look: Look) -> None:
        if look != self.look:
            self.look = look
            self._draw_now()

    def _whole(self) -> tuple[float, float]:
        """Return the range of the x axis without zoom."""
        if not self.look.sizes:
            return data.extent(self._state, self.look.by_step)
        points = self._size_points()
        return (float(points[0].rows), float(points[-1].rows)) if len(points) > 1 else (0.0, 1.0)

    def action_log_scale(self) -> None:
        """Switch the log scale."""
        self._change(replace(self.look, log=not self.look.log))

    def action_smoothing(self) -> None:
        """Go to the next smoothing."""
        after = SMOOTHINGS.index(self.look.smoothing) + 1
        self._change(replace(self.look, smoothing=SMOOTHINGS[after % len(SMOOTHINGS)]))

    def action_x_axis(self) -> None:
        """Switch between epochs and optimizer steps."""
        if not self.look.sizes:
            self._change(replace(self.look, by_step=not self.look.by_step, window=None, cursor=None))

    def action_sizes(self) -> None:
        """Switch between the two plots."""
        self._change(replace(self.look, sizes=not self.look.sizes, window=None, cursor=None))

    def action_reset(self) -> None:
        """Undo zoom and pan; where there is none, make room for all curves, or for this step alone again."""
        if self.look.window is not None:
            self._change(replace(self.look, window=None))
        elif not self.look.sizes:
            self._change(replace(self.look, everything=not self.look.everything))

    def action_zoom(self, factor: float) -> None:
        """Make the window narrower or wider around the cursor, or around its middle."""
        low, high = self._whole()
        left, right = self.look.window or (low, high)
        centre = self.look.cursor if self.look.cursor is not None else (left + right) / 2
        wide = max((right - left) * factor, (high - low) * _CLOSEST_ZOOM)
        if wide >= high - low:
            self._change(replace(self.look, window=None))
        else:
            self._change(replace(self.look, window=within(centre - wide / 2, wide, low, high)))

    def action_pan(self, direction: int) -> None:
        """Move the window by a fifth of its width."""
        if self.look.window is not None:
            left, right = self.look.window
            wide = right - left
            moved = within(left + direction * wide / 5, wide, *self._whole())
            self._change(replace(self.look, window=moved))

    def action_cursor(self) -> None:
        """Switch the cursor on, at the newest value in view, or off."""
        if self.look.cursor is not None:
            self._change(replace(self.look, cursor=None))
        elif len(places := self._places()):
            _left, right = self.look.window or self._whole()
            inside = places[places <= right]
            self._change(replace(self.look, cursor=float(inside[-1] if len(inside) else places[0])))

    def action_move(self, direction: int) -> None:
        """Move the cursor by at least one column to the next value; without a cursor, pan."""
        cursor = self.look.cursor
        if cursor is None:
            self.action_pan(direction)
            return
        places = self._places()
        left, right = self.look.window or self._whole()
        column = (right - left) / max(self.content_size.width - 8, 1)
        ahead = places[places >= cursor + column] if direction > 0 else places[places <= cursor - column]
        if len(ahead) == 0:
            ahead = places[places > cursor] if direction > 0 else places[places < cursor]
        if len(ahead):
            target = float(ahead[0] if direction > 0 else ahead[-1])
            self._change(replace(self.look, cursor=target, window=self._window_with(target)))

    def _window_with(self, x: float) -> tuple[float, float] | None:
        """Return the window, moved until it contains ``x``."""
        if self.look.window is None or self.look.window[0] <= x <= self.look.window[1]:
            return self.look.window
        wide = self.look.window[1] - self.look.window[0]
        return within(x - wide / 2, wide, *self._whole())

    def _places(self) -> Column:
        return data.places(self._state, self._size_points(), self.look)
