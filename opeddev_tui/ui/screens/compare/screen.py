"""Runs, steps or seeds in one chart: chosen by a filter, told apart by marks, compared at a cursor."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Iterable
from typing import ClassVar

from msgspec.structs import replace
from textual.binding import BindingType
from textual.events import Resize
from textual.widget import Widget
from textual.widgets import Static

from opeddev_tui.analysis.run_facts import differences
from opeddev_tui.analysis.run_filter import Facts
from opeddev_tui.ui.keys import COMPARE, bindings
from opeddev_tui.ui.plots.curves import SMOOTHINGS
from opeddev_tui.ui.plots.overlay import MARKS, MEASURES, Line, colours_of
from opeddev_tui.ui.plots.overlay_view import OverlayView
from opeddev_tui.ui.screens.compare.listing import NUMBERS, TITLES, Compared, about, lines
from opeddev_tui.ui.screens.run_list import EXAMPLE, RunListScreen
from opeddev_tui.ui.state.view import RunRow, View
from opeddev_tui.ui.widgets.filter_box import FilterBox
from opeddev_tui.ui.widgets.grid import Grid
from opeddev_tui.ui.widgets.query_box import QueryError


class CompareScreen(RunListScreen):
    """Several runs in one picture; ``chosen`` are drawn at first, None: all that pass the filter."""

    mode: ClassVar[str] = "compare"
    BINDINGS: ClassVar[list[BindingType]] = bindings(COMPARE)
    AUTO_FOCUS = "#compared"
    DEFAULT_CSS = """
    CompareScreen #overlay { height: 3fr; min-height: 6; }
    CompareScreen #compared { height: 1fr; min-height: 5; border-top: solid $border-idle; }
    """

    def __init__(self, chosen: frozenset[str] | None = None, filter_text: str = "") -> None:
        super().__init__()
        self.filter_text = filter_text
        # left out of the picture by hand; None: all but those that were marked
        self._hidden: set[str] = set()
        self._only = chosen
        self._rows: list[tuple[RunRow, Facts]] = []
        self._drawn: tuple[object, ...] = ()
        self._ready = False

    def compose_body(self) -> Iterable[Widget]:
        """Make the heading, the filter, the picture and the list that is its legend."""
        yield Static(markup=False, id="which", classes="hint")
        yield FilterBox(EXAMPLE, "#compared", self.filter_text)
        yield QueryError()
        yield OverlayView(id="overlay")
        yield Grid(TITLES, id="compared", enter="open_run", right=NUMBERS, gives={"what differs": 16})

    def on_mount(self) -> None:
        """Load the plotting in a thread, then draw: no key waits for an import."""
        smoothing = self.shell.loaded.settings.ui.smoothing
        if smoothing in SMOOTHINGS:
            self._view.look = replace(self._view.look, smoothing=smoothing)
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self._draw())
        self.shell.run_worker(self._load, exit_on_error=False)

    async def _load(self) -> None:
        await asyncio.to_thread(lambda: [importlib.import_module(name) for name in ("numpy", "plotext")])
        self._ready = True
        self.shell.show_now()

    def on_resize(self, event: Resize) -> None:  # noqa: ARG002 - Textual's signature
        """Fit the list to the new width."""
        self.call_after_refresh(self._draw)

    @property
    def _view(self) -> OverlayView:
        return self.query_one(OverlayView)

    def show_body(self, view: View) -> None:  # noqa: ARG002 - the runs are the session's
        """Draw again where a run has come or has grown."""
        rows = self.shell.session.all_runs()
        seen = tuple((row.run, row.status, row.state.events) for row in rows)
        if self._ready and seen != self._drawn:
            self._drawn = seen
            self.fill()

    def fill(self) -> None:
        """Choose the runs again."""
        if not self._ready or not self.can_be_drawn:
            return
        self._rows = self.chosen_rows()
        self._draw()

    def _draw(self) -> None:
        """Draw the chosen runs, and list them with their values."""
        if not self._ready or not self.can_be_drawn:
            return
        self._view.show_lines(self._lines())
        self._list()

    def _lines(self) -> list[Line]:
        """Return the runs that are drawn; a run keeps its mark while others are left out."""
        colours = colours_of(len(self._rows), self.app.theme_variables.get("background", ""))
        marked = zip(MARKS, colours, self._rows, strict=False)
        return [Line(row.run, mark, colour, row.state) for mark, colour, (row, _) in marked if self._is_drawn(row.run)]

    def _is_drawn(self, run: str) -> bool:
        return run not in self._hidden and (self._only is None or run in self._only)

    def _list(self) -> None:
        """Fill the list: what tells each run from the others, and its values at the cursor."""
        look = self._view.look
        drawn = self._lines()
        places = {line.run: line for line in drawn}
        told = differences([facts for _, facts in self._rows])
        values = self._view.overlay.values(look.measure, look)
        newest = next((row.state.scored_on for row, _ in self._rows if row.state.holdout), None)
        compared = [
            Compared(row, MARKS[at] if at < len(MARKS) else " ", places.get(row.run), words, values.get(row.run),
                     other_rows=bool(row.state.holdout) and row.state.scored_on != newest)
            for at, ((row, _), words) in enumerate(zip(self._rows, told, strict=True))
        ]  # fmt: skip
        self.query_one(Grid).fill(lines(compared, MEASURES[look.measure], self.size.width))
        everyone = len([row for row in self.shell.session.all_runs() if row.run])
        self.query_one("#which", Static).update(about(compared, len(drawn), everyone, look, self.filter_text))

    # --- keys

    def _changed(self) -> None:
        """List the values again after the look has changed."""
        if self._ready:
            self._list()

    def action_measure(self, step: int) -> None:
        """Compare the next measure."""
        self._view.next_measure(step)
        self._changed()

    def action_tile(self) -> None:
        """Show several charts, or one again."""
        self._view.change(replace(self._view.look, tiled=not self._view.look.tiled))
        self._changed()

    def action_draw(self) -> None:
        """Draw the selected run, or leave it out."""
        run = self.query_one(Grid).selected
        if not run:
            return
        if self._is_drawn(run):
            self._hidden.add(run)
        else:
            self._hidden.discard(run)
            self._only = None if self._only is None else self._only | {run}
        self._draw()

    def action_draw_all(self) -> None:
        """Draw every run that is listed."""
        self._hidden, self._only = set(), None
        self._draw()

    def action_cursor(self) -> None:
        """Switch the cursor on or off."""
        if self._ready:
            self._view.toggle_cursor()
            self._changed()

    def action_move(self, direction: int) -> None:
        """Move the cursor, or pan; in the filter, move there."""
        if isinstance(self.focused, FilterBox):
            self.focused.cursor_position += direction
        elif self._ready:
            self._view.move(direction)
            self._changed()

    def action_x_axis(self) -> None:
        """Switch between epochs and optimizer steps."""
        look = self._view.look
        self._view.change(replace(look, by_step=not look.by_step, window=None, cursor=None))
        self._changed()

    def action_log_scale(self) -> None:
        """Switch the log scale."""
        self._view.change(replace(self._view.look, log=not self._view.look.log))
        self._changed()

    def action_smoothing(self) -> None:
        """Go to the next smoothing."""
        after = SMOOTHINGS.index(self._view.look.smoothing) + 1 if self._view.look.smoothing in SMOOTHINGS else 0
        self._view.change(replace(self._view.look, smoothing=SMOOTHINGS[after % len(SMOOTHINGS)]))
        self._changed()

    def action_zoom(self, factor: float) -> None:
        """Zoom in or out."""
        if self._ready:
            self._view.zoom(factor)

    def action_reset(self) -> None:
        """Undo zoom and pan."""
        self._view.change(replace(self._view.look, window=None))

    def action_open_run(self) -> None:
        """Show the selected run in the monitor."""
        row = next((row for row, _ in self._rows if row.run == self.query_one(Grid).selected), None)
        if row is not None:
            self.dismiss()
            self.shell.disk.show_run(row)

    def action_back(self) -> None:
        """Drop the filter, else go back."""
        if not self.query_one(FilterBox).drop():
            self.dismiss()

    def text_to_copy(self) -> str:
        """Return the picture, and the list below it."""
        grid = self.query_one(Grid)
        return f"{self._view.plain_text()}\n{grid.all_text}"
