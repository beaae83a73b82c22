"""One row of a table of keys: its keys, its action, its words; how a key is written; what Textual makes of a table."""

import re
from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace
from textual.binding import Binding, BindingType
from textual.keys import key_to_character


class Key(Struct, frozen=True):
    """One row: keys (comma-separated, Textual's names), action, a word for the footer, a sentence for the help.

    ``shown`` is how the keys are written where that differs; ``priority`` keys win over the focused widget. ``table``
    is the first part of its name. ``part`` is the part of the screen that the action changes, empty for what is always
    in view: the key is there only while a person sees that part.
    """

    keys: str
    action: str
    label: str
    help: str
    footer: bool = False
    shown: str = ""
    priority: bool = False
    table: str = ""
    part: str = ""

    @property
    def name(self) -> str:
        """What ``[keys]`` calls the action: "monitor.sample-now"."""
        return f"{self.table}.{re.sub(r'[^a-z0-9]+', '-', self.label.lower()).strip('-')}"

    @property
    def display(self) -> str:
        """The keys as they are written on the screen."""
        return self.shown or " ".join(written(key) for key in self.keys.split(","))


def written(key: str) -> str:
    """Return how a key of Textual's name is written on the screen: "?", "Enter", "^p", "Alt+1"."""
    *held, last = key.split("+")
    last = _NAMES.get(last) or key_to_character(last) or (last.capitalize() if len(last) > 1 else last)
    if held == ["ctrl"]:
        return f"^{last}"
    return "+".join([*(part.capitalize() for part in held), last])


_NAMES = {
    "enter": "Enter", "escape": "Esc", "space": "Space", "tab": "Tab", "left": "←", "right": "→", "up": "↑",
    "down": "↓", "plus": "+", "minus": "-", "slash": "/", "backslash": "\\", "at": "@", "underscore": "_",
    "pageup": "PgUp", "pagedown": "PgDn", "delete": "Del", "backspace": "Backspace", "home": "Home", "end": "End",
}  # fmt: skip


def table(name: str, *keys: Key) -> tuple[Key, ...]:
    """Return the rows of the table ``name``."""
    return tuple(replace(key, table=name) for key in keys)


def of_part(part: str, *keys: Key) -> tuple[Key, ...]:
    """Return rows that are there only while the part ``part`` of the screen is in view."""
    return tuple(replace(key, part=part) for key in keys)


def pane_title(number: int, title: str) -> str:
    """Return a pane's title with the number that leads to it, 0 for none."""
    return f"[{number}] {title}" if number else title


def bindings(keys: Iterable[Key]) -> list[BindingType]:
    """Return the Textual bindings of a key table."""
    return [
        Binding(key.keys, key.action, key.label, show=key.footer, tooltip=key.help, priority=key.priority, id=key.name)
        for key in keys
    ]
