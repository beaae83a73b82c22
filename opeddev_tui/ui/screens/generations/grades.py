"""The grades of the whole hold-out: measures beside baselines, the confusion matrix, and the rows themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from functools import partial
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.events import Resize
from textual.widget import Widget
from textual.widgets import Static

from opeddev_tui.data.rows import Example
from opeddev_tui.errors import Problem
from opeddev_tui.runs.events import GradesMeasured
from opeddev_tui.runs.grade_words import read_by
from opeddev_tui.runs.state import RunState
from opeddev_tui.text import clean
from opeddev_tui.ui.keys import GRADES, bindings
from opeddev_tui.ui.screens.base import FilteredScreen
from opeddev_tui.ui.screens.generations.grade_tables import GROUPS, Flip, flips, matrix, measures_text
from opeddev_tui.ui.state.view import View
from opeddev_tui.ui.widgets.bars import ClickBar, tab
from opeddev_tui.ui.widgets.code_text import coloured
from opeddev_tui.ui.widgets.dialogs import ReadScreen
from opeddev_tui.ui.widgets.filter_box import FilterBox
from opeddev_tui.ui.widgets.grid import Grid
from opeddev_tui.ui.widgets.legend import Legend
from opeddev_tui.ui.widgets.text_pane import TextPane

NO_GRADES = (
    "No grades yet: they are read on the hold-out after every epoch,\n"
    "where hold-out rows have grades and grading.evaluate is on."
)
_TITLES, _ALONE = ("row", "reference", "before", "now"), ("row", "reference", "now")
_READING = "Reading the hold-out …"
_CHANGED = "The hold-out has changed since this run, so its rows cannot be shown."


class GradesScreen(FilteredScreen):
    """One epoch against the state before the step (epoch 0)."""

    mode: ClassVar[str] = "grades"
    BINDINGS: ClassVar[list[BindingType]] = bindings(GRADES)
    CSS_PATH = "grades.tcss"
    AUTO_FOCUS = "#flips"
    panes: ClassVar[tuple[str, ...]] = ("measures", "matrix")
    explanations: ClassVar[Mapping[str, Legend]] = {
        "measures": "Agreement with the reference, beside what needs no training at all.",
        "matrix": "Rows: the reference. Columns: the grade that was read. Diagonal: equal.",
        "flips": "Rows whose grade changed since before the step; {grades.read} reads one.",
    }

    def __init__(self) -> None:
        super().__init__()
        # whether what is on show has something to stand against
        self._compared = True
        # how many epochs before the newest one is shown
        self._behind = 0
        self._group, self._shown_group = 0, ""
        self._flips: list[Flip] = []

    def compose_body(self) -> Iterable[Widget]:
        """Make the two panes, the groups and the list."""
        yield Static(markup=False, id="which", classes="hint")
        with Horizontal(id="figures"):
            yield TextPane("Agreement with the reference", id="measures", number=1)
            yield TextPane("Confusion", id="matrix", number=2)
        yield ClickBar(id="groups")
        yield FilterBox("the name of a row, a grade", "#flips")
        yield Grid(_TITLES, id="flips", enter="open_row", right=_TITLES[1:])

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
        self._head(epoch, epochs, before, now.way)
        lowest, highest = view.grades
        grades = range(lowest, highest + 1)
        pane = self.query_one("#measures", TextPane)
        width = max(20, pane.size.width - 2)
        pane.set_text("Agreement with the reference", measures_text(before, now, grades[len(grades) // 2], width))
        self.query_one("#matrix", TextPane).set_text(f"Confusion · epoch {epoch}", matrix(now, grades))
        self._show_flips(before, now)

    def _head(self, epoch: int, epochs: list[int], before: GradesMeasured | None, way: str) -> None:
        compared = f"against before the step · {len(epochs)} evaluations" if before is not None else "nothing earlier"
        heading = Content.styled(f"Grades by {read_by(way)} after epoch {epoch}", "bold $primary")
        heading += Content(f"  {compared}")
        self.query_one("#which", Static).update(heading)

    def _show_flips(self, before: GradesMeasured | None, now: GradesMeasured) -> None:
        self._compared = before is not None
        self._flips = flips(before, now) if before is not None else flips(now, now)
        names = GROUPS if before is not None else GROUPS[2:]
        self._group %= len(names)
        parts = []
        for at, name in enumerate(names):
            count = sum(flip.group == name for flip in self._flips)
            label = name if before is not None else name.removeprefix("still ")
            parts.append((tab(f"{label} {count}", at == self._group), f"choose_group({at})"))
        self.query_one("#groups", ClickBar).lay(parts)
        self._shown_group = names[self._group]
        self.fill()

    def fill(self) -> None:
        """List the rows of the group on show that the search lets pass."""
        wanted = self.filter_text.strip().casefold()
        chosen = [flip for flip in self._flips if flip.group == self._shown_group]
        rows = [(str(flip.at), _cells(flip, compared=self._compared)) for flip in chosen]
        found = [row for row in rows if wanted in " ".join(row[1]).casefold()]
        self.query_one(Grid).retitle(_TITLES if self._compared else _ALONE, found)

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
        """Drop the search, else go back to the generations."""
        if not self.query_one(FilterBox).drop():
            self.dismiss()

    def action_open_row(self) -> None:
        """Open the selected row of the hold-out at once, so that keys typed ahead go to it; fill it once it is read."""
        chosen = self.query_one(Grid).selected
        flip = next((flip for flip in self._flips if str(flip.at) == chosen), None)
        if flip is not None:
            screen = RowScreen(flip, compared=self._compared)
            self.shell.push_screen(screen)
            self.shell.run_worker(partial(self._read, screen, self.shell.session.state), group="row", exclusive=True)

    async def _read(self, screen: RowScreen, state: RunState) -> None:
        fingerprint = state.started.holdout_fingerprint if state.started is not None else ""
        try:
            rows = await asyncio.to_thread(self._holdout, fingerprint)
        except (Problem, OSError) as problem:
            screen.show_row(str(problem))
            return
        flip = screen.flip
        at_its_place = rows[flip.at] if flip.at < len(rows) else None
        row = next((row for row in rows if row.id and row.id == flip.id), at_its_place)
        screen.show_row(row if row is not None else _CHANGED)

    def _holdout(self, fingerprint: str) -> list[Example]:
        """Return the hold-out's rows, nothing where they are not those of the run. Call it in a thread."""
        from opeddev_tui.data.batches import load_holdout

        loaded = load_holdout(self.shell.provider.root, self.shell.loaded.settings)
        return loaded.examples if loaded.version == fingerprint else []


