"""Owns the curves pane: the two plots of ``curve_data`` drawn to the pane's size, and the keys that change the view."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import replace
from rich.text import Text
from textual.binding import BindingType
from textual.timer import Timer
from textual.widget import Widget

from opeddev_tui.state import RunState
from opeddev_tui.ui import curve_data as data
from opeddev_tui.ui.ascii_fallback import ascii_only
from opeddev_tui.ui.curve_data import Look, Palette, palette_of
from opeddev_tui.ui.keys import Key, bindings
from opeddev_tui.ui.plotting import Colours, Series, render
from opeddev_tui.ui.points import within

if TYPE_CHECKING:
    from opeddev_tui.ui.points import Column

# at most about three pictures a second: a plot is most of the bytes on a slow line
DRAW_SECONDS = 0.35
SMOOTHINGS = (0.0, 0.6, 0.8, 0.95)
_CLOSEST_ZOOM = 1 / 512

CURVES: tuple[Key, ...] = (
    Key("l", "log_scale", "Log scale", "Logarithmic y axis, on and off.", footer=True),
    Key("m", "smoothing", "Smoothing", "Smooth the train loss: off, 0.6, 0.8, 0.95.", footer=True),
    Key("x", "x_axis", "X axis", "Epochs or optimizer steps on the x axis.", footer=True),
    Key("plus,equals_sign", "zoom(0.5)", "Zoom in", "Zoom in on the x axis.", shown="+"),
    Key("minus", "zoom(2.0)", "Zoom out", "Zoom out.", shown="-"),
    Key("0", "reset", "Whole plot", "Back from zoom and pan."),
    Key("left", "move(-1)", "Left", "Pan left, or move the cursor.", shown="←"),
    Key("right", "move(1)", "Right", "Pan right, or move the cursor.", shown="→"),
    Key("comma", "pan(-1)", "Pan left", "Pan left.", shown=","),
    Key("full_stop", "pan(1)", "Pan right", "Pan right.", shown="."),
    Key("v", "cursor", "Values", "A cursor that reads values; the arrows move it.", footer=True),
    Key("b", "sizes", "By data size", "Hold-out loss against the size of the data set, and back.", footer=True),
)


class CurvesView(Widget, can_focus=True):
    """Loss curves of a step, earlier ones dimmed behind; or the hold-out loss by size of the data set."""

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
        # something happened since the picture, while nobody could see it
        self._stale = False
        self._told: tuple[list[data.SizePoint], str | None] | None = None
        self._drawn_at = float("-inf")
        self._due: Timer | None = None

    def on_mount(self) -> None:
        """Follow the theme."""
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
        """Return what is shown, for the clipboard."""
        return self._picture[1].plain if self._picture is not None else ""

    def render(self) -> Text:
        """Return the picture, drawn again only when it must be.

        Who comes to this pane sees the picture of the last visit at once, and the new one right after it.
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
        self._stale = self._picture is not None and not self._seen_by_somebody()
        if not self._stale:
            self._picture = None
        self.refresh()

    def _draw_anew(self) -> None:
        """Draw, and do not show the last picture again."""
        self._picture = None
        self._draw_now()

    def _seen_by_somebody(self) -> bool:
        return self.display and self.screen is self.app.screen

    def _draw(self, width: int, height: int) -> Text:
        """Return legend, plot and, where the cursor is on, its values."""
        if width < 2 or height < 2:
            return Text("")
        self.pictures += 1
        palette = palette_of(self.app.theme_variables)
        points = data.size_points((*self._previous, self._state)) if self.look.sizes else []
        legend = self._legend(points, palette, width)
        reading = self._reading(points)
        lines = height - 1 - (reading is not None)
        picture = Text("\n").join([legend, self._plot(points, palette, width, lines)])
        if reading is not None:
            picture.append("\n" + _cut(reading, width), palette.cursor)
        picture.no_wrap = True
        return picture

    def _plot(self, points: Sequence[data.SizePoint], palette: Palette, width: int, height: int) -> Text:
        look = self.look
        colours = Colours(axes=palette.axis, cursor=palette.cursor, text=palette.axis)
        if look.sizes:
            series, label = data.size_series(points, palette), "rows trained on, all steps so far"
            empty = "The hold-out loss by size of the data set is drawn from the first finished epoch on."
            whole = (float(points[0].rows), float(points[-1].rows)) if len(points) > 1 else None
        else:
            series = self._loss_series(palette)
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
            cursor_x=look.cursor,
            colours=colours,
            ascii_only=self.ascii_only,
            empty=empty if look.window is None else "Nothing here: 0 shows the whole plot.",
        )

    def _loss_series(self, palette: Palette) -> list[Series]:
        """Return the series of the losses, from before where only the window or the cursor moved."""
        key = (self._seen, self.look.by_step, self.look.smoothing, palette)
        if key != self._series[0]:
            self._series = key, data.loss_series(self._state, self._previous, self.look, palette)
        return self._series[1]

    def _legend(self, points: Sequence[data.SizePoint], palette: Palette, width: int) -> Text:
        if self.look.sizes:
            entries = data.size_legend(points, palette)
        else:
            entries = data.loss_legend(self._state, self._previous, self.look, palette)
        for flags in self._flags(bool(entries)):
            legend = data.legend_text(entries, width - len(flags) - 2 if flags else width)
            if legend.plain.count("  ") >= len(entries) - 1:
                break
        if flags:
            legend.append(" " * (width - legend.cell_len - len(flags)) + flags, palette.axis)
        return legend

    def _flags(self, drawn: bool) -> tuple[str, ...]:
        """Return what was changed about the view, in words; shorter forms for where the legend needs the room."""
        look = self.look
        changed = [*(["log"] if look.log else []), *(["zoomed"] if look.window is not None else [])]
        smoothing = f"smoothing {look.smoothing:g}" if look.smoothing else "not smoothed"
        long = [smoothing, *changed] if drawn and not look.sizes else changed
        return ", ".join(long), ", ".join(changed)

    def _reading(self, points: Sequence[data.SizePoint]) -> str | None:
        look = self.look
        if look.cursor is None:
            return self._forecast(points) if look.sizes else None
        if look.sizes:
            return data.size_reading(points, look.cursor)
        return data.loss_reading(self._state, self._previous, look, look.cursor)

    def _forecast(self, points: Sequence[data.SizePoint]) -> str | None:
        """Return in words what more data should bring, None where the steps do not tell; computed once a step."""
        if self._told is None or self._told[0] != points:
            self._told = list(points), data.size_forecast((*self._previous, self._state))
        return self._told[1]

    def _change(self, look: Look) -> None:
        if look != self.look:
            self.look = look
            self._draw_now()

    def _whole(self) -> tuple[float, float]:
        if not self.look.sizes:
            return data.extent(self._state, self.look.by_step)
        rows = [float(point.rows) for point in data.size_points((*self._previous, self._state))]
        return (min(rows), max(rows)) if len(rows) > 1 else (0.0, 1.0)

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
        """Show everything."""
        self._change(replace(self.look, window=None))

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
        """Return the window, moved so far that it contains ``x``."""
        if self.look.window is None or self.look.window[0] <= x <= self.look.window[1]:
            return self.look.window
        wide = self.look.window[1] - self.look.window[0]
        return within(x - wide / 2, wide, *self._whole())

    def _places(self) -> Column:
        return data.places(self._state, data.size_points((*self._previous, self._state)), self.look)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"
