"""The curves pane: the charts of ``picture`` drawn to the pane's size, and the keys that change the view.

What draws is imported with the first curve: the first frame of the app has none and must not wait for it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import replace
from rich.text import Text
from textual.binding import BindingType
from textual.content import Content
from textual.timer import Timer
from textual.widget import Widget

from opeddev_tui.runs.state import RunState
from opeddev_tui.terminal.ascii_fallback import ascii_only
from opeddev_tui.ui.keys import CURVES, bindings, pane_title
from opeddev_tui.ui.plots.look import LEAST_HEIGHT, LEAST_WIDTH, NO_LOSS, Look, in_middle, palette_of, signature
from opeddev_tui.ui.plots.windows import panned, within, zoomed

if TYPE_CHECKING:
    from opeddev_tui.ui.plots.downsample import Column
    from opeddev_tui.ui.plots.picture import Pictures

# at most about three pictures a second: a plot is most of the bytes on a slow line
DRAW_SECONDS = 0.35
SMOOTHINGS = (0.0, 0.6, 0.8, 0.95)


class CurvesView(Widget, can_focus=True):
    """Loss curves of a step with those of earlier steps behind, and the charts of ``charts``, one by one or tiled.

    ``pictures`` counts how often a picture was drawn.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings(CURVES)
    brief: ClassVar[str] = (
        "{curves.next-chart} shows the next chart, {curves.all-charts} all of them, {curves.values} values at a cursor."
    )
    DEFAULT_CSS = "CurvesView { height: 1fr; width: 1fr; }"

    def __init__(self, *, id: str | None = None, classes: str | None = None, number: int = 0) -> None:
        super().__init__(id=id, classes=classes)
        self._number = number
        self.border_title = Content(pane_title(number, "Loss curves"))
        self.look = Look()
        self.pictures = 0
        self.ascii_only = ascii_only()
        self._state = RunState()
        self._previous: tuple[RunState, ...] = ()
        self._seen: tuple[object, ...] = ()
        self._drawing: Pictures | None = None
        self._picture: tuple[tuple[int, int], Text] | None = None
        # the state has changed since the picture was drawn, while the pane was out of sight
        self._stale = False
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
        seen = (signature(state), *(signature(run) for run in previous))
        if seen == self._seen:
            return
        self._seen = seen
        if self._drawing is not None:
            self._drawing.show(state, self._previous, seen)
        if not self.is_mounted:
            return
        wait = self._drawn_at + DRAW_SECONDS - time.monotonic()
        if wait <= 0:
            self._draw_now()
        elif self._due is None:
            self._due = self.set_timer(wait, self._draw_now)

    @property
    def _pictures(self) -> Pictures:
        if self._drawing is None:
            from opeddev_tui.ui.plots.picture import Pictures

            self._drawing = Pictures(ascii_only=self.ascii_only)
            self._drawing.show(self._state, self._previous, self._seen)
        return self._drawing

    @property
    def _has_nothing(self) -> bool:
        return not (self._state.curves.loss or self._state.holdout or self._previous)

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
        """Return legend, plot and, where the cursor is on, its values; or several such charts beside each other."""
        if width < 2 or height < 2:
            return Text("")
        self.pictures += 1
        palette = palette_of(self.app.theme_variables)
        if self._drawing is None and self._has_nothing and width >= LEAST_WIDTH and height > LEAST_HEIGHT:
            picture = Text("\n").append_text(in_middle(NO_LOSS, width, height - 1, palette.axis))
        else:
            picture = self._pictures.draw(self.look, palette, (width, height))
        picture.no_wrap = True
        return picture

    def _change(self, look: Look) -> None:
        if look != self.look:
            from opeddev_tui.ui.plots.charts import title

            self.look = look
            # from now on it draws, also where there is nothing: it says what was changed
            self._drawing = self._pictures
            self.border_title = Content(pane_title(self._number, title(look)))
            self._draw_now()

    def _whole(self) -> tuple[float, float]:
        """Return the range of the x axis without zoom."""
        return self._pictures.whole(self.look)

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
        """Switch between the losses by epoch and by size of the data set."""
        chart = "loss" if self.look.sizes else "sizes"
        self._change(replace(self.look, chart=chart, tiled=False, window=None, cursor=None))

    def action_chart(self, step: int) -> None:
        """Go to the next or the previous chart; the cursor and the window stay, where the x axis is the same."""
        from opeddev_tui.ui.plots.charts import PAGES

        chart = PAGES[(PAGES.index(self.look.chart) + step) % len(PAGES)]
        other_axis = "sizes" in (chart, self.look.chart)
        kept = replace(self.look, window=None, cursor=None) if other_axis else self.look
        self._change(replace(kept, chart=chart, tiled=False))

    def action_tile(self) -> None:
        """Show as many charts as fit beside each other, or one again."""
        chart = "loss" if self.look.chart == "sizes" else self.look.chart
        self._change(replace(self.look, tiled=not self.look.tiled, chart=chart))

    def action_reset(self) -> None:
        """Undo zoom and pan; where there is none, make room for all curves, or for this step alone again."""
        if self.look.window is not None:
            self._change(replace(self.look, window=None))
        elif not self.look.sizes:
            self._change(replace(self.look, everything=not self.look.everything))

    def action_zoom(self, factor: float) -> None:
        """Make the window narrower or wider around the cursor, or around its middle."""
        window = zoomed(self.look.window, factor, self.look.cursor, self._whole())
        self._change(replace(self.look, window=window))

    def action_pan(self, direction: int) -> None:
        """Move the window by a fifth of its width."""
        if self.look.window is not None:
            self._change(replace(self.look, window=panned(self.look.window, direction, self._whole())))

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
        return within(x - wide / 2, wide, self._whole())

    def _places(self) -> Column:
        return self._pictures.places(self.look)
