"""The grading screen: the race of all ways to a grade, what can be trusted, and the rows whose grade is disputed.

Race and trust come from the journal; only the disputed rows need a model, which another process reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from textual.binding import BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.events import DescendantFocus, Resize
from textual.widget import Widget
from textual.widgets import Static

from opeddev_tui.analysis.step_grades import step_change
from opeddev_tui.config.settings import Grade
from opeddev_tui.runs.events import GradesRead
from opeddev_tui.runs.grade_records import WayGrades
from opeddev_tui.runs.grade_words import few_rows
from opeddev_tui.runs.measured_grades import disputes_doubt
from opeddev_tui.terminal.ascii_fallback import ascii_only
from opeddev_tui.text import clean_line
from opeddev_tui.ui.keys import GRADING, PANE, bindings, pane_title
from opeddev_tui.ui.plots.look import palette_of
from opeddev_tui.ui.screens.base import FilteredScreen
from opeddev_tui.ui.screens.grading import disputed as listing
from opeddev_tui.ui.screens.grading.corrections import Corrections
from opeddev_tui.ui.screens.grading.race_table import HOW, race_text
from opeddev_tui.ui.screens.grading.steps import (
    GradedRun,
    first_shown,
    graded_runs,
    reading_at,
    steps_up_to,
    trusted_ways,
)
from opeddev_tui.ui.screens.grading.trust_text import Look, trust_text
from opeddev_tui.ui.screens.grading.wanted import Wanted
from opeddev_tui.ui.shell import Shell
from opeddev_tui.ui.state.view import View
from opeddev_tui.ui.tasks.grading import GradingTasks
from opeddev_tui.ui.widgets.bars import PaneTabs
from opeddev_tui.ui.widgets.filter_box import FilterBox
from opeddev_tui.ui.widgets.grid import Grid
from opeddev_tui.ui.widgets.legend import Legend
from opeddev_tui.ui.widgets.text_pane import TextPane

if TYPE_CHECKING:
    from opeddev_tui.grading.trust import Trust

PARTS = (("race", "Race"), ("trust", "Trust"), ("disputed", "Disputed rows"))
# from this size on all three parts are shown
_WIDE, _HIGH = 160, 44
_NO_STEP = "No step has begun yet. After the first one you see here which way grades your rows best."
_HOW_IT_COMES = (
    "At a step's end all ways to a grade are compared on the hold-out: heads on hidden states, the model's own grade "
    "tokens, an n-gram grader, the commonest and the middle grade.\n\nWithout any training: opeddev-tui race compares "
    "the base model with the cheap ways."
)
_NO_READINGS = (
    "No grades with probabilities are recorded for this step. They are read after every epoch where hold-out rows are "
    "graded and grading.evaluate is on."
)
_UNKNOWN = "What can be trusted cannot be said: the recorded grades do not fit the hold-out."


class ScrollPane(TextPane):
    """A text that also scrolls by letters."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(PANE)

    def on_resize(self, event: Resize) -> None:  # noqa: ARG002 - Textual's signature
        """Fit the text to the new width: Textual forgets a layout that is asked for while it is laying out."""
        self.call_after_refresh(self.query_one(Static).refresh, layout=True)
        # a part that comes into view has had no size until now
        self.call_after_refresh(cast("Shell", self.app).show_now)


