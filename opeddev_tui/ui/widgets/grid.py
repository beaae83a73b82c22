"""Table of the screens: cleaned text in every cell; the selected row stays selected while the rows change."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar, Literal

from rich.cells import cell_len
from rich.segment import Segment
from rich.text import Text
from textual.binding import BindingType
from textual.strip import Strip
from textual.widgets import DataTable

from opeddev_tui.text import clean_line
from opeddev_tui.ui.keys import TABLE, bindings
from opeddev_tui.ui.widgets.thin_bar import ThinBar

# a cell is text, or text and a style
Cell = str | tuple[str, str]


class Grid(DataTable[Text]):
    """A table whose rows have a key. Enter, or a click on the selected row, does ``enter``: an action of the screen."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(TABLE)

    def __init__(self, columns: Sequence[str], *, id: str, enter: str, right: Collection[str] = ()) -> None:
        super().__init__(id=id, cursor_type="row", zebra_stripes=False, cell_padding=1)
        self._titles = tuple(columns)
        # columns of numbers, written at the right
        self._right = frozenset(right)
        self._enter = enter
        self._filled: tuple[tuple[str, tuple[Cell, ...]], ...] = ()

    def on_mount(self) -> None:
        """Make the columns."""
        # Textual reads it from the bar, and declares it for all of them
        self.horizontal_scrollbar.renderer = ThinBar  # type: ignore[misc]
        self._make_columns()

    def _make_columns(self) -> None:
        for title in self._titles:
            self.add_column(Text(title, justify=self._side(title)))

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
        row = at + self.scroll_offset.y
        if at >= 0 and row >= len(self._filled):
            return False
        cells: Sequence[Cell] = self._filled[row][1] if at >= 0 else self._titles
        begin = 0
        for column, title, cell in zip(self.ordered_columns, self._titles, cells, strict=False):
            width = column.get_render_width(self)
            if edge < begin + width:
                text = cell_len(clean_line(_plain(cell)).rstrip())
                start = begin + (width - self.cell_padding - text if title in self._right else self.cell_padding)
                return start < edge < start + text
            begin += width
        return False

    @property
    def titles(self) -> tuple[str, ...]:
        """The titles of the columns, which the cells of every row belong to."""
        return self._titles

    def retitle(self, titles: Sequence[str]) -> None:
        """Have other columns from now on; the rows have to be filled in again."""
        if tuple(titles) != self._titles:
            self._titles, self._filled = tuple(titles), ()
            self.clear(columns=True)
            self._make_columns()

    def fill(self, rows: Sequence[tuple[str, tuple[Cell, ...]]]) -> None:
        """Show ``rows`` of (key, cells); the selected key stays selected. Draws nothing if nothing changed."""
        new = tuple(rows)
        if new == self._filled and self.row_count == len(new):
            return
        selected = self.selected
        self._filled = new
        self.clear()
        for key, cells in new:
            texts = (_text(cell, self._side(title)) for cell, title in zip(cells, self._titles, strict=True))
            self.add_row(*texts, key=key)
        at = next((number for number, (key, _) in enumerate(new) if key == selected), 0)
        if new:
            self.move_cursor(row=at)

    def fit_columns(self) -> None:
        """Make the columns as wide as their cells are now, the same row selected: Textual lets them grow only."""
        at, rows, self._filled = self.cursor_row, self._filled, ()
        self.clear(columns=True)
        self._make_columns()
        self.fill(rows)
        self.move_cursor(row=at)

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
        return _line(self._filled[self.cursor_row][1])

    @property
    def keys(self) -> list[str]:
        """The keys of all rows, in their order."""
        return [key for key, _ in self._filled]

    @property
    def all_cells(self) -> list[tuple[str, ...]]:
        """All rows as cleaned text, a cell per column."""
        return [tuple(clean_line(_plain(cell)).strip() for cell in cells) for _, cells in self._filled]

    @property
    def all_text(self) -> str:
        """All rows for the clipboard, a line each."""
        return "\n".join(_line(cells) for _, cells in self._filled)


def _line(cells: Sequence[Cell]) -> str:
    return "\t".join(clean_line(_plain(cell)) for cell in cells)


def _plain(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell[0]


def _text(cell: Cell, side: Literal["left", "right"]) -> Text:
    text, style = (cell, "") if isinstance(cell, str) else cell
    return Text(clean_line(text), style=style, no_wrap=True, justify=side)
