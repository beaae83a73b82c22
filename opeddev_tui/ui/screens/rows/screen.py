"""The row browser: every row of the batches and of the hold-out, to search, to sort and to read.

The sealed test set is not among the sets: its rows are never shown one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content
from textual.events import Resize
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from opeddev_tui.analysis.run_filter import Filter, parse_in_part
from opeddev_tui.format import plural
from opeddev_tui.text import clean_line
from opeddev_tui.ui.keys import ROWS, bindings
from opeddev_tui.ui.screens.detailed import DetailedScreen
from opeddev_tui.ui.screens.rows import listing
from opeddev_tui.ui.screens.rows.details import FRAMES, parts_of
from opeddev_tui.ui.state.view import View
from opeddev_tui.ui.tasks.lists import Listed
from opeddev_tui.ui.tasks.rows import RowSet, RowTasks
from opeddev_tui.ui.widgets.bars import ClickBar, tab
from opeddev_tui.ui.widgets.details import Details, Part
from opeddev_tui.ui.widgets.filter_box import FilterBox
from opeddev_tui.ui.widgets.legend import Legend
from opeddev_tui.ui.widgets.long_list import LongList
from opeddev_tui.ui.widgets.query_box import QueryError, heading

# seconds after the last key of a search until the rows are looked through
_PAUSE = 0.15


class RowsScreen(DetailedScreen):
    """One set at a time; losses and grades are those of the run on show."""

    mode: ClassVar[str] = "rows"
    BINDINGS: ClassVar[list[BindingType]] = bindings(ROWS)
    AUTO_FOCUS = "#rows-list"
    list_selector: ClassVar[str] = "#rows-list"
    panes: ClassVar[tuple[str, ...]] = FRAMES
    explanations: ClassVar[Mapping[str, Legend]] = {
        "rows-list": {
            "read": "a grade, by what is named above",
            "off": "how many grades from yours",
            "chars": "length of the row",
            "": "{rows.read} shows a row as the model sees it",
        },
        "details": "The selected row as the files have it; {rows.read} shows it as the model sees it.",
    }
    DEFAULT_CSS = """
    RowsScreen #sets { height: 1; padding: 0 1; }
    RowsScreen #titles { height: 1; color: $muted; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.tasks = RowTasks(self.shell)
        self.rows: RowSet | None = None
        self.order = next(iter(listing.ORDERS))
        self.chosen: list[int] = []
        # those that the set on show has values for
        self._columns: tuple[listing.Column, ...] = ()
        self._orders = [self.order]
        self._sets: list[str] = []
        self._set = ""
        self._reading = ""
        self._filter = Filter()
        self._seen: tuple[object, ...] = ()
        self._due: Timer | None = None

    def compose_body(self) -> Iterable[Widget]:
        """Make the sets, the heading, the search and the list."""
        yield ClickBar(id="sets")
        yield Static(markup=False, id="which", classes="hint")
        yield FilterBox("loss>2 grade=3 kind:css, off>1, or words in the row", "#rows-list")
        yield QueryError()
        yield Static(markup=False, id="titles")
        yield LongList(id="rows-list", enter="open_row")
        yield Details(FRAMES)

    async def on_unmount(self) -> None:
        """End the process that encodes rows."""
        await self.tasks.close()

    def on_resize(self, event: Resize) -> None:  # noqa: ARG002 - Textual's signature
        """Fit the lines to the new width."""
        self.call_after_refresh(self._draw)

    @property
    def lowest(self) -> int:
        """The lowest grade of the scale."""
        return self.shell.loaded.settings.grading.minimum

    def show_body(self, view: View) -> None:
        """Read the set on show again where the data, or what is known of its rows, has changed."""
        if not view.has_workspace:
            self.query_one("#which", Static).update(Content("No workspace here, so no rows."))
            return
        state, scan = view.state, self.shell.session.scan
        seen = (view.run, len(state.holdout), len(state.grades), scan.stamp if scan is not None else ())
        if seen != self._seen:
            self._seen = seen
            self.action_reload()

    def action_reload(self) -> None:
        """Read the files again."""
        if self.shell.session.has_workspace:
            self.tasks.sets(self._take_sets)

    def _take_sets(self, names: list[str]) -> None:
        if not self.can_be_drawn:
            return
        self._sets = names
        if self._set not in names:
            self._set = names[0]
        self._read()

    def _read(self) -> None:
        self._reading = self._set
        self._draw_sets()

        def ended() -> None:
            self._reading = ""
            self._draw_heading()

        self._draw_heading()
        self.tasks.read(self._set, self.shell.session.state, self._take, ended)

    def _take(self, rows: RowSet) -> None:
        if rows.name == self._set:
            self.rows, self._columns = rows, listing.columns_of(rows, self.lowest)
            self._orders = listing.orders_of(rows)
            if self.order not in self._orders:
                self.order = self._orders[0]
            self._arrange()

    def titles_in_view(self, name: str) -> Collection[str]:
        """Return the titles of the columns that the lines have at this width."""
        return [column.title for column in self._shown()] if name == "rows-list" else super().titles_in_view(name)

    @property
    def _width(self) -> int:
        """The cells of a line."""
        return self.size.width - 2

    def _shown(self) -> list[listing.Column]:
        """Return the columns of the lines."""
        return listing.fitting(self._columns, self._width)

    # --- searching and sorting

    def filter_changed(self) -> None:
        """Search when a person has stopped typing for a moment."""
        if self._due is not None:
            self._due.stop()
        self._due = self.set_timer(_PAUSE, self.fill)

    def fill(self) -> None:
        """Search and sort again."""
        self._due = None
        self._arrange()

    def _arrange(self) -> None:
        if self.rows is None or not self.can_be_drawn:
            return
        rows = self.rows
        self._filter, problem = parse_in_part(self.filter_text, listing.known_names(rows))
        self.query_one(QueryError).say(problem)
        work = partial(listing.arranged, rows, self.order, self._filter, self.lowest)
        self.tasks.arrange(work, partial(self._take_chosen, rows))

    def _take_chosen(self, rows: RowSet, chosen: list[int]) -> None:
        if rows is not self.rows or not self.can_be_drawn:
            return
        grid = self.query_one(LongList)
        selected = self.chosen[grid.cursor] if grid.cursor < len(self.chosen) else -1
        self.chosen = chosen
        self._draw(chosen.index(selected) if selected in chosen else 0)

    # --- drawing

    def _draw(self, cursor: int | None = None) -> None:
        rows = self.rows
        if rows is None or not self.can_be_drawn:
            return
        grid, width, shown = self.query_one(LongList), self._width, self._shown()
        chosen = self.chosen
        grid.fill(len(chosen), lambda at: listing.line(rows, chosen[at], shown, width),
                  grid.cursor if cursor is None else cursor)  # fmt: skip
        self.query_one("#titles", Static).update(Content(listing.heading(shown)))
        self._draw_sets()
        self._draw_heading()
        self.explain()
        self.draw_details()

    def on_long_list_moved(self) -> None:
        """Get ready to show a row as the model sees it: who looks through the list will open one."""
        self.tasks.prepare()

    def detail_parts(self) -> tuple[object, Sequence[Part]]:
        """Return the texts of the selected row, and what is recorded of it."""
        rows, cursor = self.rows, self.query_one(LongList).cursor
        if rows is None or not 0 <= cursor < len(self.chosen):
            return None, ()
        at = self.chosen[cursor]
        return (rows.name, at), parts_of(rows, at, self.lowest)

    def _draw_sets(self) -> None:
        parts = [(tab(clean_line(name), name == self._set), f"choose_set({at})") for at, name in enumerate(self._sets)]
        at = self._sets.index(self._set) if self._set in self._sets else 0
        self.query_one("#sets", ClickBar).lay_around(parts, at, gap=1)

    def _draw_heading(self) -> None:
        if not self.can_be_drawn:
            return
        rows = self.rows
        parts = [f"Reading {clean_line(self._reading)} …"] if self._reading else []
        if rows is not None and rows.name == self._set:
            if not rows.examples and rows.note:
                self.query_one("#which", Static).update(Content(f"No rows: {clean_line(rows.note)}"))
                return
            count = plural(len(rows.examples), "row")
            parts.append(count if len(self.chosen) == len(rows.examples) else f"{len(self.chosen):,} of {count}")
            parts.append(self.order)
            parts += [f"read by {rows.read_by}"] if any(column.title == "read" for column in self._columns) else []
            parts += ["losses: of the hold-out only"] if not rows.holdout else []
            parts += [clean_line(rows.note)] if rows.note else []
        self.query_one("#which", Static).update(heading(parts, self.filter_text))

    # --- keys

    def action_order(self, step: int) -> None:
        """Sort in another way."""
        names = self._orders
        self.order = names[(names.index(self.order) + step) % len(names)]
        self.query_one(LongList).cursor = 0
        self.chosen = []
        self._arrange()

    def action_set(self, step: int) -> None:
        """Show another set."""
        if self._sets:
            self.action_choose_set((self._sets.index(self._set) + step) % len(self._sets))

    def action_choose_set(self, at: int) -> None:
        """Show a set by its place."""
        self._set = self._sets[at]
        self.chosen = []
        self._read()

    def action_open_row(self) -> None:
        """Read the selected row."""
        from opeddev_tui.ui.screens.rows.row import RowScreen

        if self.rows is None or not self.chosen:
            return
        grid = self.query_one(LongList)

        def back(place: int | None) -> None:
            if place is not None:
                grid.move_to(place)

        screen = RowScreen(self.tasks, self.rows, self.chosen, grid.cursor, self.lowest)
        self.shell.push_screen(screen, back)

    def action_clear_filter(self) -> None:
        """Drop the search."""
        if not self.leave_details():
            self.query_one(FilterBox).drop()

    def listed(self) -> Callable[[], Listed] | None:
        """Return what hands over the rows that are listed, in their order, with all of their texts."""
        return partial(listing.listed, self.rows, tuple(self.chosen), self.lowest) if self.rows is not None else None

    def text_to_copy(self) -> str:
        """Return the focused text, else the selected line."""
        return super().text_to_copy() or self.query_one(LongList).selected_text
