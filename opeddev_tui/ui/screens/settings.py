"""Owns the settings screen: every setting with its value, where it comes from, its help; and changing it."""

from __future__ import annotations

import tomllib
import unicodedata
from collections.abc import Iterable
from typing import Any, ClassVar

import msgspec
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import DataTable, Input, Static

from opeddev_tui.config import loading
from opeddev_tui.text import clean, clean_line
from opeddev_tui.ui.keys import SETTINGS, Key, bindings
from opeddev_tui.ui.screens.base import BaseScreen
from opeddev_tui.ui.shell import Disk
from opeddev_tui.ui.state.view import View
from opeddev_tui.ui.widgets.filter_box import FilterBox
from opeddev_tui.ui.widgets.grid import Cell, Grid


class SettingsScreen(BaseScreen):
    """All settings in one table, the selected one explained below."""

    mode: ClassVar[str] = "settings"
    own_keys: ClassVar[tuple[Key, ...]] = SETTINGS
    BINDINGS: ClassVar[list[BindingType]] = bindings(SETTINGS)
    AUTO_FOCUS = "#settings"

    def __init__(self) -> None:
        super().__init__()
        self._wanted = ""

    def compose_body(self) -> Iterable[Widget]:
        """Make the filter, the table and the explanation."""
        yield FilterBox("part of a name or of the help", "#settings")
        yield Grid(("setting", "from", "value"), id="settings")
        yield Static(markup=False, id="detail", classes="detail")

    def show_body(self, view: View) -> None:  # noqa: ARG002 - the settings are not part of the view
        """Show the settings as they are now."""
        self._fill()

    def _fill(self) -> None:
        loaded = self.shell.loaded
        values = msgspec.to_builtins(loaded.settings)
        rows: list[tuple[str, tuple[Cell, ...]]] = []
        for name in loading.known_keys():
            section, _, key = name.partition(".")
            if self._wanted not in f"{name} {loading.describe(section, key)[0]}".lower():
                continue
            origin = loaded.origin(name)
            shown = _short(loading.toml_value(values[section][key]), 44)
            changed = origin != "default"
            rows.append(
                (name, (name, f"{'● ' if changed else '  '}{_origin(origin)}", (shown, "bold" if changed else "")))
            )
        self.query_one(Grid).fill(rows)
        self._explain()

    def on_data_table_row_highlighted(self) -> None:
        """Explain the selected one."""
        self._explain()

    def _explain(self) -> None:
        name = self.query_one(Grid).selected
        detail = self.query_one("#detail", Static)
        if not name:
            detail.update(Content("No setting contains this."))
            return
        section, _, key = name.partition(".")
        doc, allowed = loading.describe(section, key)
        lines = [
            Content.styled(name, "bold $primary") + Content(f" = {clean_line(self.value_text(name))}"),
            Content(doc),
            Content.styled(f"Takes {allowed}. From: {clean_line(self.shell.loaded.origin(name))}.", "$muted"),
        ]
        detail.update(Content("\n").join(lines))

    def value_text(self, name: str) -> str:
        """Return a setting's value as TOML."""
        section, _, key = name.partition(".")
        return escaped(loading.toml_value(msgspec.to_builtins(self.shell.loaded.settings)[section][key]))

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Enter on a row."""
        event.stop()
        self.action_edit()

    def action_edit(self) -> None:
        """Change the selected setting."""
        name = self.query_one(Grid).selected
        if not name or self._locked():
            return
        self.app.push_screen(EditScreen(self.shell.disk, name, self.value_text(name)), lambda _: self._fill())

    def action_reset(self) -> None:
        """Forget what the app saved."""
        name = self.query_one(Grid).selected
        if name and not self._locked():
            self.shell.disk.save_settings({name: None}, saved=self._fill)

    def _locked(self) -> bool:
        session = self.shell.session
        if session.read_only or not session.has_workspace:
            self.shell.tell(
                "Settings are saved in a workspace; there is none (or it is read only).", severity="warning"
            )
            return True
        return False

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while typing."""
        self._wanted = event.value.lower()
        self._fill()

    def action_filter(self) -> None:
        """Type a filter."""
        self.query_one(FilterBox).open()

    def action_clear_filter(self) -> None:
        """Drop the filter."""
        self.query_one(FilterBox).drop()

    def text_to_copy(self) -> str:
        """Return the selected setting as TOML."""
        name = self.query_one(Grid).selected
        return f"{name} = {self.value_text(name)}" if name else ""


class EditScreen(ModalScreen[bool]):
    """One setting and an input; what is not allowed is told and nothing is saved."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(False)", "Cancel")]

    def __init__(self, disk: Disk, name: str, value: str) -> None:
        super().__init__()
        self._disk, self._setting, self._value = disk, name, value

    def compose(self) -> ComposeResult:
        """Make the input."""
        section, _, key = self._setting.partition(".")
        doc, allowed = loading.describe(section, key)
        with Vertical(classes="dialog", id="edit") as box:
            box.border_title = Content(self._setting)
            box.border_subtitle = "Enter saves, Esc cancels"
            yield Static(Content(f"{doc}\nTakes {allowed}."), markup=False)
            yield Input(value=self._value, id="value", select_on_focus=False)
            yield Static(markup=False, id="wrong")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Save, if it is allowed."""
        event.stop()
        self._disk.save_settings({self._setting: parsed(event.value)}, failed=self._wrong, saved=self._saved)

    def _saved(self) -> None:
        self.app.notify(f"Saved {self._setting}. It counts from the next run on.", markup=False)
        self.dismiss(True)

    def _wrong(self, text: str) -> None:
        self.query_one("#wrong", Static).update(Content.styled(f"✗ {clean(text)}", "$text-error-own"))


def escaped(text: str) -> str:
    """Return TOML with every invisible character written as its escape: the editor shows a value as it is."""
    hidden = ("Cc", "Cf", "Zl", "Zp")
    return "".join(f"\\u{ord(char):04X}" if unicodedata.category(char) in hidden and ord(char) < 0x10000
                   else f"\\U{ord(char):08X}" if unicodedata.category(char) in hidden else char
                   for char in text)  # fmt: skip


def parsed(text: str) -> Any:
    """Return what was typed: TOML if it is TOML, else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _origin(origin: str) -> str:
    """Return where a value comes from, short: the last part of a path."""
    return origin.rsplit("/", 1)[-1] if "/" in origin else origin
