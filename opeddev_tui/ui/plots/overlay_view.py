"""The widget that shows an overlay of runs; the screen around it handles the keys."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace
from rich.text import Text
from textual.widget import Widget

from opeddev_tui.terminal.ascii_fallback import ascii_only
from opeddev_tui.ui.plots.look import palette_of
from opeddev_tui.ui.plots.overlay import MEASURES, Line, Overlay, OverlayLook
from opeddev_tui.ui.plots.windows import panned, zoomed

# cells that the numbers of the y axis take
_LABELS = 8


class OverlayView(Widget):
    """Several runs in one chart, or in several charts beside each other."""

    DEFAULT_CSS = "OverlayView { height: 1fr; width: 1fr; padding: 0 1; }"

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.look = OverlayLook()
        self.overlay = Overlay(ascii_only=ascii_only())
        self._lines: tuple[Line, ...] = ()
        self._picture: tuple[tuple[object, ...], Text] | None = None

    def on_mount(self) -> None:
        """Draw again when the theme changes."""
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self.draw_anew())

    def show_lines(self, lines: Sequence[Line]) -> None:
        """Draw these runs from now on."""
        self._lines = tuple(lines)
        self.overlay.show(lines)
        self.draw_anew()

    def draw_anew(self) -> None:
        """Draw the picture again."""
        self._picture = None
        self.refresh()

    def render(self) -> Text:
        """Return the picture; another one only where the size or what is shown has changed."""
        size = self.content_size.width, self.content_size.height
        key = (size, self.look)
        if self._picture is None or self._picture[0] != key:
            drawn = Text("") if min(size) < 2 else self.overlay.draw(self.look, palette_of(self._variables), size)
            drawn.no_wrap = True
            self._picture = key, drawn
        return self._picture[1]

    @property
    def _variables(self) -> dict[str, str]:
        variables: dict[str, str] = getattr(self.app, "theme_variables", {})
        return variables

    def plain_text(self) -> str:
        """Return the picture as text, for the clipboard."""
        return self._picture[1].plain if self._picture is not None else ""

    # --- what keys change

    def change(self, look: OverlayLook) -> None:
        """Look in another way."""
        if look != self.look:
            self.look = look
            self.refresh()

    def next_measure(self, step: int) -> None:
        """Compare another measure."""
        names = list(MEASURES)
        name = names[(names.index(self.look.measure) + step) % len(names)]
        self.change(replace(self.look, measure=name, tiled=False))

    def toggle_cursor(self) -> None:
        """Switch the cursor on, at the newest point in view, or off."""
        _, right = self.look.window or self.overlay.whole(self.look)
        self.change(replace(self.look, cursor=right if self.look.cursor is None else None))

    def move(self, direction: int) -> None:
        """Move the cursor by a column of the picture, to the next point where these are further apart; or pan."""
        left, right = self.look.window or self.overlay.whole(self.look)
        if self.look.cursor is None:
            self._pan(direction)
            return
        column = (right - left) / max(self.content_size.width - _LABELS, 1)
        wanted = self.look.cursor + direction * column
        places = sorted({x for line in self._lines for x in self._places(line, wanted, direction)})
        if places:
            self.change(replace(self.look, cursor=places[0] if direction > 0 else places[-1]))

    def _places(self, line: Line, wanted: float, direction: int) -> list[float]:
        """Return the nearest place of a value of ``line`` from ``wanted`` on, none where there is none."""
        xs = self.overlay.points(line, self.look.measure, self.look)[0]
        ahead = xs[xs >= wanted - 1e-9] if direction > 0 else xs[xs <= wanted + 1e-9]
        return [float(ahead[0] if direction > 0 else ahead[-1])] if len(ahead) else []

    def _pan(self, direction: int) -> None:
        if self.look.window is not None:
            moved = panned(self.look.window, direction, self.overlay.whole(self.look))
            self.change(replace(self.look, window=moved))

    def zoom(self, factor: float) -> None:
        """Make the window narrower or wider around the cursor, or around its middle."""
        window = zoomed(self.look.window, factor, self.look.cursor, self.overlay.whole(self.look))
        self.change(replace(self.look, window=window))
