"""Dialogs over a screen: a question with a few answers, and a line of text.

They know neither the app nor what is asked: a screen gives the words and gets the result.
"""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from opeddev_tui.text import clean, clean_line

Answer = tuple[str, str, str]  # key, result, words

CANCEL: Answer = ("c", "", "Cancel")


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


class AskText(ModalScreen[str]):
    """A line of text; Esc gives nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Cancel")]

    def __init__(self, title: str, text: str, value: str = "") -> None:
        super().__init__()
        self._title, self._text, self._value = title, text, value

    def compose(self) -> ComposeResult:
        """Make the input."""
        with Vertical(classes="dialog") as box:
            box.border_title = Content(self._title)
            box.border_subtitle = "Enter takes it, Esc cancels"
            yield Static(Content(self._text), markup=False)
            yield Input(value=self._value, id="text", select_on_focus=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take it."""
        event.stop()
        self.dismiss(event.value)
