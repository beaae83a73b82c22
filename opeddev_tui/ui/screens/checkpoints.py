"""Owns the checkpoint browser: what there is, whether it can be trusted, what can be done with it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.widget import Widget
from textual.widgets import DataTable, Input, Static

from opeddev_tui.catalog import Entry
from opeddev_tui.format import plural, size
from opeddev_tui.text import clean_line
from opeddev_tui.ui import shelf as sh
from opeddev_tui.ui.columns import Column, table
from opeddev_tui.ui.keys import CHECKPOINTS, Key, bindings
from opeddev_tui.ui.screens.checkpoint_actions import CheckpointActions
from opeddev_tui.ui.screens.grid import Grid
from opeddev_tui.ui.screens.place import Place
from opeddev_tui.ui.shelf_work import ShelfWork
from opeddev_tui.ui.view import View

# from this width on the details stand beside the table
_BESIDE = 230


class CheckpointsScreen(CheckpointActions, Place):
    """Every checkpoint of the workspace as a tree of steps, runs and epochs, explained below or beside."""

    mode: ClassVar[str] = "checkpoints"
    own_keys: ClassVar[tuple[Key, ...]] = CHECKPOINTS
    BINDINGS: ClassVar[list[BindingType]] = bindings(CHECKPOINTS)
    AUTO_FOCUS = "#checkpoints"
    DEFAULT_CSS = """
    CheckpointsScreen #shelf { height: 1fr; layout: vertical; }
    CheckpointsScreen #shelf > DataTable { height: 1fr; width: 1fr; min-height: 4; }
    CheckpointsScreen #about { height: auto; max-height: 55%; border-top: solid $border-idle; padding: 0 1;
      background: $surface; scrollbar-size-vertical: 1; }
    CheckpointsScreen #detail { height: auto; min-height: 3; }
    CheckpointsScreen.-beside #shelf { layout: horizontal; }
    CheckpointsScreen.-beside #about { width: 32%; height: 1fr; max-height: 100%; border-top: none;
      border-left: solid $border-idle; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.shelf: sh.Shelf | None = None
        self.verified: dict[str, list[str]] = {}
        self.marked: list[str] = []
        self._order, self._wanted = "tree", ""
        self._seen: tuple[object, ...] = ()
        self._memory = ""

    @property
    def work(self) -> ShelfWork:
        """What happens in threads."""
        return ShelfWork(self.boss)

    def compose_body(self) -> Iterable[Widget]:
        """Make the summary, the filter, the table and the details."""
        yield Static(markup=False, id="summary", classes="hint")
        yield Input(placeholder="filter: best, lora, step 2, a note; Enter keeps it, Esc drops it", id="filter")
        with Container(id="shelf"):
            yield Grid(sh.TITLES, id="checkpoints")
            with VerticalScroll(id="about", can_focus=True):
                yield Static(markup=False, id="detail")

    def on_resize(self, event: Resize) -> None:
        """Put the details where there is room."""
        self.set_class(event.size.width >= _BESIDE, "-beside")
        self.call_after_refresh(self._show_detail)

    def show_body(self, view: View) -> None:
        """Read the shelf again if the run on show has made or lost a checkpoint."""
        self._memory = _memory(view)
        seen = (view.run, view.state.status, tuple(view.state.checkpoints), len(self.boss.session.rows))
        if seen != self._seen:
            self._seen = seen
            self.reload()
        self._summary()

    def reload(self) -> None:
        """Read what is on disk."""
        if self.boss.session.root is not None:
            self.work.read(self._read)

    def _read(self, found: sh.Shelf) -> None:
        self.shelf = found
        known = {str(entry.folder) for entry in found.entries}
        self.marked = [key for key in self.marked if key in known]
        self.fill()

    def fill(self) -> None:
        """Show the lines as they are now."""
        if self.shelf is None or not self.is_mounted:
            return
        rows = sh.lines(self.shelf, self.verified, self.marked, order=self._order, wanted=self._wanted, now=time.time())
        grid = self.query_one(Grid)
        first = not grid.row_count
        grid.fill(rows)
        if first and grid.selected.startswith(sh.RUN) and grid.row_count > 1:
            grid.move_cursor(row=1)
        self._summary()
        self._show_detail()

    def _summary(self) -> None:
        if self.shelf is None:
            words = "Reading the checkpoints …" if self.boss.session.root is not None else "No workspace."
        else:
            entries = self.shelf.entries
            total = sum(entry.size for entry in entries)
            words = f"{plural(len(entries), 'checkpoint')} · {size(total)} · {size(self.shelf.free)} free"
            words += f" · ! {self.shelf.budget}" if self.shelf.budget else ""
            words += f" · by {self._order}" if self._order != "tree" else ""
            words += f" · only “{clean_line(self._wanted)}”" if self._wanted else ""
            words += self._memory
        self.query_one("#summary", Static).update(Content(words))

    # --- details

    @property
    def current(self) -> Entry | None:
        """The checkpoint under the cursor."""
        return self.shelf.find(self.query_one(Grid).selected) if self.shelf is not None else None

    def chosen(self) -> list[Entry]:
        """Return the marked ones, else the one under the cursor."""
        found = [self.shelf.find(key) for key in self.marked] if self.shelf is not None else []
        entries = [entry for entry in found if entry is not None]
        return entries or ([self.current] if self.current is not None else [])

    def on_data_table_row_highlighted(self) -> None:
        """Explain the selected one."""
        self._show_detail()

    def _show_detail(self) -> None:
        if self.shelf is None or not self.is_mounted:
            return
        marked = [entry for key in self.marked if (entry := self.shelf.find(key)) is not None]
        entry = self.current
        if len(marked) == 2:
            content = self._difference(self.shelf, marked[0], marked[1])
        elif entry is not None:
            content = Content("\n".join(sh.detail(self.shelf, entry, self.verified, time.time())))
        elif self.shelf.entries:
            content = Content("A run. Its checkpoints are below it; / filters, o orders them.")
        else:
            content = Content("No checkpoints yet: one is saved after every epoch, and with w on the monitor.")
        self.query_one("#detail", Static).update(content)

    def _difference(self, shelf: sh.Shelf, one: Entry, two: Entry) -> Content:
        pairs = sh.differences(shelf, one, two)
        room = max(40, self.query_one("#about").size.width - 4)
        widest = max(12, (room - 20) // 2)
        columns: tuple[Column[tuple[str, str, str]], ...] = (
            Column("differs in", lambda pair: pair[0], right=False, widest=26, style="$muted"),
            Column(f"1▸ {sh.short(one)}", lambda pair: pair[1], right=False, widest=widest),
            Column(f"2▸ {sh.short(two)}", lambda pair: pair[2], right=False, widest=widest),
        )
        return table(pairs, columns, room) if pairs else Content("They differ in nothing that is recorded.")

    # --- looking

    def action_mark(self) -> None:
        """Mark or unmark; the oldest of three marks goes."""
        entry = self.current
        if entry is None:
            return
        key = str(entry.folder)
        self.marked = (
            [other for other in self.marked if other != key] if key in self.marked else [*self.marked, key][-2:]
        )
        self.fill()

    def action_order(self) -> None:
        """Go to the next order."""
        self._order = sh.ORDERS[(sh.ORDERS.index(self._order) + 1) % len(sh.ORDERS)]
        self.fill()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Enter on a row."""
        event.stop()
        self.action_resume_from()

    def action_filter(self) -> None:
        """Type a filter."""
        box = self.query_one(Input)
        box.add_class("-open")
        box.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while typing."""
        self._wanted = event.value
        self.fill()

    def on_input_submitted(self) -> None:
        """Keep the filter and go back to the table."""
        self.query_one(Grid).focus()

    def action_clear_filter(self) -> None:
        """Drop the filter, then the marks."""
        box = self.query_one(Input)
        if not box.value and not box.has_class("-open"):
            self.marked = []
        box.value = ""
        box.remove_class("-open")
        self.query_one(Grid).focus()
        self.fill()

    def text_to_copy(self) -> str:
        """Return the path of the selected one."""
        entry = self.current
        return clean_line(str(entry.folder)) if entry is not None else ""


def _memory(view: View) -> str:
    """Return what the run on show was estimated to need."""
    found = view.state.memory
    if found is None:
        return ""
    advice = f" ({clean_line(found.advice[0])})" if found.advice else ""
    return f" · memory {size(found.total)} of {size(found.free)}: {clean_line(found.verdict)}{advice}"
