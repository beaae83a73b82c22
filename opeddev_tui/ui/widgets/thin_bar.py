"""A horizontal scrollbar as a thin line: a bar of a whole line would be the loudest part of a table."""

from __future__ import annotations

from rich.color import Color
from rich.segment import Segment, Segments
from rich.style import Style
from textual.scrollbar import ScrollBarRender

_LINE = "━"


class ThinBar(ScrollBarRender):
    """Draws a horizontal bar as a line as long as what is in view; what lies left and right of it is blank."""

    @classmethod
    def render_bar(
        cls,
        size: int = 25,
        virtual_size: float = 50,
        window_size: float = 20,
        position: float = 0,
        thickness: int = 1,
        vertical: bool = True,
        back_color: Color = Color.parse("#555555"),  # noqa: B008 - the signature of Textual
        bar_color: Color = Color.parse("bright_magenta"),  # noqa: B008 - the signature of Textual
    ) -> Segments:
        """Return the bar; a part of it that is clicked scrolls, its line can be dragged."""
        if vertical:
            return super().render_bar(
                size, virtual_size, window_size, position, thickness, vertical, back_color, bar_color
            )
        long, start = size, 0
        if window_size and size and virtual_size > window_size:
            long = max(1, round(size * window_size / virtual_size))
            start = round((size - long) * position / (virtual_size - window_size))
        parts = ((" " * start, "scroll_up"), (_LINE * long, "grab"), (" " * (size - start - long), "scroll_down"))
        line = [
            Segment(text, Style(color=bar_color, bgcolor=back_color, meta={"@mouse.down": does}))
            for text, does in parts
            if text
        ]
        return Segments([*line, Segment.line()] * thickness, new_lines=False)
