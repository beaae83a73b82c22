"""Owns the list of runs; Enter shows one in the monitor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import DataTable, Static

from opeddev_tui.format import moment, number, signed
from opeddev_tui.ui.keys import RUNS, Key, bindings
from opeddev_tui.ui.offers import MARKS
from opeddev_tui.ui.screens.grid import Cell, Grid
from opeddev_tui.ui.screens.place import Place
from opeddev_tui.ui.view import RunRow, View


class RunsScreen(Place):
    """Every run of the workspace, newest first."""

    mode: ClassVar[str] = "runs"
    own_keys: ClassVar[tuple[Key, ...]] = RUNS
    BINDINGS: ClassVar[list[BindingType]] = bindings(RUNS)

    def compose_body(self) -> Iterable[Widget]:
        """Make the table."""
        yield Static(markup=False, id="which", classes="hint")
        titles = ("started", "step", "batch", "state", "epochs", "hold-out", "Δ epoch 0", "best", "run")
        yield Grid(titles, id="runs")

    def show_body(self, view: View) -> None:  # noqa: ARG002 - the list is wider than the run on show
        """Show the list."""
        rows = self.boss.session.rows
        self.query_one(Grid).fill([(row.run, _cells(row)) for row in rows])
        words = "Enter shows a run in the monitor, as it was." if rows else "No runs yet. t on the monitor starts one."
        self.query_one("#which", Static).update(Content(words))

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Enter on a row."""
        event.stop()
        self.action_open_run()

    def action_open_run(self) -> None:
        """Show the selected run."""
        chosen = self.query_one(Grid).selected
        row = next((row for row in self.boss.session.rows if row.run == chosen), None)
        if row is not None:
            self.boss.disk.show_run(row)

    def action_reload(self) -> None:
        """Read the list again."""
        self.boss.disk.refresh()

    def text_to_copy(self) -> str:
        """Return the selected row."""
        return self.query_one(Grid).selected_text


def _cells(row: RunRow) -> tuple[Cell, ...]:
    state = row.state
    started = state.started
    if started is None:
        return ("–", "–", "–", "empty", "–", "–", "–", "–", row.run)
    last = max(state.holdout, default=None)
    loss = state.holdout[last].loss if last is not None else None
    first = state.holdout[0].loss if 0 in state.holdout else None
    change = signed(loss - first, 4) if loss is not None and first is not None and last else "–"
    best = state.best_epoch()
    status = f"{MARKS.get(row.status, ' ')} {row.status}" + (", a repeat" if state.repeats else "")
    return (
        moment(started.at), str(started.step), started.batch, status,
        str(max(state.epochs, default=0)), number(loss, 4), change,
        f"epoch {best}" if best is not None else "–", row.run,
    )  # fmt: skip
