"""The list of runs; Enter shows one in the monitor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from opeddev_tui.format import moment, number, signed
from opeddev_tui.text import clean_line
from opeddev_tui.ui.keys import RUNS, bindings
from opeddev_tui.ui.screens.base import BaseScreen
from opeddev_tui.ui.state.situation import MARKS
from opeddev_tui.ui.state.view import RunRow, View
from opeddev_tui.ui.tasks.seeds import SeedTasks
from opeddev_tui.ui.widgets.dialogs import CANCEL, AskScreen
from opeddev_tui.ui.widgets.grid import Cell, Grid

_NONE = "No runs yet. t on the monitor starts one."
_WITHOUT: Mapping[str, str] = {
    "no workspace": "No workspace here, so no runs: n on the monitor makes one.",
    "starting": "The first run is about to begin.",
    "reading": "Reading the workspace.",
}


class RunsScreen(BaseScreen):
    """Every run of the workspace, newest first."""

    mode: ClassVar[str] = "runs"
    BINDINGS: ClassVar[list[BindingType]] = bindings(RUNS)

    def compose_body(self) -> Iterable[Widget]:
        """Make the table."""
        yield Static(markup=False, id="which", classes="hint")
        titles = ("started", "step", "batch", "state", "epochs", "hold-out", "Δ epoch 0", "best", "run")
        yield Grid(titles, id="runs", enter="open_run")

    def show_body(self, view: View) -> None:
        """Show the list."""
        rows = self.shell.session.all_runs()
        newest = next((row.state.scored_on for row in rows if row.state.holdout), None)
        others = [row.run for row in rows if row.state.holdout and row.state.scored_on != newest]
        self.query_one(Grid).fill([(row.run, _cells(row, "†" if row.run in others else "")) for row in rows])
        hint = "Enter shows a run in the monitor, as it was." if rows else _WITHOUT.get(view.situation.kind, _NONE)
        damaged = [f"\n! Run {clean_line(row.run)} is damaged: {row.state.damage}." for row in rows if row.state.damage]
        mark = "\n† scored on another hold-out than the newest run: not comparable with it." if others else ""
        self.query_one("#which", Static).update(Content(hint + mark + "".join(damaged)))

    def action_open_run(self) -> None:
        """Show the selected run."""
        row = self._selected()
        if row is not None:
            self.shell.disk.show_run(row)

    def action_other_seeds(self) -> None:
        """Ask whether to train the step of the selected run with other seeds, and how many."""
        row = self._selected()
        if row is None or row.status != "finished" or row.state.repeats:
            self.shell.tell("Only a finished run of a step can be trained with other seeds.", severity="warning")
            return
        answers = (("2", "2", "two other seeds"), ("4", "4", "four other seeds"), CANCEL)
        text = (
            f"Run {row.run} has seed {row.state.begun.seed}. Each other seed is a run of its own, in a process of its "
            "own that goes on when you leave. The rule decides after each epoch; the best run becomes the step's."
        )

        def answered(count: str | None) -> None:
            if count:
                SeedTasks(self.shell).train(row.run, int(count))

        self.shell.push_screen(AskScreen(f"Step {row.state.begun.step} with other seeds", text, answers), answered)

    def action_take(self) -> None:
        """Ask whether the selected seed's run becomes the step's."""
        row = self._selected()
        if row is None or row.state.counts or row.state.repeats or row.status != "finished":
            self.shell.tell("Only a finished seed that is not the step's run can be taken.", severity="warning")
            return
        title = f"Seed {row.state.begun.seed} as the run of step {row.state.begun.step}"
        answers = (("t", "take", "Take it: the next step starts from it"), CANCEL)

        def answered(answer: str | None) -> None:
            if answer == "take":
                SeedTasks(self.shell).take(row.run)

        self.shell.push_screen(AskScreen(title, f"Run {row.run}.", answers), answered)

    def _selected(self) -> RunRow | None:
        chosen = self.query_one(Grid).selected
        return next((row for row in self.shell.session.all_runs() if row.run == chosen), None)

    def action_reload(self) -> None:
        """Read the list again."""
        self.shell.disk.refresh()


def _cells(row: RunRow, mark: str = "") -> tuple[Cell, ...]:
    state = row.state
    started = state.started
    if started is None:
        return ("–", "–", "–", "! damaged" if state.damage else "empty", "–", "–", "–", "–", row.run)
    last = max(state.holdout, default=0)
    first, newest = state.holdout.get(0), state.holdout.get(last)
    change = signed(newest.loss - first.loss, 4) if newest and first and last else "–"
    best = state.best_epoch()
    status = f"{MARKS.get(row.status, ' ')} {row.status}" + (", a repeat" if state.repeats else "")
    if state.group:
        status += f", seed {started.seed}" + (", the step's" if state.counts else "")
    status += ", damaged" if state.damage else ""
    return (
        moment(started.at), str(started.step), started.batch, status,
        str(max(state.epochs, default=0)), number(newest.loss if newest else None, 4) + mark, change,
        f"epoch {best}" if best is not None else "–", row.run,
    )  # fmt: skip
