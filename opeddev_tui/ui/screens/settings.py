"""The settings screen: every setting with its value, its origin and its help; Enter changes one.

Values are checked and saved by ``tasks.workspace``: a refused one is explained and nothing is saved.
"""

from __future__ import annotations

import tomllib
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import msgspec
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import OptionList, Static

from opeddev_tui.config import loading
from opeddev_tui.config.loading import LoadedSettings
from opeddev_tui.text import clean_line, clean_lines
from opeddev_tui.ui.keys import SETTINGS, bindings
from opeddev_tui.ui.screens.base import FilteredScreen, settings_can_be_saved
from opeddev_tui.ui.shell import Disk
from opeddev_tui.ui.state.view import View
from opeddev_tui.ui.widgets.dialogs import AskText
from opeddev_tui.ui.widgets.filter_box import FilterBox
from opeddev_tui.ui.widgets.grid import Cell, Grid
from opeddev_tui.ui.widgets.tables import cut

# keys of rows that are no setting, and of a changed setting's second row
_GROUP, _AGAIN = "group ", " changed"
_CHANGED = "Changed"
# cells of the columns left of the value, with the blanks around all, and of the scrollbar
_LEFT = 54
# in the order in which they are needed
_SECTIONS: tuple[tuple[str, str], ...] = (
    ("model", "Model"), ("training", "Training"), ("lora", "Adapters (LoRA)"), ("early_stop", "When a step stops"),
    ("generation", "Probe prompts"), ("grading", "Grades"), ("data", "Reading data"), ("paths", "Folders"),
    ("notify", "Notices"), ("ui", "Screen"),
)  # fmt: skip


def groups(loaded: LoadedSettings, filter_text: str) -> list[tuple[str, list[str]]]:
    """Return the settings that contain ``filter_text``: the changed ones, then all by section in order of use."""
    names = [name for name in loading.known_keys() if filter_text.lower() in f"{name} {_describe(name)[0]}".lower()]
    found = [(_CHANGED, [name for name in names if loaded.origin(name) != "default"])]
    order = dict(_SECTIONS)
    for section in (*order, *(name for name in loading.sections() if name not in order)):
        found.append((order.get(section, section), [name for name in names if name.startswith(f"{section}.")]))
    return [(title, chosen) for title, chosen in found if chosen]


class SettingsScreen(FilteredScreen):
    """All settings in one table, the selected one explained below."""

    mode: ClassVar[str] = "settings"
    BINDINGS: ClassVar[list[BindingType]] = bindings(SETTINGS)
    AUTO_FOCUS = "#settings"
    explanations: ClassVar[Mapping[str, str]] = {
        "settings": "● differs from the default. The app never writes your config.toml.",
    }

    def compose_body(self) -> Iterable[Widget]:
        """Make the filter, the table and the explanation."""
        yield FilterBox("part of a name or of the help", "#settings")
        yield Grid(("setting", "from", "value"), id="settings", enter="edit")
        yield Static(markup=False, id="detail", classes="detail")

    def on_resize(self) -> None:
        """Fit the values to the new width."""
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        if self.can_be_drawn:
            self.query_one(Grid).fit_columns()
            self.fill()

    def show_body(self, view: View) -> None:  # noqa: ARG002 - the settings are not part of the view
        """Show the settings as they are now."""
        self.fill()

    def fill(self) -> None:
        """Show the settings whose name or help contains the filter."""
        loaded, rows = self.shell.loaded, list[tuple[str, tuple[Cell, ...]]]()
        for title, names in groups(loaded, self.filter_text):
            # no dot: it is no setting
            rows.append((f"{_GROUP}{title}", ((title, "bold"), "", "")))
            rows += [(name if title != _CHANGED else name + _AGAIN, self._cells(name)) for name in names]
        grid = self.query_one(Grid)
        before = grid.selected
        grid.fill(rows)
        if grid.selected != before and grid.selected.startswith(_GROUP):
            grid.move_cursor(row=grid.cursor_row + 1)
        self._explain()

    @property
    def selected(self) -> str:
        """The setting under the cursor, "" where there is none."""
        chosen = self.query_one(Grid).selected.removesuffix(_AGAIN)
        return "" if chosen.startswith(_GROUP) else chosen

    def _cells(self, name: str) -> tuple[Cell, ...]:
        section, _, key = name.partition(".")
        # a file is named by the last part of its path
        origin = self.shell.loaded.origin(name).rsplit("/", 1)[-1]
        mark, style = ("  ", "") if origin == "default" else ("● ", "bold")
        value = loading.toml_value(msgspec.to_builtins(getattr(getattr(self.shell.loaded.settings, section), key)))
        return f"  {name}", mark + origin, (cut(value, max(20, self.size.width - _LEFT)), style)

    def on_data_table_row_highlighted(self) -> None:
        """Explain the selected setting."""
        self._explain()

    def _explain(self) -> None:
        name = self.selected
        detail = self.query_one("#detail", Static)
        if not name:
            empty = self.query_one(Grid).row_count == 0
            detail.update(Content("No setting contains this." if empty else "The settings of this group are below."))
            return
        doc, allowed = _describe(name)
        lines = [
            Content.styled(name, "bold $primary") + Content(f" = {clean_line(self.value_text(name))}"),
            Content(doc),
            Content.styled(f"Takes {allowed}. From: {clean_line(self.shell.loaded.origin(name))}.", "$muted"),
        ]
        detail.update(Content("\n").join(lines))

    def value_text(self, name: str) -> str:
        """Return a setting's value as TOML, invisible characters escaped."""
        section, _, key = name.partition(".")
        return escaped(loading.toml_value(msgspec.to_builtins(self.shell.loaded.settings)[section][key]))

    def action_edit(self) -> None:
        """Change the selected setting."""
        name = self.selected
        if not name or not settings_can_be_saved(self.shell):
            return
        options = loading.choices(*name.split(".", 1))
        if name == "ui.theme":
            options = [loading.toml_value(theme) for theme in sorted(self.app.available_themes)]
        arguments = (self.shell.disk, name, self.value_text(name), self.shell.tell)
        edit = ChoiceScreen(*arguments, options) if options else EditScreen(*arguments)
        self.app.push_screen(edit, lambda _: self.fill())

    def action_reset(self) -> None:
        """Remove the value that the app saved."""
        name = self.selected
        if name and settings_can_be_saved(self.shell):
            self.shell.disk.save_settings({name: None}, saved=self.fill)

    def text_to_copy(self) -> str:
        """Return the selected setting as TOML."""
        name = self.selected
        return f"{name} = {self.value_text(name)}" if name else ""


