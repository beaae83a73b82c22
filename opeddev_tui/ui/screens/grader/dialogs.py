"""Dialogs of the grader's screen: which checkpoint grades, and what grade a person gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from msgspec import Struct
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static, TextArea

from opeddev_tui.checkpoints.catalog import Entry
from opeddev_tui.serving.corrected import Answer
from opeddev_tui.text import clean, clean_line
from opeddev_tui.ui.screens.checkpoints.listing import short
from opeddev_tui.ui.widgets.grid import Cell, Grid

NONE = "none"
_NAMED = (
    ("best", "the best checkpoint of the newest run that has one"),
    ("latest", "the newest checkpoint"),
    ("base", "the base model itself, with the newest head that was fitted on it"),
)


class ChooseCheckpoint(ModalScreen[str]):
    """A list of checkpoints; its result is one as --from takes it, or ``NONE`` for no second one."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "dismiss(None)", "Cancel")]
    CSS = "ChooseCheckpoint .dialog { max-width: 110; height: 80%; } ChooseCheckpoint Grid { height: 1fr; }"

    def __init__(self, entries: Sequence[Entry], *, beside: bool) -> None:
        super().__init__()
        self._entries, self._beside = entries, beside

    def compose(self) -> ComposeResult:
        """Make the list."""
        with Vertical(classes="dialog") as box:
            box.border_title = "Beside" if self._beside else "Checkpoint"
            box.border_subtitle = "Enter chooses, Esc cancels"
            yield Grid(("checkpoint", "what", "hold-out", "note"), id="choices", enter="take")

    def on_mount(self) -> None:
        """Fill the list, the newest first."""
        named = [(name, (name, words, "", "")) for name, words in _NAMED]
        none = [(NONE, ("none", "one checkpoint alone", "", ""))] if self._beside else []
        every = [(entry.name, _cells(entry)) for entry in reversed(self._entries) if entry.published]
        self.query_one(Grid).fill([*none, *named, *every])
        self.query_one(Grid).focus()

    def action_take(self) -> None:
        """Close with the selected one."""
        self.dismiss(self.query_one(Grid).selected or None)


def _cells(entry: Entry) -> tuple[Cell, ...]:
    loss = "–" if entry.val_loss is None else f"{entry.val_loss:.4f}"
    told = " ".join([*entry.marks, "head" if entry.grades_with else "no head"])
    return clean_line(short(entry)), told, loss, clean_line(entry.note, max_chars=40)


class Draft(Struct, frozen=True):
    """What a person has typed into a correction that is not kept yet."""

    grade: str = ""
    feedback: str = ""
    criteria: str = ""


class CorrectScreen(ModalScreen[None]):
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

    def __init__(self, about: str, scale: str, areas: Sequence[str], draft: Draft) -> None:
        super().__init__()
        self._about, self._scale, self._areas, self._draft = about, scale, areas, draft
        self.on_keep: Callable[[Answer], None] = lambda _answer: None
        self.on_leave: Callable[[Draft], None] = lambda _draft: None

    def compose(self) -> ComposeResult:
        """Make the fields."""
        with Vertical(classes="dialog") as box:
            box.border_title = "Correct: data of the next step"
            box.border_subtitle = "Ctrl+S keeps, Tab goes on, Esc closes; what is typed stays"
            yield Static(Content(clean_line(self._about, max_chars=200)), markup=False, classes="asked")
            yield Static(Content(f"Grade: {clean_line(self._scale, max_chars=200)}"), markup=False, classes="asked")
            yield Input(value=self._draft.grade, id="grade", compact=True)
            yield Static("Feedback, as the model should write it", markup=False, classes="asked")
            yield TextArea(self._draft.feedback, id="text", soft_wrap=True, tab_behavior="focus")
            named = ", ".join(clean_line(area, max_chars=30) for area in self._areas)
            hint = f"Areas (pass, fail or a grade): {named or 'Layout=fail, Naming=pass'}"
            yield Static(Content(clean_line(hint, max_chars=300)), markup=False, classes="asked")
            yield Input(
                value=self._draft.criteria, placeholder="optional: Area=fail, Area=pass", id="areas", compact=True
            )
            yield Static(markup=False, id="wrong")

    @property
    def draft(self) -> Draft:
        """What is typed now."""
        return Draft(
            self.query_one("#grade", Input).value,
            self.query_one("#text", TextArea).text,
            self.query_one("#areas", Input).value,
        )

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep it."""
        event.stop()
        self.action_keep()

    def action_keep(self) -> None:
        """Hand the answer on, or say what is wrong with it."""
        draft = self.draft
        criteria = areas_of(draft.criteria)
        if not draft.grade.strip():
            self.refuse("a grade is needed.")
        elif isinstance(criteria, str):
            self.refuse(criteria)
        else:
            self.refuse("")
            self.on_keep(Answer(draft.grade.strip(), draft.feedback.strip(), dict(criteria)))

    def refuse(self, reason: str) -> None:
        """Stay open and say why, in place."""
        if self.is_mounted:
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
