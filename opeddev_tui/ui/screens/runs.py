"""The list of runs; Enter shows one in the monitor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content
from textual.events import Resize
from textual.widget import Widget
from textual.widgets import Static

from opeddev_tui.format import moment, number, signed
from opeddev_tui.text import clean_line
from opeddev_tui.ui.keys import RUNS, bindings
from opeddev_tui.ui.screens.detailed import DetailedScreen
from opeddev_tui.ui.screens.run_details import FRAMES, parts_of
from opeddev_tui.ui.screens.run_list import EXAMPLE, RunListScreen
from opeddev_tui.ui.screens.run_orders import ORDERS, ordered, possible
from opeddev_tui.ui.state.situation import MARKS
from opeddev_tui.ui.state.view import RunRow, View
from opeddev_tui.ui.tasks.seeds import SeedTasks
from opeddev_tui.ui.widgets.details import Details, Part
from opeddev_tui.ui.widgets.dialogs import CANCEL, AskScreen
from opeddev_tui.ui.widgets.filter_box import FilterBox
from opeddev_tui.ui.widgets.grid import Cell, Grid
from opeddev_tui.ui.widgets.legend import Legend
from opeddev_tui.ui.widgets.query_box import QueryError, heading
from opeddev_tui.ui.widgets.tables import cut

# cells that the name of a batch takes at most
_BATCH = 24
_TITLES = ("started", "step", "batch", "state", "epochs", "hold-out", "Δ 0", "best", "run")
# where these have no room: the name of a run tells its step and batch too
_FEWER = ("run", "state", "hold-out", "Δ 0", "best", "epochs", "started")
_NUMBERS = ("step", "epochs", "hold-out", "Δ 0", "best")
# a name with a batch as the documentation names them is not cut
_LEAST: Mapping[str, int] = {"run": 39}
_NONE = "No runs yet. {monitor.start} on the monitor starts one."
_WITHOUT: Mapping[str, str] = {
    "no workspace": "No workspace here, so no runs: {monitor.new-workspace} on the monitor makes one.",
    "starting": "The first run is about to begin.",
    "reading": "Reading the workspace.",
}


class RunsScreen(DetailedScreen, RunListScreen):
    """Every run of the workspace, newest first; marked ones, or all that are listed, can be compared."""

    mode: ClassVar[str] = "runs"
    BINDINGS: ClassVar[list[BindingType]] = bindings(RUNS)
    AUTO_FOCUS = "#runs"
    list_selector: ClassVar[str] = "#runs"
    panes: ClassVar[tuple[str, ...]] = FRAMES
    explanations: ClassVar[Mapping[str, Legend]] = {
        "runs": {
            "Δ 0": "change of the hold-out loss since before the step",
            "best": "its epoch",
            "hold-out": "loss per token after the newest epoch",
        },
        "details": "The selected run; other settings than the defaults stand at the bottom right.",
    }

    def __init__(self) -> None:
        super().__init__()
        self.marked: set[str] = set()
        self._without = _NONE
        # what the list was made of last
        self._listed: object = None
        self.order = next(iter(ORDERS))

    def compose_body(self) -> Iterable[Widget]:
        """Make the table."""
        yield Static(markup=False, id="which", classes="hint")
        yield FilterBox(EXAMPLE, "#runs")
        yield QueryError()
        yield Grid(_TITLES, id="runs", enter="open_run", right=_NUMBERS, gives=_LEAST)
        yield Details(FRAMES)

    def show_body(self, view: View) -> None:
        """Show the list."""
        self._without = _WITHOUT.get(view.situation.kind, _NONE)
        self.fill()

    def fill(self) -> None:
        """List the runs that the filter lets pass."""
        if not self.can_be_drawn:
            return
        everyone = self.shell.session.all_runs()
        rows = ordered([row for row, _ in self.chosen_rows()], self.order)
        newest = next((row.state.scored_on for row in everyone if row.state.holdout), None)
        others = [row.run for row in rows if row.state.holdout and row.state.scored_on != newest]
        cells = [(row.run, _cells(row, "†" if row.run in others else "")) for row in rows]
        self._list(cells)
        self._heading(everyone, rows, bool(others))
        self.draw_details()

    def _list(self, cells: Sequence[tuple[str, Mapping[str, str]]]) -> None:
        """Show (run, cells by title) under the titles that have room."""
        grid = self.query_one(Grid)
        listed = (cells, frozenset(self.marked), grid.size)
        if listed != self._listed:
            self._listed = listed
            has_room = grid.room_for(_TITLES, [self._line(run, each, _TITLES) for run, each in cells])
            titles = _TITLES if has_room else _FEWER
            grid.retitle(titles, [(run, self._line(run, each, titles)) for run, each in cells])

    def _line(self, run: str, cells: Mapping[str, str], titles: Sequence[str]) -> tuple[Cell, ...]:
        """Return the cells of a run in the order of ``titles``, its mark before the first."""
        first, *others = (cells[title] for title in titles)
        return (f"{'✓ ' if run in self.marked else ''}{first}", *others)

    def on_resize(self, event: Resize) -> None:  # noqa: ARG002 - Textual's signature
        """Show the columns that have room now."""
        self.call_after_refresh(self.fill)

    def detail_parts(self) -> tuple[object, Sequence[Part]]:
        """Return what is known of the selected run."""
        row = self._selected()
        if row is None:
            return None, ()
        return row.run, parts_of(row, self.settings.of(row.run), self.query_one(Details).text_width)

    def _heading(self, everyone: Sequence[RunRow], rows: Sequence[RunRow], others: bool) -> None:
        if not everyone:
            self.query_one("#which", Static).update(Content(self.shell.session.keymap.text(self._without)))
            return
        parts = [self.shell.session.keymap.text("{runs.open} shows a run as it was")]
        parts += [self.order] if self.order != next(iter(ORDERS)) else []
        parts += [f"{len(self.marked)} marked"] if self.marked else []
        parts += [f"{len(rows)} of {len(everyone)} runs"] if len(rows) < len(everyone) else []
        damaged = [f"\n! Run {clean_line(row.run)} is damaged: {row.state.damage}." for row in rows if row.state.damage]
        mark = "\n† scored on another hold-out than the newest run: not comparable with it." if others else ""
        which = heading(parts, self.filter_text) + Content(mark + "".join(damaged))
        self.query_one("#which", Static).update(which)

    def action_order(self) -> None:
        """Order the runs in another way, from the first one on."""
        names = possible([row for row, _ in self.chosen_rows()])
        self.order = names[(names.index(self.order) + 1) % len(names) if self.order in names else 0]
        self.fill()
        self.query_one(Grid).move_cursor(row=0)

    def action_mark(self) -> None:
        """Mark the selected run, or take the mark away."""
        if run := self.query_one(Grid).selected:
            self.marked ^= {run}
            self.fill()

    def action_compare(self) -> None:
        """Put the marked runs, or all that are listed, into one chart."""
        from opeddev_tui.ui.screens.compare.screen import CompareScreen

        if not self.shell.session.all_runs():
            self.shell.tell(self.shell.session.keymap.text(self._without))
            return
        self.shell.push_screen(CompareScreen(frozenset(self.marked) or None, self.filter_text))

    def action_clear_filter(self) -> None:
        """Drop the filter, then the marks."""
        if self.leave_details():
            return
        if not self.query_one(FilterBox).drop():
            self.marked.clear()
        self.fill()

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


def _cells(row: RunRow, mark: str) -> Mapping[str, str]:
    """Return the cells of a run by the titles of their columns."""
    state = row.state
    started = state.started
    if started is None:
        return {**dict.fromkeys(_TITLES, "–"), "state": "! damaged" if state.damage else "empty", "run": row.run}
    last = max(state.holdout, default=0)
    first, newest = state.holdout.get(0), state.holdout.get(last)
    best = state.best_epoch()
    return {
        "started": moment(started.at),
        "step": str(started.step),
        "batch": cut(clean_line(started.batch), _BATCH),
        "state": _status(row, started.seed),
        "epochs": str(max(state.epochs, default=0)),
        "hold-out": number(newest.loss if newest else None, 4) + mark,
        "Δ 0": signed(newest.loss - first.loss, 4) if newest and first and last else "–",
        "best": str(best) if best is not None else "–",
        "run": row.run,
    }


def _status(row: RunRow, seed: int) -> str:
    """Return how a run is, and what else tells it from others of its step."""
    status = f"{MARKS.get(row.status, ' ')} {row.status}" + (", a repeat" if row.state.repeats else "")
    if row.state.group:
        status += f", seed {seed}" + (", the step's" if row.state.counts else "")
    return status + (", damaged" if row.state.damage else "")
