"""The grader's screen: grade code, a file or a folder with a checkpoint, beside another one, and correct the grades.

The models run in processes of their own; nothing that is typed is lost by an error, a stop or another screen.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import BindingType
from textual.containers import Container
from textual.events import DescendantFocus, Paste, Resize
from textual.widget import Widget
from textual.widgets import Input, Static

from opeddev_tui.serving.worker_messages import Answered
from opeddev_tui.ui.keys import GRADER, bindings
from opeddev_tui.ui.screens.base import BaseScreen
from opeddev_tui.ui.screens.grader.answers import Answers, heading
from opeddev_tui.ui.screens.grader.corrections import Corrections
from opeddev_tui.ui.screens.grader.desk import Desk
from opeddev_tui.ui.screens.grader.form import Form, is_typing
from opeddev_tui.ui.screens.grader.listing import GradedList
from opeddev_tui.ui.state.view import View
from opeddev_tui.ui.tasks.grader import GraderTasks, Typed
from opeddev_tui.ui.widgets.bars import PaneTabs
from opeddev_tui.ui.widgets.filter_box import FilterBox
from opeddev_tui.ui.widgets.grid import Grid
from opeddev_tui.ui.widgets.legend import Legend

if TYPE_CHECKING:
    from opeddev_tui.serving.asked import Filling

PARTS = (("submission", "Submission"), ("answers", "Answer"), ("list", "List"))
_WIDE, _HIGH = 110, 30
# seconds between two drawings while answers come in
_DRAW = 0.2
_PER_ROW = 0.002
_NO_WORKSPACE = "There is no workspace here, so there is no checkpoint that could grade."


class GraderScreen(BaseScreen):
    """What is graded, the answers of one or two checkpoints, and the list of a folder's."""

    mode: ClassVar[str] = "grader"
    BINDINGS: ClassVar[list[BindingType]] = bindings(GRADER)
    CSS_PATH = "grader.tcss"
    AUTO_FOCUS = "#first"
    explanations: ClassVar[Mapping[str, Legend]] = {
        "submission": "What was typed last, path or code; a row's own fields go before typed ones.",
        "answers": "The grade, how sure the grader is, whether a person should look, and why.",
        "list": {
            "ask": "look at it yourself",
            "sure": "how probably it is near a person's grade",
            "expected": "mean of the probable grades",
            "person": "your grade",
            "failed": "areas of the rubric",
            "": "{grader.order} orders them",
        },
    }

    def __init__(self) -> None:
        super().__init__()
        self._tasks = GraderTasks(self.shell)
        self.desk = Desk(self._tasks, self._changed)
        self.corrections = Corrections(self.shell, self._tasks, self._changed)
        self._part, self._number = "answers", 0
        self._form, self._kept = Form(id="submission"), Typed()
        self._undrawn, self._listed = True, 0.0

    def compose_body(self) -> Iterable[Widget]:
        """Make the three parts."""
        yield Static(markup=False, id="which", classes="hint")
        yield PaneTabs()
        with Container(id="parts"):
            yield self._form
            yield Answers(id="answers")
            yield GradedList(id="list")

    def on_mount(self) -> None:
        """Begin with the answer, and draw while answers come in."""
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self._changed())
        self.set_interval(_DRAW, self._draw_if_needed)
        self._tasks.read_typed(self._restore)
        self._show_part()

    def on_screen_resume(self) -> None:
        """Say what is taken for empty fields, and what is corrected: rows and settings may have changed meanwhile."""
        super().on_screen_resume()
        self._tasks.filling(self._fill)
        self.corrections.read()

    def keys_changed(self) -> None:
        """Name the keys as they are now, in the empty code too."""
        super().keys_changed()
        self._form.name_keys()

    def _fill(self, found: tuple[Filling, str]) -> None:
        if self.can_be_drawn:
            self._form.fill_with(*found)

    def _restore(self, typed: Typed) -> None:
        if self.can_be_drawn:
            self._form.restore(typed)
            self._kept = typed

    def _keep_typed(self) -> None:
        if self._form.typed != self._kept:
            self._kept = self._form.typed
            self._tasks.keep_typed(self._kept)

    def on_screen_suspend(self) -> None:
        """Keep what is typed while another screen is on top."""
        self._keep_typed()

    def on_unmount(self) -> None:
        """Keep what is typed, and end the processes."""
        self._keep_typed()
        self.desk.close()

    def on_resize(self, event: Resize) -> None:
        """Show all parts where there is room, else one of them."""
        self.set_class(event.size.width >= _WIDE and event.size.height >= _HIGH, "-all")
        self._changed()

    # --- drawing

    def show_body(self, view: View) -> None:
        """Mind a training that began or ended."""
        self.desk.mind_training(trains=view.trained_by != "none")
        self._draw()

    def _changed(self) -> None:
        self._undrawn = True

    def _draw_if_needed(self) -> None:
        if self._undrawn or self.desk.busy:
            self._draw()

    def _draw(self) -> None:
        if not self.can_be_drawn:
            return
        self._undrawn = False
        first = self.desk.sides[0]
        several = len(first.answers) > 1 or (first.total or 1) > 1
        self.set_class(not several, "-single")
        self.query_one(PaneTabs).show_tabs(PARTS, self._part)
        self.query_one("#which", Static).update(heading(self.desk.sides, self.shell.session.keymap))
        self.query_one(Answers).show(self.desk.sides, self._number, self.corrections.grade_of)
        self._show_list()

    def _show_list(self) -> None:
        first, *others = self.desk.sides
        # a long list takes longer to draw: it is drawn less often while answers come in
        now = time.monotonic()
        if first.busy and now - self._listed < len(first.answers) * _PER_ROW:
            return
        self._listed = now
        beside = others[0].answers if others else {}
        self.query_one(GradedList).show(first.answers, beside, self.corrections.grade_of)

    # --- parts

    def is_seen(self, part: str) -> bool:
        """Return whether ``part`` is in view: beside a single answer there is no room for the list."""
        return part == self._part or (self.has_class("-all") and not (part == "list" and self.has_class("-single")))

    def _show_part(self) -> None:
        for name, _ in PARTS:
            self.query_one(f"#{name}").set_class(name == self._part, "-current")
        self._changed()

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """Keep which part is on show in step with the focus."""
        part = next((node.id for node in event.widget.ancestors_with_self if node.id in dict(PARTS)), None)
        if part is not None and part != self._part:
            self._part = part
            self._show_part()

    def action_show_pane(self, name: str) -> None:
        """Go to the part ``name``."""
        self._part = name
        self._show_part()
        self.query_one({"submission": "#code", "answers": "#first"}.get(name, "#rows")).focus()

    def action_next_part(self, step: int) -> None:
        """Go to the next field, and from the last one on show to the next part."""
        chain = self.focus_chain
        at = chain.index(self.focused) + step if self.focused in chain else 0
        if 0 <= at < len(chain):
            chain[at].focus()
        elif self.has_class("-all"):
            chain[at % len(chain)].focus()
        else:
            names = [name for name, _ in PARTS]
            self.action_show_pane(names[(names.index(self._part) + step) % len(names)])

    def action_leave(self) -> None:
        """Leave the text, drop the search, or go back to the answer."""
        search = self.query_one(FilterBox)
        if search.value or search.has_class("-open"):
            search.drop()
        else:
            self.action_show_pane("answers")

    # --- what is graded

    def action_go_to(self, field: str) -> None:
        """Go to a field of the submission."""
        self._part = "submission"
        self._show_part()
        self._form.go_to(field)

    def on_paste(self, event: Paste) -> None:
        """Take what is pasted while no text has the focus."""
        if not is_typing(self.focused):
            event.stop()
            self.action_go_to("code")
            self._form.take(event.text)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        if event.input.id != "filter":
            event.stop()
            if event.input.id == "path":
                self._form.name_path()
            self.action_grade()

    @on(Input.Changed, "#filter")
    def _searched(self, event: Input.Changed) -> None:
        self.query_one(GradedList).search = event.value
        self._draw()

    def action_grade(self) -> None:
        """Grade what is named or written."""
        form, session = self._form, self.shell.session
        self.corrections.read()
        if not session.has_workspace:
            self.shell.tell(_NO_WORKSPACE, severity="warning")
        elif form.path:
            self._number = 0
            self.query_one(GradedList).below = f"{form.path.rstrip('/')}/"
            self.desk.grade(form.path, path=form.path, given=form.given)
            self.action_show_pane("answers")
        elif form.code.strip():
            self._number = 0
            self.desk.grade("the code", text=form.code, given=form.given)
            self.action_show_pane("answers")
        else:
            self.action_go_to("code")
            self.shell.tell("There is nothing to grade yet: write or paste code, or name a path.", severity="warning")

    def action_feedback(self) -> None:
        """Let the grader write a text for the submission on show."""
        if self.desk.busy:
            self.shell.tell("It is still grading: {grader.stop} stops that.")
        elif self._answer() is None:
            self.shell.tell("Nothing is graded yet.")
        else:
            self.desk.write_feedback(self._number)
            self.action_show_pane("answers")

    def action_stop(self) -> None:
        """Stop; what is graded stays."""
        self.desk.stop()

    # --- which checkpoint

    def action_choose(self, place: int) -> None:
        """Ask for a checkpoint."""
        from opeddev_tui.ui.screens.grader.choose import ask_checkpoint

        if self.shell.session.has_workspace:
            self._tasks.checkpoints(ask_checkpoint(self.shell, self.desk, place))
        else:
            self.shell.tell(_NO_WORKSPACE, severity="warning")

    # --- the list

    def _answer(self) -> Answered | None:
        return self.desk.sides[0].answers.get(self._number)

    def _show_number(self, number: int | None) -> None:
        if number is not None:
            self._number = number
            self._changed()

    def action_read(self) -> None:
        """Show the selected answer."""
        if self._part == "list":
            self._show_number(self.query_one(GradedList).selected)
            self.action_show_pane("answers")

    @on(Grid.RowHighlighted)
    def _highlighted(self) -> None:
        if self._part == "list":
            self._show_number(self.query_one(GradedList).selected)

    def action_next(self, step: int) -> None:
        """Show the next answer in the order of the list."""
        self._show_number(self.query_one(GradedList).move(step))

    def action_order(self) -> None:
        """Order the list in another way."""
        self.query_one(GradedList).next_order()
        self._draw()

    def action_filter(self) -> None:
        """Search the list."""
        self._part = "list"
        self._show_part()
        self.query_one(FilterBox).open()

    # --- corrections

    def action_correct(self) -> None:
        """Ask what grade the submission on show should get."""
        answer = self._answer()
        if answer is None:
            self.shell.tell("Nothing is graded yet: there is nothing to correct.")
        else:
            self.corrections.ask(answer)

    def action_undo(self) -> None:
        """Undo the last correction of the submission on show."""
        self.corrections.undo(self._answer())
