"""A list of any number of lines: only those in sight are made. A table widget takes seconds for 100,000 rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.cells import set_cell_size
from rich.segment import Segment
from textual.binding import BindingType
from textual.events import Click, Resize
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from opeddev_tui.ui.key_rows import bindings
from opeddev_tui.ui.list_keys import LONG_LIST


class LongList(ScrollView, can_focus=True):
    """Lines by number, with a cursor. Enter, or a click on the selected line, does ``enter``: an action of the screen.

    ``line`` returns the text of a line, already cleaned; it is called for lines in sight only.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings(LONG_LIST)
    COMPONENT_CLASSES: ClassVar[set[str]] = {"long-list--cursor", "long-list--line"}
    DEFAULT_CSS = """
    LongList { height: 1fr; background: $background; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 0; }
    LongList > .long-list--line { background: $background; color: $foreground; }
    LongList > .long-list--cursor { background: $panel; color: $foreground; text-style: bold; }
    LongList:focus > .long-list--cursor { background: $primary; color: $background; text-style: bold; }
    """

    class Moved(Message):
        """The cursor is on another line."""

    def __init__(self, *, id: str, enter: str) -> None:
        super().__init__(id=id)
        self._enter = enter
        self._count = 0
        self._line: Callable[[int], str] = str
        self.cursor = 0

    def fill(self, count: int, line: Callable[[int], str], cursor: int = 0) -> None:
        """Show ``count`` lines, with the cursor on one of them."""
        self._count, self._line = count, line
        self.virtual_size = Size(self.size.width, count)
        self.move_to(cursor)
        self.refresh()

    @property
    def count(self) -> int:
        """How many lines there are."""
        return self._count

    @property
    def selected_text(self) -> str:
        """The line under the cursor."""
        return self._line(self.cursor).rstrip() if self._count else ""

    def render_line(self, y: int) -> Strip:
        """Return a line in sight."""
        number, width = y + self.scroll_offset.y, self.size.width
        part = "cursor" if number == self.cursor else "line"
        style = self.get_component_rich_style(f"long-list--{part}")
        text = f" {self._line(number)}" if number < self._count else ""
        plain = self.get_component_rich_style("long-list--line") if number >= self._count else style
        return Strip([Segment(set_cell_size(text, width), plain)], width)

    def move_to(self, number: int) -> None:
        """Move the cursor to a line, and that line into sight."""
        before, self.cursor = self.cursor, max(0, min(number, self._count - 1))
        if self.cursor != before:
            self.post_message(self.Moved())
        top, height = self.scroll_offset.y, max(self.size.height, 1)
        if not top <= self.cursor < top + height:
            self.scroll_to(y=self.cursor if self.cursor < top else self.cursor - height + 1, animate=False, force=True)
        self.refresh()

    def on_resize(self, event: Resize) -> None:
        """Fit the lines to the new width."""
        self.virtual_size = Size(event.size.width, self._count)
        self.move_to(self.cursor)

    async def on_click(self, event: Click) -> None:
        """Select a line, or choose the selected one."""
        number = event.y + self.scroll_offset.y
        if number == self.cursor:
            await self.action_choose()
        elif number < self._count:
            self.move_to(number)

    def action_cursor(self, step: int) -> None:
        """Go to the next or the previous line."""
        self.move_to(self.cursor + step)

    def action_page(self, step: int) -> None:
        """Go a page further."""
        self.move_to(self.cursor + step * max(1, self.size.height - 1))

    def action_end(self, step: int) -> None:
        """Go to the first or the last line."""
        self.move_to(self._count - 1 if step > 0 else 0)

    async def action_choose(self) -> None:
        """Do what Enter does on this screen."""
        if self._count:
            await self.run_action(f"screen.{self._enter}")
