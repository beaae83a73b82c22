"""The settings screen: every setting with its value, its origin and its help; Enter changes one.

Values are checked and saved by ``tasks.workspace``: a refused one is explained and nothing is saved.
"""

from __future__ import annotations

import tomllib
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import msgspec
from textual.binding import BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from opeddev_tui.config import loading
from opeddev_tui.text import clean_line
from opeddev_tui.ui.keys import SETTINGS, bindings
from opeddev_tui.ui.screens.base import FilteredScreen, settings_can_be_saved
from opeddev_tui.ui.shell import Disk
from opeddev_tui.ui.state.view import View
from opeddev_tui.ui.widgets.dialogs import AskText
from opeddev_tui.ui.widgets.filter_box import FilterBox
from opeddev_tui.ui.widgets.grid import Cell, Grid
from opeddev_tui.ui.widgets.tables import cut


class SettingsScreen(FilteredScreen):
    """All settings in one table, the selected one explained below."""

    mode: ClassVar[str] = "settings"
    BINDINGS: ClassVar[list[BindingType]] = bindings(SETTINGS)
    AUTO_FOCUS = "#settings"

    def compose_body(self) -> Iterable[Widget]:
        """Make the filter, the table and the explanation."""
        yield FilterBox("part of a name or of the help", "#settings")
        yield Grid(("setting", "from", "value"), id="settings", enter="edit")
        yield Static(markup=False, id="detail", classes="detail")

    def show_body(self, view: View) -> None:  # noqa: ARG002 - the settings are not part of the view
        """Show the settings as they are now."""
        self.fill()

    def fill(self) -> None:
        """Show the settings whose name or help contains the filter."""
        loaded = self.shell.loaded
        values = msgspec.to_builtins(loaded.settings)
        rows: list[tuple[str, tuple[Cell, ...]]] = []
        for name in loading.known_keys():
            if self.filter_text.lower() not in f"{name} {_describe(name)[0]}".lower():
                continue
            section, _, key = name.partition(".")
            # a file is named by the last part of its path
            origin = loaded.origin(name).rsplit("/", 1)[-1]
            mark, style = ("  ", "") if origin == "default" else ("● ", "bold")
            rows.append((name, (name, mark + origin, (cut(loading.toml_value(values[section][key]), 44), style))))
        self.query_one(Grid).fill(rows)
        self._explain()

    def on_data_table_row_highlighted(self) -> None:
        """Explain the selected setting."""
        self._explain()

    def _explain(self) -> None:
        name = self.query_one(Grid).selected
        detail = self.query_one("#detail", Static)
        if not name:
            detail.update(Content("No setting contains this."))
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
        name = self.query_one(Grid).selected
        if name and settings_can_be_saved(self.shell):
            edit = EditScreen(self.shell.disk, name, self.value_text(name), self.shell.tell)
            self.app.push_screen(edit, lambda _: self.fill())

    def action_reset(self) -> None:
        """Remove the value that the app saved."""
        name = self.query_one(Grid).selected
        if name and settings_can_be_saved(self.shell):
            self.shell.disk.save_settings({name: None}, saved=self.fill)

    def text_to_copy(self) -> str:
        """Return the selected setting as TOML."""
        name = self.query_one(Grid).selected
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
            self._told(f"Saved {self._setting}. It takes effect with the next run.")

        self._disk.save_settings({self._setting: parsed(value)}, failed=self.refuse, saved=saved)


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
