"""Owns the grades of the whole hold-out: measures beside baselines, the confusion matrix, the flips to read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import DataTable, Static

from opeddev_tui.data.rows import Example
from opeddev_tui.errors import Problem
from opeddev_tui.runs.events import GradesMeasured
from opeddev_tui.runs.state import RunState
from opeddev_tui.text import clean_line
from opeddev_tui.ui.keys import GRADES, Key, bindings
from opeddev_tui.ui.screens.base import BaseScreen
from opeddev_tui.ui.screens.generations.grade_tables import GROUPS, Flip, flips, matrix, measures_text
from opeddev_tui.ui.state.view import View
from opeddev_tui.ui.widgets.bars import ClickBar
from opeddev_tui.ui.widgets.code_text import coloured
from opeddev_tui.ui.widgets.grid import Grid
from opeddev_tui.ui.widgets.text_pane import TextPane

NO_GRADES = (
    "No grades yet: they are read from generations on the whole hold-out after every epoch,\n"
    "where every hold-out row has a grade and grading.evaluate is on."
)
_CHANGED = "The hold-out has changed since this run, so its rows cannot be shown."


class GradesScreen(BaseScreen):
    """One epoch against the state before the step (epoch 0)."""

    mode: ClassVar[str] = "grades"
    own_keys: ClassVar[tuple[Key, ...]] = GRADES
    BINDINGS: ClassVar[list[BindingType]] = bindings(GRADES, priority=("f,right", "F,left"))
    CSS_PATH = "grades.tcss"
    AUTO_FOCUS = "#flips"

    def __init__(self) -> None:
        super().__init__()
        self._behind = 0  # epochs before the newest; 0 follows
        self._group = 0
        self._flips: list[Flip] = []
        self._rows: list[Example] | None = None

    def compose_body(self) -> Iterable[Widget]:
        """Make the two panes, the groups and the list."""
        yield Static(markup=False, id="which", classes="hint")
        with Horizontal(id="figures"):
            yield TextPane("Agreement with the reference", id="measures")
            yield TextPane("Confusion", id="matrix")
        yield ClickBar(id="groups")
        yield Grid(("row", "reference", "before", "now"), id="flips")

    def on_resize(self, event: Resize) -> None:  # noqa: ARG002 - Textual's signature
        """Fit the figures to the new width."""
        self.call_after_refresh(self.shell.show_now)

    def show_body(self, view: View) -> None:
        """Show the chosen epoch."""
        state = view.state
        epochs = sorted(state.grades)
        self.set_class(not epochs, "-empty")
        if not epochs:
            self.query_one("#which", Static).update(Content(NO_GRADES))
            return
        self._behind = max(0, min(self._behind, len(epochs) - 1))
        epoch = epochs[len(epochs) - 1 - self._behind]
        now, before = state.grades[epoch], state.grades.get(0) if epoch else None
        self._head(epoch, epochs, before)
        lowest, highest = view.grades
        grades = range(lowest, highest + 1)
        pane = self.query_one("#measures", TextPane)
        width = max(20, pane.size.width - 2)
        pane.set_text("Agreement with the reference", measures_text(before, now, grades[len(grades) // 2], width))
        self.query_one("#matrix", TextPane).set_text(f"Confusion · epoch {epoch}", matrix(now, grades))
        self._show_flips(before, now)

    def _head(self, epoch: int, epochs: list[int], before: GradesMeasured | None) -> None:
        told = f"  against before the step · {len(epochs)} evaluations" if before is not None else "  nothing earlier"
        self.query_one("#which", Static).update(
            Content.styled(f"Grades after epoch {epoch}", "bold $primary") + Content(told)
        )

    def _show_flips(self, before: GradesMeasured | None, now: GradesMeasured) -> None:
        self._flips = flips(before, now) if before is not None else flips(now, now)
        names = GROUPS if before is not None else GROUPS[2:]
        self._group %= len(names)
        parts = []
        for at, name in enumerate(names):
            count = sum(flip.group == name for flip in self._flips)
            label = name if before is not None else name.removeprefix("still ")
            here = at == self._group
            text = f"[{label} {count}]" if here else f" {label} {count} "
            parts.append((Content.styled(text, "bold $primary" if here else "$muted"), f"choose_group({at})"))
        self.query_one("#groups", ClickBar).lay(parts)
        shown = [flip for flip in self._flips if flip.group == names[self._group]]
        self.query_one(Grid).fill([(str(flip.at), _cells(flip)) for flip in shown])

    # --- keys

    def action_epoch(self, step: int) -> None:
        """Show a later or an earlier epoch."""
        self._behind -= step
        self.shell.show_now()

    def action_group(self, step: int) -> None:
        """Show the next group of rows."""
        self._group += step
        self.shell.show_now()

    def action_choose_group(self, group: int) -> None:
        """Show the group that was clicked."""
        self._group = group
        self.shell.show_now()

    def action_back(self) -> None:
        """Back to the generations."""
        self.dismiss()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Enter on a row."""
        event.stop()
        self.action_open_row()

    def action_open_row(self) -> None:
        """Read the selected row of the hold-out."""
        chosen = self.query_one(Grid).selected
        flip = next((flip for flip in self._flips if str(flip.at) == chosen), None)
        if flip is not None:
            self.run_worker(self._read(flip, self.shell.session.state), group="row", exclusive=True)

    async def _read(self, flip: Flip, state: RunState) -> None:
        fingerprint = state.started.holdout_fingerprint if state.started is not None else ""
        try:
            rows = await asyncio.to_thread(self._holdout, fingerprint)
        except (Problem, OSError) as problem:
            self.shell.tell(str(problem), severity="error")
            return
        found = next((row for row in rows if row.id and row.id == flip.id), None)
        if found is None and flip.at < len(rows):
            found = rows[flip.at]
        if found is None:
            self.shell.tell(_CHANGED, severity="warning")
        else:
            self.shell.push_screen(RowScreen(flip, found))

    def _holdout(self, fingerprint: str) -> list[Example]:
        """Return the hold-out's rows, nothing where they are not those of the run. Reads a disk: in a thread."""
        from opeddev_tui.data.batches import load_holdout

        loaded = load_holdout(self.shell.provider.root, self.shell.loaded.settings)
        return loaded.examples if loaded.fingerprint == fingerprint else []

    def text_to_copy(self) -> str:
        """Return the selected row."""
        return self.query_one(Grid).selected_text