class GradingScreen(FilteredScreen):
    """Race, trust and disputed rows of one step."""

    mode: ClassVar[str] = "grading"
    BINDINGS: ClassVar[list[BindingType]] = bindings(GRADING)
    CSS_PATH = "grading.tcss"
    AUTO_FOCUS = "#race"
    panes: ClassVar[tuple[str, ...]] = tuple(name for name, _ in PARTS)
    explanations: ClassVar[Mapping[str, Legend]] = {
        "race": "All ways to a grade on the same rows. Overlapping intervals settle nothing.",
        "trust": "Which share of grades you can take unread for the agreement you want.",
        "disputed": {
            "surprise": "how little the head expected the given grade",
            "now": "your new one",
            "head": "the grade that it reads",
        },
    }

    def __init__(self) -> None:
        super().__init__()
        self._tasks = GradingTasks(self.shell)
        self.corrections = Corrections(self, self._tasks)
        self._part = "race"
        # how many runs before the newest one, None: the newest with a race
        self._back: int | None = None
        # how many epochs after that of the race
        self._later = 0
        # the way that a person chose, "": the one that grades
        self._way, self._ways = "", list[WayGrades]()
        self._wanted, self._labels = Wanted(), 0
        # what was computed last, and for what
        self._trust: tuple[tuple[object, ...], Trust | None] | None = None
        self._asked_for: tuple[object, ...] = ()

    def compose_body(self) -> Iterable[Widget]:
        """Make the three parts."""
        yield Static(markup=False, id="which", classes="hint")
        yield PaneTabs()
        with Container(id="parts"):
            yield ScrollPane("Race", id="race", number=1)
            yield ScrollPane("Trust", id="trust", number=2)
            with Vertical(id="disputed", classes="pane"):
                yield Static(markup=False, id="about", classes="hint")
                yield FilterBox("a name, a kind, a set, words of the row", "#rows")
                yield Grid(
                    listing.TITLES, id="rows", enter="open_row", right=listing.NUMBERS, gives={"row": 12, "set": 12}
                )

    def on_mount(self) -> None:
        """Read the corrections and begin with the race."""
        self.query_one("#disputed").border_title = Content(pane_title(3, "Disputed rows"))
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self.shell.show_now())
        self._show_part()

    def on_screen_resume(self) -> None:
        """Read corrections that were made elsewhere."""
        super().on_screen_resume()
        self.corrections.read()

    def on_resize(self, event: Resize) -> None:
        """Show all parts where there is room, else one of them."""
        self.set_class(event.size.width >= _WIDE and event.size.height >= _HIGH, "-all")
        self.call_after_refresh(self.shell.show_now)

    @property
    def trust_is_there(self) -> bool:
        """Whether nothing is being computed for what is on show."""
        return not self._asked_for or (self._trust is not None and self._trust[0] == self._asked_for)

    # --- what is shown

    def show_body(self, view: View) -> None:
        """Show the chosen step."""
        self.query_one(PaneTabs).show_tabs(PARTS, self._part, numbered=True)
        self.show_rows()
        runs, place = self._runs(view)
        if not runs:
            self.query_one("#which", Static).update(Content(_NO_STEP))
            self.query_one("#race", ScrollPane).set_text("Race", Content(view.typed(_HOW_IT_COMES)))
            return
        run = runs[place]
        self._head(runs, place)
        self._show_race(run, step_change(steps_up_to(runs, place)))
        self._show_trust(run)

    def _runs(self, view: View) -> tuple[list[GradedRun], int]:
        """Return the runs that can be shown, newest first, and the place of the one on show."""
        session = self.shell.session
        rows = [(row.run, row.state) for row in session.rows]
        runs = graded_runs(rows, session.current_run, session.current)
        if self._back is None:
            asked = next((at for at, run in enumerate(runs) if view.replay and run.run == view.run), None)
            return runs, asked if asked is not None else first_shown(runs)
        self._back = max(0, min(self._back, len(runs) - 1))
        return runs, self._back

    def _head(self, runs: Sequence[GradedRun], place: int) -> None:
        run = runs[place]
        others = self.shell.session.keymap.text("{grading.earlier-step} {grading.later-step} other steps")
        where = f"{len(runs) - place} of {len(runs)}  {others}" if len(runs) > 1 else ""
        heading = Content.styled(f"Grades of {clean_line(run.title, max_chars=50)}", "bold $primary")
        self.query_one("#which", Static).update(heading + Content.styled(f"  {where}", "$muted"))

    def _show_race(self, run: GradedRun, change: str) -> None:
        pane = self.query_one("#race", ScrollPane)
        how = self.shell.session.shown.typed(HOW)
        pane.set_text("Race", race_text(run, self._room(pane), how, change), place=run.run)

    def _show_trust(self, run: GradedRun) -> None:
        pane = self.query_one("#trust", ScrollPane)
        read, self._later = reading_at(run.state, run.race, self._later)
        self._ways = trusted_ways(read, run.race) if read is not None else []
        if read is None or not self._ways:
            pane.set_text("Trust", Content(_NO_READINGS), place=run.run)
            return
        way = self._ways[self._way_at()]
        title = f"Trust · {way.words} · {len(read.reference)} hold-out rows, epoch {read.epoch}"
        self._labels = len(read.labels)
        wanted = (run.run, read.epoch, read.at, way.way, self._wanted.tolerance(self._grade, self._labels))
        if self._trust is None or self._trust[0] != wanted:
            pane.set_text(title, Content.styled("One moment: computing …", "$muted"), place=run.run)
            self._compute(wanted, way, read)
            return
        found = self._trust[1]
        few = few_rows(len(read.reference))
        text = self._trust_text(pane, found, len(read.labels)) if found is not None else Content(few or _UNKNOWN)
        pane.set_text(title, text, place=run.run)

    def _way_at(self) -> int:
        """Return the place of the way on show: the chosen one, else the first, which grades."""
        return next((at for at, way in enumerate(self._ways) if way.way == self._way), 0)

    def _trust_text(self, pane: TextPane, found: Trust, labels: int) -> Content:
        palette = palette_of(self.app.theme_variables)
        look = Look(self._room(pane), pane.size.height - 12, palette, ascii_only())
        return trust_text(
            found, labels, self._wanted.agreement(self._grade), self.corrections.people, look, self.shell.session.keymap
        )

    def _compute(self, wanted: tuple[object, ...], way: WayGrades, read: GradesRead) -> None:
        if wanted == self._asked_for:
            return
        self._asked_for = wanted

        def take(found: Trust | None) -> None:
            if wanted == self._asked_for:
                self._trust = (wanted, found)
                self.shell.show_now()

        self._tasks.trust(way, read, self._wanted.tolerance(self._grade, len(read.labels)), take)

    @property
    def _grade(self) -> Grade:
        return self.shell.session.loaded.settings.grade

    def show_rows(self) -> None:
        """Show the disputed and corrected rows."""
        self.fill()

    def fill(self) -> None:
        """List the disputed and corrected rows that the search lets pass."""
        found = self.corrections
        # a search is of all rows
        rows = listing.lines(found.listed if found.every or self.filter_text else found.worth, found.rows)
        chosen = listing.searched(rows, found.rows, self.filter_text)
        count = f"{len(chosen):,} of {len(rows):,} with “{clean_line(self.filter_text)}” · " if self.filter_text else ""
        self.query_one("#about", Static).update(Content(f"{count}{found.about(self._doubt())}"))
        self.query_one(Grid).fill(chosen)

    def _doubt(self) -> str:
        """Return why the disputes are little evidence: they are those of the newest race, whatever step is on show."""
        session = self.shell.session
        runs = graded_runs([(row.run, row.state) for row in session.rows], session.current_run, session.current)
        return disputes_doubt(runs[first_shown(runs)].race) if runs else ""

    def go_to_first_row(self) -> None:
        """Select the most disputed row."""
        self.query_one(Grid).move_cursor(row=0)

    @staticmethod
    def _room(pane: Widget) -> int:
        return max(30, pane.size.width - 3)

    def _show_part(self) -> None:
        for name, _ in PARTS:
            self.query_one(f"#{name}").set_class(name == self._part, "-current")

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """Keep which part is on show in step with the focus."""
        part = next((node.id for node in event.widget.ancestors_with_self if node.id in dict(PARTS)), None)
        if part is not None and part != self._part:
            self._part = part
            self._show_part()
            self.shell.show_now()

    # --- keys

    def is_seen(self, part: str) -> bool:
        """Return whether ``part`` is in view. Of the disputed rows the selected one counts, so they need the focus."""
        return part == self._part or (part != "disputed" and self.has_class("-all"))

    def action_pane(self, step: int) -> None:
        """Go to another part."""
        names = [name for name, _ in PARTS]
        self.action_show_pane(names[(names.index(self._part) + step) % len(names)])

    def action_show_pane(self, name: str) -> None:
        """Go to the part ``name``."""
        self._part = name
        self._show_part()
        self.query_one("#rows" if name == "disputed" else f"#{name}").focus()
        self.call_after_refresh(self.shell.show_now)

    def go_to_pane(self, name: str) -> None:
        """Go to a part."""
        self.action_show_pane(name)

    def action_step(self, step: int) -> None:
        """Show an earlier or later step."""
        _, place = self._runs(self.shell.session.view())
        self._back, self._later, self._way = max(0, place + step), 0, ""
        self.shell.show_now()

    def action_epoch(self, step: int) -> None:
        """Show the grades of an earlier or later epoch."""
        self._later += step
        self.shell.show_now()

    def action_way(self) -> None:
        """Show another way that has probabilities."""
        if self._ways:
            self._way = self._ways[(self._way_at() + 1) % len(self._ways)].way
            self.shell.show_now()

    def action_wanted(self, step: int) -> None:
        """Want more or less agreement."""
        self._wanted.move(self._grade, step)
        self.shell.show_now()

    def action_tolerance(self) -> None:
        """Count one grade off as agreement, as many as the settings say, or none."""
        self._wanted.change_tolerance(self._grade, self._labels)
        self.shell.show_now()

    def action_disputed(self) -> None:
        """Find the disputed rows."""
        self.action_show_pane("disputed")
        self.corrections.find()

    def action_every(self) -> None:
        """List all disputed rows, or only those that are worth reading."""
        self.corrections.show_every()

    def action_filter(self) -> None:
        """Search the disputed rows."""
        self.action_show_pane("disputed")
        super().action_filter()

    def action_open_row(self) -> None:
        """Read the selected row and give it another grade."""
        self.corrections.open(self.query_one(Grid).selected)

    def action_undo(self) -> None:
        """Undo the correction of the selected row."""
        self.corrections.undo(self.query_one(Grid).selected)
