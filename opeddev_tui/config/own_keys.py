"""Read ``[keys]``: keys of a person's own, by the name of an action.

Only the form is checked here: which actions and keys there are is the screen's knowledge (``ui.keymap``).
"""

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from opeddev_tui.errors import Problem, SettingsProblem

SECTION = "keys"
EXAMPLE = """
# Keys of your own: the name of an action = a key, or a list of keys. docs/keys.md has all names and the keys that
# they have now; opeddev-tui doctor prints what you changed. ctrl+c cannot be given away.
[keys]
# monitor.continue = "y"
# monitor.next-pane = ["tab", "ctrl+n"]
"""


class OwnKeys(Struct, frozen=True):
    """The keys that one action was given, and where that is written."""

    keys: tuple[str, ...]
    origin: str


def read_own_keys(origin: str, table: Any, problems: list[Problem]) -> dict[str, OwnKeys]:
    """Return the keys of ``[keys]`` by name of action; what has a wrong form is added to ``problems``."""
    if not isinstance(table, dict):
        problems.append(SettingsProblem(f"[keys] must be a table, not {table!r}.", where=origin))
        return {}
    found: dict[str, OwnKeys] = {}
    for name, value in _flat(table):
        keys = _keys_of(value)
        if keys is None:
            wrong = f"keys.{name} = {value!r} is not allowed."
            cure = 'It takes a key or a list of keys: "y" or ["y", "ctrl+y"].'
            problems.append(SettingsProblem(wrong, where=origin, cure=cure))
        else:
            found[name] = OwnKeys(keys, origin)
    return found


def _flat(table: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    """Yield ("monitor.continue", value): TOML reads the dot as a table in a table."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{action}", keys) for action, keys in value.items())
        else:
            yield name, value


def _keys_of(value: Any) -> tuple[str, ...] | None:
    """Return the keys that ``value`` names, None where it names none. A digit may be written without quotes."""
    items = value if isinstance(value, list) else [value]
    digits = [str(item) if isinstance(item, int) and not isinstance(item, bool) and 0 <= item <= 9 else item
              for item in items]  # fmt: skip
    if not digits or not all(isinstance(item, str) and item for item in digits):
        return None
    return tuple(digits)
