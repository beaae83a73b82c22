"""Table of the screens: cleaned text in every cell; the selected row stays selected while the rows change."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Literal

from rich.cells import cell_len
from rich.segment import Segment
from rich.text import Text
from textual.binding import BindingType
from textual.events import Resize
from textual.message import Message
from textual.strip import Strip
from textual.widgets import DataTable

from opeddev_tui.text import clean_line
from opeddev_tui.ui.keys import TABLE, bindings
from opeddev_tui.ui.widgets.column_widths import natural, shortened
from opeddev_tui.ui.widgets.tables import cut
from opeddev_tui.ui.widgets.thin_bar import ThinBar

# a cell is text, or text and a style
Cell = str | tuple[str, str]


class Grid(DataTable[Text]):
    """A table whose rows have a key. Enter, or a click on the selected row, does ``enter``: an action of the screen."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(TABLE)

    class Laid(Message):
        """Other columns are in view, or may be."""

    def __init__(
        self,
        columns: Sequence[str],
        *,
        id: str,
        enter: str,
        right: Collection[str] = (),
        gives: Mapping[str, int] = MappingProxyType({}),
        leaves_out: Sequence[str] = (),
        tall: Collection[str] = (),
    ) -> None:
        super().__init__(id=id, cursor_type="row", zebra_stripes=False, cell_padding=1)
        self._titles = tuple(columns)
        # columns of numbers, written at the right
        self._right = frozenset(right)
        # columns that give way where the table is too wide, each down to so many cells; the first one gives first
        self._gives = gives
        # columns that go where the others still have no room, the first one first; files and details have them all
        self._leaves_out = leaves_out
        # columns of texts that may have several lines: their cells come broken into them
        self._tall = frozenset(tall)
        self._enter = enter
        self._filled: tuple[tuple[str, tuple[Cell, ...]], ...] = ()
        # of every line of the rows: the row, and which of its lines it is
        self._lines: tuple[tuple[int, int], ...] = ()
        # of the columns that are shown: their places, titles and cells
        self._laid: tuple[tuple[int, ...], tuple[str, ...], tuple[int, ...]] = ((), (), ())

    def on_mount(self) -> None:
        """Make the columns."""
        # Textual reads it from the bar, and declares it for all of them
        self.horizontal_scrollbar.renderer = ThinBar  # type: ignore[misc]
        self._make_columns()

    def on_resize(self, event: Resize) -> None:  # noqa: ARG002 - Textual's signature
        """Let columns give way, or have what they gave back."""
        self._fit()
        self.post_message(self.Laid())

    def watch_scroll_x(self, old_value: float, new_value: float) -> None:
        """Tell that other columns are in view."""
        super().watch_scroll_x(old_value, new_value)
        self.post_message(self.Laid())

    def action_scroll_right(self) -> None:
        """Scroll until the next column is the first in view."""
        self.scroll_to(x=next((at for at in self._begins() if at > self.scroll_offset.x), None), animate=False)

    def action_scroll_left(self) -> None:
        """Scroll back to the column before the first in view."""
        self.scroll_to(x=max((at for at in self._begins() if at < self.scroll_offset.x), default=0), animate=False)

    def _begins(self) -> list[int]:
        """Return where the columns begin, in cells."""
        widths = [column.get_render_width(self) for column in self.ordered_columns]
        return [sum(widths[:at]) for at in range(len(widths))]

    def _make_columns(self) -> None:
        """Have empty columns for the rows there are now. Textual's own widths only grow, and come later than rows."""
        laid = self._fitted()
        if laid == self._laid:
            self.clear()
            return
        self._laid = laid
        self.clear(columns=True)
        for title, width in zip(*laid[1:], strict=True):
            self.add_column(Text(title, justify=self._side(title)), width=width)

    def render_line(self, y: int) -> Strip:
        """Draw a line; a text that the right edge cuts ends in "…", as one that a column cuts does."""
        strip = super().render_line(y)
        # the bar at the right covers what is drawn below it
        width = min(strip.cell_length, self.scrollable_content_region.width)
        if width < 2 or not self._is_cut(y, self.scroll_offset.x + width):
            return strip
        last = strip.crop(width - 1, width)
        style = next((segment.style for segment in last), None)
        return Strip([*strip.crop(0, width - 1), Segment("…", style)], width)

    def _is_cut(self, y: int, edge: int) -> bool:
        """Return whether a text of the line ``y`` begins before the column of cells ``edge`` and ends behind it."""
        at = y - self.header_height
        line = at + self.scroll_offset.y
        if at >= 0 and line >= len(self._lines):
            return False
        places, titles, _ = self._laid
        row, of_row = self._lines[line] if at >= 0 else (0, 0)
        cells: Sequence[Cell] = [self._filled[row][1][place] for place in places] if at >= 0 else titles
        begin = 0
        for column, title, cell in zip(self.ordered_columns, titles, cells, strict=False):
            width = column.get_render_width(self)
            if edge < begin + width:
                text = cell_len([*self._lines_of(title, cell), *[""] * of_row][of_row].rstrip())
                start = begin + (width - self.cell_padding - text if title in self._right else self.cell_padding)
                return start < edge < start + text
            begin += width
        return False

    def _lines_of(self, title: str, cell: Cell) -> list[str]:
        """Return the cleaned lines of a cell below ``title``: one, if that column is none of several lines."""
        return [clean_line(line) for line in (_plain(cell).split("\n") if title in self._tall else [_plain(cell)])]

    def _height(self, cells: Sequence[Cell]) -> int:
        """Return how many lines a row has."""
        return max(
            (len(self._lines_of(title, cell)) for title, cell in zip(self._titles, cells, strict=False)), default=1
        )

    @property
    def titles(self) -> tuple[str, ...]:
        """The titles of all columns, which the cells of every row belong to."""
        return self._titles

    @property
    def titles_shown(self) -> tuple[str, ...]:
        """The titles of the columns that there is room for."""
        return self._laid[1]

    @property
    def titles_in_view(self) -> list[str]:
        """The titles that can be read where the table is scrolled to now."""
        begin, found = self.scroll_offset.x, []
        edge, at = begin + self.scrollable_content_region.width, 0
        for column, title in zip(self.ordered_columns, self.titles_shown, strict=False):
            width = column.get_render_width(self)
            start = at + self.cell_padding
            if title in self._right:
                start = at + width - self.cell_padding - cell_len(title.rstrip())
            if begin <= start and start + cell_len(title.rstrip()) <= edge:
                found.append(title.rstrip())
            at += width
        return found

    def room_for(self, titles: Sequence[str], rows: Sequence[Sequence[Cell]]) -> bool:
        """Return whether a table of these columns has room without scrolling, nothing cut."""
        needed = natural(titles, [[_shown(cell) for cell in cells] for cells in rows])
        return sum(needed) + 2 * self.cell_padding * len(needed) <= self._room(len(rows))

    def _room(self, lines: int) -> int:
        """Return the cells of a line beside the bar that ``lines`` need."""
        bar = self.scrollbar_size_vertical if lines + self.header_height > self.size.height else 0
        return self.size.width - bar

    def retitle(self, titles: Sequence[str], rows: Sequence[tuple[str, tuple[Cell, ...]]]) -> None:
        """Show ``rows`` of (key, cells) under other titles; the selected key stays selected."""
        if tuple(titles) == self._titles:
            self.fill(rows)
            return
        self._titles = tuple(titles)
        self._draw(tuple(rows))

    def fill(self, rows: Sequence[tuple[str, tuple[Cell, ...]]]) -> None:
        """Show ``rows`` of (key, cells); the selected key stays selected. Draws nothing if nothing changed."""
        new = tuple(rows)
        if new != self._filled or self.row_count != len(new):
            self._draw(new)

    def _draw(self, new: tuple[tuple[str, tuple[Cell, ...]], ...]) -> None:
        selected = self.selected
        self._filled = new
        heights = [self._height(cells) for _, cells in new]
        self._lines = tuple((row, line) for row, height in enumerate(heights) for line in range(height))
        self._make_columns()
        for (key, cells), height in zip(new, heights, strict=True):
            every = zip((cells[at] for at in self._laid[0]), *self._laid[1:], strict=True)
            texts = (self._text(title, cell, width) for cell, title, width in every)
            self.add_row(*texts, key=key, height=height)
        at = next((number for number, (key, _) in enumerate(new) if key == selected), 0)
        if new:
            self.move_cursor(row=at)
        self.call_after_refresh(self.post_message, self.Laid())

    def _fit(self) -> None:
        """Draw the rows again where columns have another width in the room there is now."""
        if self._filled and self._fitted() != self._laid:
            self._draw(self._filled)

    def _fitted(self) -> tuple[tuple[int, ...], tuple[str, ...], tuple[int, ...]]:
        """Return places, titles and cells of the columns that there is room for."""
        needed = natural(self._titles, [self._widest(cells) for _, cells in self._filled])
        for left_out in range(len(self._leaves_out) + 1):
            gone = self._leaves_out[:left_out]
            places = tuple(at for at, title in enumerate(self._titles) if title not in gone)
            titles = tuple(self._titles[at] for at in places)
            room = self._room(len(self._lines)) - 2 * self.cell_padding * len(places)
            widths = shortened(titles, [needed[at] for at in places], self._gives, room)
            if sum(widths) <= room:
                break
        return places, titles, widths

    def _widest(self, cells: Sequence[Cell]) -> list[str]:
        """Return the widest line of each cell."""
        each = (self._lines_of(title, cell) for title, cell in zip(self._titles, cells, strict=False))
        return [max(lines, key=cell_len) for lines in each]

    def _text(self, title: str, cell: Cell, width: int) -> Text:
        style = cell[1] if isinstance(cell, tuple) else ""
        lines = [cut(line.rstrip(), width) for line in self._lines_of(title, cell)]
        return Text("\n".join(lines), style=style, no_wrap=True, justify=self._side(title))

    def _side(self, title: str) -> Literal["left", "right"]:
        return "right" if title in self._right else "left"

    async def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Do what Enter does on this screen."""
        event.stop()
        await self.run_action(f"screen.{self._enter}")

    @property
    def selected(self) -> str:
        """The key of the row under the cursor, "" where there is none."""
        return self._filled[self.cursor_row][0] if 0 <= self.cursor_row < len(self._filled) else ""

    @property
    def selected_text(self) -> str:
        """The row under the cursor for the clipboard, its cells separated by tabs."""
        if not 0 <= self.cursor_row < len(self._filled):
            return ""
        return self._line(self._filled[self.cursor_row][1])

    @property
    def keys(self) -> list[str]:
        """The keys of all rows, in their order."""
        return [key for key, _ in self._filled]

    @property
    def all_cells(self) -> list[tuple[str, ...]]:
        """All rows as cleaned text, a cell per column."""
        return [tuple(text.strip() for text in self._whole(cells)) for _, cells in self._filled]

    @property
    def all_text(self) -> str:
        """All rows for the clipboard, a line each."""
        return "\n".join(self._line(cells) for _, cells in self._filled)

    def _whole(self, cells: Sequence[Cell]) -> list[str]:
        """Return the cleaned text of each cell, on one line."""
        return [" ".join(self._lines_of(title, cell)) for title, cell in zip(self._titles, cells, strict=False)]

    def _line(self, cells: Sequence[Cell]) -> str:
        return "\t".join(self._whole(cells))


def _plain(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell[0]


def _shown(cell: Cell) -> str:
    return clean_line(_plain(cell))