class EditScreen(AskText):
    """One setting and an input. Its result is the text that was saved, None where nothing was."""

    def __init__(self, disk: Disk, name: str, value: str, told: Callable[[str], None]) -> None:
        doc, allowed = _describe(name)
        super().__init__(name, f"{doc}\nTakes {allowed}.", value)
        self._disk, self._setting, self._told = disk, name, told

    def accept(self, value: str) -> None:
        """Save ``value``, if it is allowed."""

        def saved() -> None:
            self.dismiss(value)
            self._told(saved_words(self._setting))

        self._disk.save_settings({self._setting: parsed(value)}, failed=self.refuse, saved=saved)


class ChoiceScreen(ModalScreen[str]):
    """One setting that takes one of a few values: a list to choose from. Its result is like that of ``EditScreen``."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "dismiss(None)", "Cancel")]
    CSS = "ChoiceScreen OptionList { height: auto; max-height: 14; border: none; background: $surface; }"

    def __init__(self, disk: Disk, name: str, value: str, told: Callable[[str], None], options: Sequence[str]) -> None:
        super().__init__()
        self._disk, self._setting, self._told = disk, name, told
        self._value, self._options = value, tuple(options)

    def compose(self) -> ComposeResult:
        """Make the list, at the present value."""
        with Vertical(classes="dialog") as box:
            box.border_title = Content(self._setting)
            box.border_subtitle = "Enter chooses, Esc cancels"
            yield Static(Content(_describe(self._setting)[0] + "\n"), markup=False)
            chosen = OptionList(*(Text(option) for option in self._options), id="choices")
            chosen.highlighted = self._options.index(self._value) if self._value in self._options else 0
            yield chosen
            yield Static(markup=False, id="wrong")

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Save what was chosen."""
        event.stop()
        value = self._options[event.option_index]

        def saved() -> None:
            self.dismiss(value)
            self._told(saved_words(self._setting))

        def failed(reason: str) -> None:
            told = "✗ " + "\n".join(clean_lines(reason))
            self.query_one("#wrong", Static).update(Content.styled(told, "$text-error-own"))

        self._disk.save_settings({self._setting: parsed(value)}, failed=failed, saved=saved)


def saved_words(name: str) -> str:
    """Return a sentence on a setting that was saved: what it is called, and when it is used."""
    used = "It is used at once." if name.startswith(("ui.", "notify.")) else "It takes effect with the next run."
    return f"Saved {name}. {used}"


def _describe(name: str) -> tuple[str, str]:
    """Return the help of a setting and the values it takes."""
    section, _, key = name.partition(".")
    return loading.describe(section, key)


def escaped(text: str) -> str:
    """Return TOML with every invisible character written as its escape: an input shows a value as it is."""
    hidden = ("Cc", "Cf", "Zl", "Zp")
    return "".join(f"\\u{ord(char):04X}" if unicodedata.category(char) in hidden and ord(char) < 0x10000
                   else f"\\U{ord(char):08X}" if unicodedata.category(char) in hidden else char
                   for char in text)  # fmt: skip


def parsed(text: str) -> Any:
    """Return what was typed as a TOML value; what is not TOML is the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