class RowScreen(ReadScreen):
    """One row of the hold-out over the list: its prompt, its reference, the grades that were read.

    It opens before the row is read; ``show_row`` gives the row, or the sentence that says why there is none.
    """

    def __init__(self, flip: Flip, *, compared: bool) -> None:
        super().__init__(f"{flip.id} · {flip.group if compared else flip.group.removeprefix('still ')}")
        self.flip, self._compared = flip, compared
        self._row: Example | str = _READING

    def show_row(self, row: Example | str) -> None:
        """Show ``row``, or a sentence in its place, unless the window was closed meanwhile."""
        self._row = row
        if self.is_attached:
            self.show_parts()

    def parts(self) -> list[Content]:
        """Return the row."""
        flip, row = self.flip, self._row
        before = f" · before {_grade(flip.before)}" if self._compared else ""
        grades = f"Reference {flip.reference}{before} · now {_grade(flip.now)}"
        head = Content.styled(grades, "bold")
        if isinstance(row, str):
            return [head, Content(clean(row)), Content("")]
        asked = next((message.content for message in reversed(row.prompt) if message.role == "user"), "")
        reference = [Content.styled("Reference", "bold $primary"), coloured(row.completion, row.kind)]
        return [head, coloured(asked, row.kind), Content("\n").join(reference)]


def _grade(grade: int | None) -> str:
    return str(grade) if grade is not None else "none read"


def _cells(flip: Flip, *, compared: bool) -> tuple[str, ...]:
    before = (_grade(flip.before),) if compared else ()
    return flip.id, str(flip.reference), *before, _grade(flip.now)
