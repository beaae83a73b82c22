"""Owns the question on quitting while a training runs, and other questions with a few answers."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from opeddev_tui.text import clean, clean_line

Answer = tuple[str, str, str]  # key, result, words

QUIT_ANSWERS: tuple[Answer, ...] = (
    ("k", "detach", "Keep training without the screen; opeddev-tui shows it again, here or anywhere"),
    ("s", "stop", "Stop and save: the run can be resumed"),
    ("c", "", "Cancel: stay here"),
)


class AskScreen(ModalScreen[str]):
    """A question with one key for each answer; Esc is the last one."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,n", "answer('')", "Cancel")]

    def __init__(self, title: str, text: str, answers: tuple[Answer, ...]) -> None:
        super().__init__()
        self._title, self._text, self._answers = clean_line(title), clean(text), answers
        for key, result, words in answers:
            self._bindings.bind(key, f"answer('{result}')", words)

    def compose(self) -> ComposeResult:
        """Make the question."""
        with Vertical(classes="dialog", id="ask") as box:
            box.border_title = Content(self._title)
            parts = [Content(self._text), Content("")] if self._text else []
            parts += [
                Content.styled(f" {key} ", "bold reverse $accent on $background") + Content(f" {clean_line(words)}")
                for key, _, words in self._answers
            ]
            yield Static(Content("\n").join(parts), markup=False)

    def action_answer(self, result: str) -> None:
        """Close with the answer."""
        self.dismiss(result)


class QuitScreen(AskScreen):
    """What to do with the training."""

    def __init__(self) -> None:
        super().__init__("A training is running", "", QUIT_ANSWERS)