class RowScreen(ModalScreen[None]):
    """One row of the hold-out over the list."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss", "Close"),
        Binding("j,down", "scroll(2)", "Down"),
        Binding("k,up", "scroll(-2)", "Up"),
    ]

    def __init__(self, flip: Flip, row: Example) -> None:
        super().__init__()
        self._flip, self._row = flip, row

    def compose(self) -> ComposeResult:
        """Make the text."""
        with VerticalScroll(id="row", classes="dialog") as box:
            box.border_title = Content(clean_line(f"{self._flip.id} · {self._flip.group}"))
            box.border_subtitle = "Esc closes"
            yield Static(self._text(), markup=False)

    def _text(self) -> Content:
        flip, row = self._flip, self._row
        asked = next((message.content for message in reversed(row.prompt) if message.role == "user"), "")
        read = f"Reference {flip.reference} · before {_grade(flip.before)} · now {_grade(flip.now)}"
        parts = [Content.styled(read, "bold"), Content(""), coloured(asked, row.kind), Content("")]
        parts += [Content.styled("Reference", "bold $primary"), coloured(row.completion, row.kind)]
        return Content("\n").join(parts)

    def action_scroll(self, step: int) -> None:
        """Scroll some lines."""
        self.query_one("#row").scroll_relative(y=step, animate=False)


def _grade(grade: int | None) -> str:
    return str(grade) if grade is not None else "none read"


def _cells(flip: Flip) -> tuple[str, ...]:
    return flip.id, str(flip.reference), _grade(flip.before), _grade(flip.now)
