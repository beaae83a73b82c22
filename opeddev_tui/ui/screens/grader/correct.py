"""The dialog for what grade a person gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import eq
from typing import ClassVar

from msgspec import Struct
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static, TextArea

from opeddev_tui.serving.asked import Answer
from opeddev_tui.text import clean, clean_line
from opeddev_tui.ui.widgets.dialogs import FormDialog


class Draft(Struct, frozen=True):
    """What a person has typed into a correction that is not kept yet.

    ``offered`` is the model's text that the feedback began with, and ``offered_for`` the grade that it was written for.
    """

    grade: str = ""
    feedback: str = ""
    criteria: str = ""
    offered: str = ""
    offered_for: str = ""


class CorrectScreen(FormDialog[None]):
    """Asks for a grade, a text and areas. ``keep`` is called with them; the dialog closes when they are kept."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "keep", "Keep", priority=True),
        Binding("escape", "leave", "Not now", priority=True),
    ]
    CSS = """
    CorrectScreen .dialog { max-width: 100; }
    CorrectScreen TextArea { height: 5; border: none; padding: 0; background: $panel; }
    CorrectScreen Input { height: 1; border: none; padding: 0; background: $panel; }
    CorrectScreen .asked { color: $muted; height: auto; }
    CorrectScreen #wrong { height: auto; }
    """

    def __init__(
        self, about: str, scale: str, areas: Sequence[str], draft: Draft, same_grade: Callable[[str, str], bool] = eq
    ) -> None:
        """``same_grade`` says whether two texts are one grade."""
        super().__init__()
        self._about, self._scale, self._areas, self._draft = about, scale, areas, draft
        self._same_grade, self._warned = same_grade, ""
        # areas that no row has, and that the person has been asked about
        self._new_areas: tuple[str, ...] = ()
        self.on_keep: Callable[[Answer], None] = lambda _answer: None
        self.on_leave: Callable[[Draft], None] = lambda _draft: None

    def compose(self) -> ComposeResult:
        """Make the fields."""
        with Vertical(classes="dialog") as box:
            box.border_title = "Correct: a row of the last batch"
            box.border_subtitle = "^s keeps, Enter or Tab goes on, Esc closes; what is typed stays"
            yield Static(Content(clean_line(self._about, max_chars=400)), markup=False, classes="asked")
            yield Static(Content(f"Grade: {clean_line(self._scale, max_chars=200)}"), markup=False, classes="asked")
            yield Input(value=self._draft.grade, placeholder="needed", id="grade", compact=True)
            yield Static("Feedback, as the model should write it", markup=False, classes="asked")
            empty = "empty: the model learns to write none"
            yield TextArea(self._draft.feedback, id="text", soft_wrap=True, tab_behavior="focus", placeholder=empty)
            named = ", ".join(clean_line(area, max_chars=30) for area in self._areas)
            hint = f"Areas (pass, fail or a grade): {named or 'Layout=fail, Naming=pass'}"
            yield Static(Content(clean_line(hint, max_chars=300)), markup=False, classes="asked")
            empty = "empty: the row tells of no area; else Area=fail, Area=pass"
            yield Input(value=self._draft.criteria, placeholder=empty, id="areas", compact=True)
            yield Static(markup=False, id="wrong")

    @property
    def draft(self) -> Draft:
        """What is typed now."""
        return Draft(
            self.query_one("#grade", Input).value,
            self.query_one("#text", TextArea).text,
            self.query_one("#areas", Input).value,
            self._draft.offered,
            self._draft.offered_for,
        )

    def action_keep(self) -> None:
        """Hand the answer on once the field has taken the keys that were pressed before this one."""
        (self.focused or self).call_later(self._keep)

    def _keep(self) -> None:
        """Hand the answer on, or say what is wrong with it."""
        draft = self.draft
        criteria = areas_of(draft.criteria)
        if not draft.grade.strip():
            self.refuse("a grade is needed.")
        elif isinstance(criteria, str):
            self.refuse(criteria)
        elif self._is_of_another_grade(draft) and self._warned != draft.grade:
            # the model would learn a text that contradicts the grade
            self._warned = draft.grade
            given = clean_line(draft.offered_for, max_chars=20)
            written = f"for its own grade {given}" if given else "without a grade"
            self.refuse(
                f"the model wrote this feedback {written}: write yours, or ^s again keeps the grade without it."
            )
        else:
            self.refuse("")
            text = "" if self._is_of_another_grade(draft) else draft.feedback.strip()
            self.on_keep(Answer(draft.grade.strip(), text, dict(criteria), new_areas=self._new_areas))

    def _is_of_another_grade(self, draft: Draft) -> bool:
        """Return whether the feedback is the model's, untouched, while the grade is another than the model's."""
        untouched = bool(draft.offered.strip()) and draft.feedback.strip() == draft.offered.strip()
        return untouched and not self._same_grade(draft.grade, draft.offered_for)

    def refuse_kept(self, reason: str, new_areas: tuple[str, ...]) -> None:
        """Say why nothing was kept; where areas are new, they are kept when they are handed on once more."""
        if new_areas:
            self._new_areas = new_areas
            reason = f"{reason} ^s again keeps it as a new area."
        self.refuse(reason)

    def refuse(self, reason: str) -> None:
        """Stay open and say why, in place."""
        if self.is_running:
            words = Content.styled(f"✗ {clean(reason)}", "$text-error-own") if reason else Content("")
            self.query_one("#wrong", Static).update(words)

    def action_leave(self) -> None:
        """Close; what is typed is handed back."""
        self.on_leave(self.draft)
        self.dismiss()


def areas_of(text: str) -> Mapping[str, str] | str:
    """Return the areas in ``text`` with what a person says of each, or why they cannot be read."""
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.replace(";", ",").split(","))):
        area, sign, value = part.partition("=")
        if not sign or not area.strip() or not value.strip():
            return f"{clean_line(part, max_chars=60)}: write an area as Area=pass, Area=fail or Area=GRADE."
        found[area.strip()] = value.strip()
    return found
