"""Scrolling frames around single texts; two of them can scroll together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from opeddev_tui.text import clean_line
from opeddev_tui.ui.keys import pane_title


class TextPane(VerticalScroll):
    """A scrolling frame around one text. Titles are cleaned here, the text by whoever hands it in."""

    def __init__(self, title: str, *, id: str, number: int = 0) -> None:
        super().__init__(id=id, classes="pane")
        self._number = number
        self.border_title = Content(pane_title(number, title))
        self._body = Static(markup=False, classes="body")
        self._drawn: tuple[object, ...] = ()
        self._place: object = None
        self._text = Content("")

    def compose(self) -> Iterable[Widget]:
        """Make the text."""
        yield self._body

    def set_text(self, title: str, text: Content, *, below: str = "", place: object = None) -> None:
        """Show ``text``, already cleaned; where ``place`` (prompt, point) is another one, scroll to the top."""
        drawn = (title, text.plain, text.spans, below)
        if drawn != self._drawn:
            self._drawn, self._text = drawn, text
            self.border_title = Content(pane_title(self._number, clean_line(title)))
            self.border_subtitle = Content(clean_line(below))
            self._body.update(text)
        if place != self._place:
            self._place = place
            self.scroll_home(animate=False)

    def go_to_end(self, way: int) -> None:
        """Scroll to the top (-1) or to the end (1)."""
        self.scroll_to(y=0 if way < 0 else self.max_scroll_y, animate=False)

    @property
    def lines_needed(self) -> int:
        """The lines that the whole text takes at this width, with its frame."""
        return self._text.get_height({}, max(1, self.size.width)) + 2

    @property
    def text(self) -> str:
        """The text on show, without styles."""
        return self._text.plain


def scroll_together(owner: Widget, first: TextPane, second: TextPane) -> None:
    """Let each of two panes follow the other, however it is scrolled."""

    def follow(other: TextPane, y: float) -> None:
        if round(other.scroll_y) != round(min(y, other.max_scroll_y)):
            other.scroll_to(y=y, animate=False)

    owner.watch(first, "scroll_y", lambda y: follow(second, y), init=False)
    owner.watch(second, "scroll_y", lambda y: follow(first, y), init=False)


def share_height(above: Widget, below: Widget) -> None:
    """Give two rows of texts the lines that they need; where there are too few, ``below`` at most two thirds of them.

    What is left over goes to ``below``. Nothing is done before they have a size.
    """
    room = above.outer_size.height + below.outer_size.height
    if not (above.display and below.display and above.outer_size.height and below.outer_size.height):
        return
    high, low = (max(pane.lines_needed for pane in row.query(TextPane)) for row in (above, below))
    high = min(high, room - min(low, room * 2 // 3))
    # fractions follow every change of the room around them
    above.styles.height, below.styles.height = f"{high}fr", f"{max(1, room - high)}fr"


def scrolled_text(screen: Screen[Any], unfocused: str) -> TextPane:
    """Return the text that keys of ``screen`` scroll: the focused one, else the one with the id ``unfocused``."""
    return screen.focused if isinstance(screen.focused, TextPane) else screen.query_one(f"#{unfocused}", TextPane)
