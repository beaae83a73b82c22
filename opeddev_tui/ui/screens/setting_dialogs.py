"""Dialogs that change one setting: a line of text that is checked, one choice of a few, several of a few.

Their result is the text that was saved, None where nothing was.
"""

from __future__ import annotations

import textwrap
import tomllib
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static

from opeddev_tui.config import described
from opeddev_tui.config.described import Choice
from opeddev_tui.config.loading import LoadedSettings
from opeddev_tui.terminal.textual_private import Dialog
from opeddev_tui.text import clean_line, clean_lines
from opeddev_tui.ui.shell import Shell
from opeddev_tui.ui.widgets.dialogs import AskText

# cells of a dialog at most, as the style sheet has it
_WIDEST = 84


class EditScreen(AskText):
    """One setting and an input."""

    def __init__(self, shell: Shell, name: str, value: str) -> None:
        doc, allowed = described.describe(*name.split(".", 1))
        number = isinstance(parsed(value), int | float)
        super().__init__(name, f"{doc}\nTakes {allowed}.", value, replaced=number)
        self._shell, self._setting = shell, name

    def accept(self, value: str) -> None:
        """Save ``value``, if it is allowed."""
        _save(self, self._shell, self._setting, value, self.refuse)


class ChoiceScreen(Dialog[str]):
    """One setting that takes one of a few values: a list to choose from, with what each value means."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "dismiss(None)", "Cancel")]
    keys_shown: ClassVar[str] = "Enter chooses, Esc cancels"

    def __init__(
        self, shell: Shell, name: str, value: str, help_text: str, choices: Sequence[Choice], default: str
    ) -> None:
        super().__init__()
        self._shell, self._setting, self._help = shell, name, help_text
        self._value, self._choices, self._default = value, tuple(choices), default

    def compose(self) -> ComposeResult:
        """Make the list, at the present value."""
        with Vertical(classes="dialog") as box:
            box.border_title = Content(self._setting)
            box.border_subtitle = self.keys_shown
            yield Static(Content(f"{self._help}\n"), markup=False)
            chosen = OptionList(*(self._line(choice) for choice in self._choices), id="choices")
            values = [choice.value for choice in self._choices]
            chosen.highlighted = values.index(self._value) if self._value in values else 0
            yield chosen
            yield Static(markup=False, id="wrong")

    def _line(self, choice: Choice) -> Text:
        """Return a value, whether it is the one in use or the default, and what it means."""
        marks = [word for word, value in (("now", self._value), ("default", self._default)) if value == choice.value]
        return self._option(choice, "● " if choice.value == self._value else "  ", marks)

    def _option(self, choice: Choice, sign: str, marks: Sequence[str] = ()) -> Text:
        """Return a value as a line, and below it what it means, indented."""
        text = Text.assemble(sign, (choice.value.strip('"'), "bold"), f"  ({', '.join(marks)})" if marks else "")
        if choice.words:
            indent = " " * len(sign)
            # without the frame of the dialog and the list's own margin
            width = min(_WIDEST, self.app.size.width * 9 // 10) - 10
            text.append("\n" + textwrap.fill(choice.words, width, initial_indent=indent, subsequent_indent=indent))
        return text

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Save what was chosen."""
        event.stop()
        self.save(self._choices[event.option_index].value)

    def save(self, value: str) -> None:
        """Save ``value`` and close, or say why it cannot be saved."""

        def failed(reason: str) -> None:
            told = "✗ " + "\n".join(clean_lines(reason))
            self.query_one("#wrong", Static).update(Content.styled(told, "$text-error-own"))

        _save(self, self._shell, self._setting, value, failed)


class ManyScreen(ChoiceScreen):
    """One setting that takes any of a few values: Space marks them, Enter keeps those that are marked."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("space", "mark", "Mark", priority=True)]
    keys_shown: ClassVar[str] = "Space marks, Enter keeps, Esc cancels"

    def __init__(
        self, shell: Shell, name: str, value: str, help_text: str, choices: Sequence[Choice], default: str
    ) -> None:
        super().__init__(shell, name, value, help_text, choices, default)
        marked = parsed(value)
        self._marked = {described.toml_value(item) for item in marked} if isinstance(marked, list) else set[str]()

    def _line(self, choice: Choice) -> Text:
        return self._option(choice, "[x] " if choice.value in self._marked else "[ ] ")

    def action_mark(self) -> None:
        """Mark the selected value, or take its mark away."""
        options = self.query_one(OptionList)
        if options.highlighted is not None:
            choice = self._choices[options.highlighted]
            self._marked ^= {choice.value}
            options.replace_option_prompt_at_index(options.highlighted, self._line(choice))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Save the marked ones; a click marks."""
        event.stop()
        event.prevent_default()
        self.save(f"[{', '.join(choice.value for choice in self._choices if choice.value in self._marked)}]")


def _save(dialog: Dialog[str], shell: Shell, name: str, value: str, failed: Callable[[str], None]) -> None:
    """Save the setting ``name``, close ``dialog`` and say that; ``failed`` gets the reason why it cannot be saved."""

    def saved() -> None:
        dialog.dismiss(value)
        tell_saved(shell, name)

    shell.disk.save_settings({name: parsed(value)}, failed=failed, saved=saved)


def tell_saved(shell: Shell, name: str) -> None:
    """Say that a setting was saved and when it is used, or what hides it."""
    text, severity = saved_words(shell.loaded, name)
    shell.tell(text, severity=severity)


def saved_words(loaded: LoadedSettings, name: str) -> tuple[str, str]:
    """Return a sentence on a setting that was saved, as ``loaded`` has it now, and how serious that is."""
    origin = loaded.origin(name)
    if origin == "--set" or origin.startswith("environment "):
        return f"Saved {name}, but {clean_line(origin)} sets it as well and takes precedence.", "warning"
    used = "It is used at once." if name.startswith(("ui.", "notify.")) else "It takes effect with the next run."
    return f"Saved {name}. {used}", "information"


def parsed(text: str) -> Any:
    """Return what was typed as a TOML value; what is not TOML is the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
