"""The checkpoint browser: every checkpoint, whether it can be trusted, and what can be done with it.

It shows and marks; ``actions`` does what keys ask for, in threads through ``tasks.checkpoints``.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.widget import Widget
from textual.widgets import Static

from opeddev_tui.analysis.checkpoint_grades import comparison
from opeddev_tui.checkpoints.catalog import CheckpointList, Entry
from opeddev_tui.format import plural, size
from opeddev_tui.text import clean_line
from opeddev_tui.ui.keys import CHECKPOINTS, bindings
from opeddev_tui.ui.screens.checkpoints import listing
from opeddev_tui.ui.screens.checkpoints.actions import CheckpointActions
from opeddev_tui.ui.screens.detailed import WithDetails
from opeddev_tui.ui.state.view import View
from opeddev_tui.ui.tasks.checkpoints import CheckpointTasks
from opeddev_tui.ui.widgets.filter_box import FilterBox
from opeddev_tui.ui.widgets.grid import Grid
from opeddev_tui.ui.widgets.legend import Legend
from opeddev_tui.ui.widgets.tables import Column, table

# from this width on the details stand beside the table
_BESIDE = 230


class CheckpointsScreen(WithDetails):
    """Every checkpoint of the workspace as a tree of steps, runs and epochs; details below or beside it."""

    mode: ClassVar[str] = "checkpoints"
    BINDINGS: ClassVar[list[BindingType]] = bindings(CHECKPOINTS)
    AUTO_FOCUS = "#checkpoints"
    details_id: ClassVar[str] = "about"
    explanations: ClassVar[Mapping[str, Legend]] = {
        "checkpoints": {
            "marks": "★ the best epoch, pinned: never deleted",
            "verified": "every byte was read",
            "gain (95%)": "fall of the hold-out loss in its step",
            "human": "how often a person preferred it",
            "exact": "grades that are right",
            "kappa": "agreement with people beyond chance",
        },
        "about": "The selected checkpoint, or how two marked ones differ.",
    }
    DEFAULT_CSS = """
    CheckpointsScreen #shelf { height: 1fr; layout: vertical; }
    CheckpointsScreen #shelf > DataTable { height: 1fr; width: 1fr; min-height: 4; }
    CheckpointsScreen #about { height: 1fr; border-top: solid $border-idle; padding: 0 1;
      background: $surface; scrollbar-size-vertical: 1; display: none; }
    CheckpointsScreen.-details #about { display: block; }
    CheckpointsScreen #detail { height: auto; min-height: 3; }
    CheckpointsScreen.-beside #shelf { layout: horizontal; }
    CheckpointsScreen.-beside #about { width: 32%; border-top: none;
      border-left: solid $border-idle; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.shelf: CheckpointList | None = None
        self.verified: dict[str, list[str]] = {}
        self.marked: list[str] = []
        self._order = "tree"
        # run and folder of the checkpoint to go to with the next drawing
        self._wanted: tuple[str, str] | None = None
        # of the view for which the disk was read last
        self._seen: tuple[object, ...] = ()
        self._memory = ""
        self._tasks = CheckpointTasks(self.shell)
        self._actions = CheckpointActions(self, self._tasks)

    def compose_body(self) -> Iterable[Widget]:
        """Make the summary, the filter, the table and the details."""
        yield Static(markup=False, id="summary", classes="hint")
        yield FilterBox("best, lora, step 2, a note", "#checkpoints")
        with Container(id="shelf"):
            yield Grid(
                listing.TITLES,
                id="checkpoints",
                enter="act('resume_from')",
                right=listing.NUMBERS,
                gives={"marks": 26},
                leaves_out=listing.LEFT_OUT,
            )
            with VerticalScroll(id="about", can_focus=True):
                yield Static(markup=False, id="detail")

    def on_resize(self, event: Resize) -> None:
        """Put the details below or beside the table."""
        self.set_class(event.size.width >= _BESIDE, "-beside")
        self.call_after_refresh(self._show_detail)

    def show_body(self, view: View) -> None:
        """Read the checkpoints again if the run on show has made or lost one."""
        self._memory = _memory(view)
        seen = (view.run, view.state.status, tuple(view.state.checkpoints), len(self.shell.session.rows))
        if seen != self._seen:
            self._seen = seen
            self.reload()
        self._summary()

    def reload(self) -> None:
        """Read what is on disk."""
        if self.shell.session.root is not None:
            self._tasks.read(self._take)

    def _take(self, shelf: CheckpointList) -> None:
        self.shelf = shelf
        existing = {str(entry.folder) for entry in shelf.entries}
        self.marked = [key for key in self.marked if key in existing]
        self.fill()

    def fill(self) -> None:
        """Show the checkpoints that were read last."""
        if self.shelf is None or not self.can_be_drawn:
            return
        rows = listing.lines(
            self.shelf, self.verified, self.marked, order=self._order, filter_text=self.filter_text, now=time.time()
        )
        grid = self.query_one(Grid)
        first = not grid.row_count
        grid.fill(rows)
        self._go_to_wanted(self.shelf)
        if first and grid.selected.startswith(listing.RUN) and grid.row_count > 1:
            grid.move_cursor(row=1)
        self._summary()
        self._show_detail()

    def go_to(self, run: str, name: str) -> None:
        """Put the cursor on the checkpoint ``name`` of ``run``, without a filter; say where it is gone."""
        self._wanted = run, name
        # the first time it is drawn later, and goes there then
        if self.query(FilterBox):
            self.query_one(FilterBox).drop()
            self.fill()

    def _go_to_wanted(self, shelf: CheckpointList) -> None:
        if self._wanted is None:
            return
        run, name = self._wanted
        self._wanted = None
        found = next((entry for entry in shelf.entries if entry.run == run and entry.folder.name == name), None)
        grid = self.query_one(Grid)
        if found is not None and str(found.folder) in grid.keys:
            grid.move_cursor(row=grid.keys.index(str(found.folder)))
        else:
            self.shell.tell(f"The checkpoint {clean_line(f'{run}/{name}')} is no longer here.", severity="warning")

    def _summary(self) -> None:
        if self.shelf is None:
            text = "Reading the checkpoints …" if self.shell.session.root is not None else "No workspace."
        else:
            entries = self.shelf.entries
            total = sum(entry.size for entry in entries)
            text = f"{plural(len(entries), 'checkpoint')} · {size(total)} · {size(self.shelf.free)} free"
            text += f" · ! {self.shelf.budget}" if self.shelf.budget else ""
            text += f" · by {self._order}" if self._order != "tree" else ""
            text += f" · only “{clean_line(self.filter_text)}”" if self.filter_text else ""
            text += self._memory
        self.query_one("#summary", Static).update(Content(text))

    # --- details

    @property
    def current(self) -> Entry | None:
        """The checkpoint under the cursor."""
        return self.shelf.find(self.query_one(Grid).selected) if self.shelf is not None else None

    def chosen(self) -> list[Entry]:
        """Return the marked ones, else the one under the cursor."""
        return self._marked_entries() or ([self.current] if self.current is not None else [])

    def _marked_entries(self) -> list[Entry]:
        if self.shelf is None:
            return []
        return [entry for key in self.marked if (entry := self.shelf.find(key)) is not None]

    def on_data_table_row_highlighted(self) -> None:
        """Show the details of the selected one."""
        self._show_detail()

    def _show_detail(self) -> None:
        if self.shelf is None or not self.can_be_drawn:
            return
        marked, entry = self._marked_entries(), self.current
        keys = self.shell.session.keymap
        if len(marked) == 2:
            content = self._difference(self.shelf, *marked)
        elif entry is not None:
            content = Content("\n".join(listing.detail(self.shelf, entry, self.verified, time.time())))
        elif self.shelf.entries:
            content = Content(
                keys.text(
                    "A run. Its checkpoints are below; {checkpoints.filter} filters, {checkpoints.order} orders them."
                )
            )
        else:
            content = Content(
                keys.text(
                    "No checkpoints yet: one is saved after every epoch, and with {monitor.save-now} on the monitor."
                )
            )
        self.query_one("#detail", Static).update(content)

    def _difference(self, shelf: CheckpointList, one: Entry, two: Entry) -> Content:
        pairs = listing.differences(shelf, one, two)
        room = max(40, self.query_one("#about").size.width - 4)
        widest = max(12, (room - 20) // 2)
        columns: tuple[Column[tuple[str, str, str]], ...] = (
            Column("differs in", lambda pair: pair[0], right=False, widest=26, style="$muted"),
            Column(f"1▸ {listing.short(one)}", lambda pair: pair[1], right=False, widest=widest),
            Column(f"2▸ {listing.short(two)}", lambda pair: pair[2], right=False, widest=widest),
        )
        if not pairs:
            return Content("Nothing that is recorded differs between them.")
        # what a person compares them for stands above the settings that differ
        grades = comparison(one.graded, two.graded)
        return Content.assemble(grades, "\n" if grades else "", table(pairs, columns, room))

    # --- keys

    def action_act(self, name: str) -> None:
        """Do what the method ``name`` of ``CheckpointActions`` does."""
        getattr(self._actions, name)()

    def action_mark(self) -> None:
        """Mark or unmark the one under the cursor; a third mark replaces the oldest."""
        key = self.query_one(Grid).selected
        if self.current is None:
            if key:
                self.shell.tell("This line is a run; its checkpoints are below it: mark two of them.")
            return
        if key in self.marked:
            self.marked.remove(key)
        else:
            self.marked = [*self.marked, key][-2:]
        self.fill()

    def action_order(self) -> None:
        """Go to the next order."""
        self._order = listing.ORDERS[(listing.ORDERS.index(self._order) + 1) % len(listing.ORDERS)]
        self.fill()

    def action_clear_filter(self) -> None:
        """Drop the filter, then the marks."""
        if not self.query_one(FilterBox).drop():
            self.marked = []
        self.fill()

    def text_to_copy(self) -> str:
        """Return the path of the one under the cursor."""
        entry = self.current
        return clean_line(str(entry.folder)) if entry is not None else ""


def _memory(view: View) -> str:
    """Return the estimate of the memory that the run on show needs, "" where there is none."""
    estimate = view.state.memory
    if estimate is None:
        return ""
    advice = f" ({clean_line(estimate.advice[0])})" if estimate.advice else ""
    return f" · memory {size(estimate.total)} of {size(estimate.free)}: {clean_line(estimate.verdict)}{advice}"
