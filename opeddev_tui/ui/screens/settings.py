"""The settings screen: every setting with its value, its origin and its help; Enter changes one.

Values are checked and saved by ``tasks.workspace``: a refused one is explained and nothing is saved.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import msgspec
from textual.binding import BindingType
from textual.content import Content
from textual.events import Resize
from textual.widget import Widget
from textual.widgets import Static

from opeddev_tui.config import described
from opeddev_tui.config.described import Choice, explained
from opeddev_tui.config.loading import LoadedSettings
from opeddev_tui.config.settings import Settings
from opeddev_tui.text import clean_line
from opeddev_tui.ui.keys import SETTINGS, bindings
from opeddev_tui.ui.screens.base import settings_can_be_saved
from opeddev_tui.ui.screens.detailed import WithDetails
from opeddev_tui.ui.screens.setting_dialogs import ChoiceScreen, EditScreen, ManyScreen
from opeddev_tui.ui.state.view import View
from opeddev_tui.ui.widgets.filter_box import FilterBox
from opeddev_tui.ui.widgets.grid import Cell, Grid
from opeddev_tui.ui.widgets.legend import Legend
from opeddev_tui.ui.widgets.tables import cut

# keys of rows that are no setting, and of a changed setting's second row
_GROUP, _AGAIN = "group ", " changed"
_CHANGED = "Changed"
# cells of a value in the list: at least; at most; at most where it shares the line with what the setting is
_LEAST, _MOST, _SHARED = 20, 400, 44
_TITLES = ("setting", "from", "value")
# the last column where the screen has so many cells
_WHAT, _WIDE = "what it is", 120
# in the order in which they are needed
_SECTIONS: tuple[tuple[str, str], ...] = (
    ("model", "Model"), ("training", "Training"), ("lora", "Adapters (LoRA)"), ("early_stop", "When a step stops"),
    ("generation", "Probe prompts"), ("grading", "Grades"), ("data", "Reading data"), ("paths", "Folders"),
    ("grade", "Grading submissions"), ("serve", "Service"), ("export", "Exports"), ("tracking", "Trackers"),
    ("notify", "Notices"), ("ui", "Screen"),
)  # fmt: skip


def groups(loaded: LoadedSettings, filter_text: str) -> list[tuple[str, list[str]]]:
    """Return the settings that contain ``filter_text``: the changed ones, then all by section in order of use."""
    names = [name for name in described.known_keys() if filter_text.lower() in f"{name} {_describe(name)[0]}".lower()]
    found = [(_CHANGED, [name for name in names if loaded.origin(name) != "default"])]
    order = dict(_SECTIONS)
    for section in (*order, *(name for name in described.sections() if name not in order)):
        found.append((order.get(section, section), [name for name in names if name.startswith(f"{section}.")]))
    return [(title, chosen) for title, chosen in found if chosen]


class SettingsScreen(WithDetails):
    """All settings in one table, the selected one explained below."""

    mode: ClassVar[str] = "settings"
    BINDINGS: ClassVar[list[BindingType]] = bindings(SETTINGS)
    AUTO_FOCUS = "#settings"
    details_id: ClassVar[str] = "detail"
    explanations: ClassVar[Mapping[str, Legend]] = {
        "settings": "● differs from the default. The app never writes your config.toml.",
    }

    # the setting to go to with the next drawing
    _wanted = ""

    def compose_body(self) -> Iterable[Widget]:
        """Make the filter, the table and the explanation."""
        yield FilterBox("part of a name or of the help", "#settings")
        yield Grid(_TITLES, id="settings", enter="edit", gives={_WHAT: _LEAST, "value": _LEAST})
        yield Static(markup=False, id="detail", classes="detail")

    def on_resize(self, event: Resize) -> None:  # noqa: ARG002 - Textual's signature
        """Say what each setting is where there is room."""
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        if self.can_be_drawn:
            self.fill()

    def show_body(self, view: View) -> None:  # noqa: ARG002 - the settings are not part of the view
        """Show the settings as they are now."""
        self.fill()

    def fill(self) -> None:
        """Show the settings whose name or help contains the filter."""
        loaded, rows = self.shell.loaded, list[tuple[str, tuple[Cell, ...]]]()
        for title, names in groups(loaded, self.filter_text):
            # no dot: it is no setting
            rows.append((f"{_GROUP}{title}", ((title, "bold"), "", "", "")))
            rows += [(name if title != _CHANGED else name + _AGAIN, self._cells(name)) for name in names]
        grid = self.query_one(Grid)
        before = grid.selected
        titles = (*_TITLES, _WHAT) if self.size.width >= _WIDE else _TITLES
        grid.retitle(titles, [(key, cells[: len(titles)]) for key, cells in rows])
        if self._wanted in grid.keys:
            grid.move_cursor(row=grid.keys.index(self._wanted))
            self._wanted = ""
        if grid.selected != before and grid.selected.startswith(_GROUP):
            grid.move_cursor(row=grid.cursor_row + 1)
        self._explain()

    @property
    def selected(self) -> str:
        """The setting under the cursor, "" where there is none."""
        chosen = self.query_one(Grid).selected.removesuffix(_AGAIN)
        return "" if chosen.startswith(_GROUP) else chosen

    def go_to(self, name: str) -> None:
        """Put the cursor on the setting ``name``, without a filter."""
        self._wanted = name
        # the first time it is drawn later, and goes there then
        if self.query("#settings"):
            self.action_clear_filter()
            self.fill()

    def _cells(self, name: str) -> tuple[Cell, ...]:
        section, _, key = name.partition(".")
        # a file is named by the last part of its path
        origin = self.shell.loaded.origin(name).rsplit("/", 1)[-1]
        mark, style = ("  ", "") if origin == "default" else ("● ", "bold")
        value = described.toml_value(msgspec.to_builtins(getattr(getattr(self.shell.loaded.settings, section), key)))
        shown = cut(value, _SHARED if self.size.width >= _WIDE else _MOST)
        return f"  {name}", mark + origin, (shown, style), _first_sentence(name)

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
        return escaped(described.toml_value(msgspec.to_builtins(self.shell.loaded.settings)[section][key]))

    def action_edit(self) -> None:
        """Change the selected setting."""
        name = self.selected
        if not name or not settings_can_be_saved(self.shell):
            return
        self.app.push_screen(self._dialog(name), lambda _: self.fill())

    def _dialog(self, name: str) -> EditScreen | ChoiceScreen:
        """Return the dialog that changes a setting: a list where it takes a few values, else a line."""
        section, _, key = name.partition(".")
        help_text, choices, several = explained(section, key)
        if name == "ui.theme":
            choices = [Choice(described.toml_value(theme)) for theme in sorted(self.app.available_themes)]
        if not choices:
            return EditScreen(self.shell, name, self.value_text(name))
        default = described.toml_value(msgspec.to_builtins(Settings())[section][key])
        kind = ManyScreen if several else ChoiceScreen
        return kind(self.shell, name, self.value_text(name), help_text, choices, default)

    def action_reset(self) -> None:
        """Remove the value that the app saved, and say how it comes back."""
        name = self.selected
        if not name or not settings_can_be_saved(self.shell):
            return

        session = self.shell.session
        undone_by = session.saved_before

        def words() -> str:
            # what changed nothing leaves the undo as it was
            if session.saved_before is not undone_by:
                value = _short(session.saved_before[name])
                return f"Removed the saved {name} = {value}. {{settings.undo}} brings it back."
            origin = self.shell.loaded.origin(name).rsplit("/", 1)[-1]
            return f"The app saved no value of {name}: it is from {clean_line(origin)}."

        self._save({name: None}, words)

    def action_undo(self) -> None:
        """Take back what was saved last, from here or from elsewhere; once more brings it back."""
        before = dict(self.shell.session.saved_before)
        if not before:
            self.shell.tell("No setting was changed here since the app was opened: there is nothing to undo.")
        elif settings_can_be_saved(self.shell):
            named = ", ".join(f"{name} = {_short(value)}" for name, value in before.items() if value is not None)
            gone = ", ".join(name for name, value in before.items() if value is None)
            told = [f"Saved again: {named}." if named else "", f"No longer saved: {gone}." if gone else ""]
            self._save(before, lambda: " ".join(filter(None, [*told, "{settings.undo} takes that back."])))

    def _save(self, changes: Mapping[str, Any], words: Callable[[], str]) -> None:
        """Save, then show the settings and say ``words``."""

        def saved() -> None:
            self.fill()
            self.shell.tell(self.shell.session.keymap.text(words()))

        self.shell.disk.save_settings(changes, saved=saved)

    def text_to_copy(self) -> str:
        """Return the selected setting as TOML."""
        name = self.selected
        return f"{name} = {self.value_text(name)}" if name else ""


@functools.cache
def _first_sentence(name: str) -> str:
    """Return what a setting is in one sentence."""
    return _describe(name)[0].partition(". ")[0].rstrip(".")


def _short(value: Any) -> str:
    """Return a value as TOML in a few words."""
    return clean_line(escaped(described.toml_value(value)), max_chars=40)


def _describe(name: str) -> tuple[str, str]:
    """Return the help of a setting and the values it takes."""
    section, _, key = name.partition(".")
    return described.describe(section, key)


def escaped(text: str) -> str:
    """Return TOML with every invisible character written as its escape: an input shows a value as it is."""
    hidden = ("Cc", "Cf", "Zl", "Zp")
    return "".join(f"\\u{ord(char):04X}" if unicodedata.category(char) in hidden and ord(char) < 0x10000
                   else f"\\U{ord(char):08X}" if unicodedata.category(char) in hidden else char
                   for char in text)  # fmt: skip
