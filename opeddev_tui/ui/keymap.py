"""Lay a person's own keys over the tables of ``keys``, and write each action's key as it is now.

Pure. A name, a key or a conflict that cannot stand is a ``SettingsProblem`` with the place and the nearest valid name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache

from msgspec import Struct
from msgspec.structs import replace
from textual.keys import KEY_NAME_REPLACEMENTS, REPLACED_KEYS, Keys, key_to_character

from opeddev_tui.config.own_keys import OwnKeys
from opeddev_tui.errors import Problem, Problems, SettingsProblem, did_you_mean, nearest
from opeddev_tui.text import clean_line
from opeddev_tui.ui.keys import GLOBAL, SCREEN_KEYS, TABLES, Key, written

_PLACE = re.compile(r"\{([a-z]+\.[a-z0-9-]+)\}")
# what a terminal sends for these is another key, or never reaches the app
_KEPT: Mapping[str, str] = {
    "ctrl+c": "it must stay: it says how to quit, and copies",
    "ctrl+z": "it must stay: it gives the terminal back to the shell",
    "ctrl+i": "a terminal sends the same for tab",
    "ctrl+m": "a terminal sends the same for enter",
    "ctrl+j": "a terminal sends the same for enter",
    "ctrl+h": "a terminal may send the same for backspace",
    "ctrl+left_square_bracket": "a terminal sends the same for escape",
}
_SPELLINGS: Mapping[str, str] = {
    "esc": "escape", "return": "enter", "del": "delete", "ins": "insert", "pgup": "pageup", "pgdn": "pagedown",
    "page_up": "pageup", "page_down": "pagedown", "control": "ctrl", "option": "alt", "meta": "alt",
}  # fmt: skip
_HELD = ("ctrl", "alt", "shift")


class Keymap(Struct, frozen=True):
    """Which keys each action has; ``own`` are those that a person chose, by name of action."""

    own: dict[str, tuple[str, ...]] = {}

    def key(self, key: Key) -> Key:
        """Return a row of a table with the keys that it has now, and its help naming other actions' keys."""
        keys = self.own.get(key.name)
        with_keys = key if keys is None else replace(key, keys=",".join(keys), shown="")
        return replace(with_keys, help=self.text(key.help)) if "{" in key.help else with_keys

    def keys(self, table: Iterable[Key]) -> tuple[Key, ...]:
        """Return rows with the keys that they have now."""
        return tuple(self.key(key) for key in table)

    def first(self, name: str) -> str:
        """Return the first key of the action ``name``, as it is written on the screen."""
        return self.key(_BY_NAME[name]).display.split(" ")[0]

    def text(self, template: str) -> str:
        """Return ``template`` with each {monitor.pause} replaced by that action's first key."""
        return _PLACE.sub(lambda found: self.first(found[1]) if found[1] in _BY_NAME else found[0], template)

    def changes(self) -> dict[str, str]:
        """Return the changed keys as Textual takes them: comma-separated, by id of binding."""
        return {name: ",".join(keys) for name, keys in self.own.items()}


DEFAULT_KEYS = Keymap()
_BY_NAME: Mapping[str, Key] = {key.name: key for table in TABLES.values() for key in table}


def names() -> list[str]:
    """Return the names of all actions, in the order of the tables."""
    return list(_BY_NAME)


def keymap_of(own: Mapping[str, OwnKeys]) -> Keymap:
    """Return the keymap with a person's own keys; raises ``Problems`` with everything that is wrong in them."""
    problems: list[Problem] = []
    chosen: dict[str, tuple[str, ...]] = {}
    origins: dict[str, str] = {}
    for written_name, given in own.items():
        where = f"{given.origin}, [keys]"
        name = _name_of(written_name, where, problems)
        keys = [_key_of(text, where, written_name, problems) for text in given.keys]
        if name and all(keys):
            chosen[name], origins[name] = tuple(dict.fromkeys(keys)), where
    found = Keymap(chosen)
    problems += _conflicts(found, origins)
    if problems:
        raise Problems(problems)
    return found


def _name_of(text: str, where: str, problems: list[Problem]) -> str:
    """Return the full name of an action; the screen may be left out where only one has an action of that name."""
    name = text.strip().lower()
    if name in _BY_NAME:
        return name
    alike = [full for full in _BY_NAME if full.partition(".")[2] == name]
    if len(alike) == 1:
        return alike[0]
    near = nearest(name, _BY_NAME)
    if near is None:
        by_action = {full.partition(".")[2]: full for full in _BY_NAME}
        near = by_action.get(nearest(name.rpartition(".")[2], by_action) or "")
    shown = clean_line(text)
    if alike:
        problem = SettingsProblem(f"{shown} names several actions: {', '.join(alike)}.", where=where, cure="Say which.")
    else:
        cure = "docs/keys.md has all names." if near is None else f"Did you mean {near}?"
        problem = SettingsProblem(f"there is no action {shown}.", where=where, cure=cure)
    problems.append(problem)
    return ""


def _key_of(text: str, where: str, name: str, problems: list[Problem]) -> str:
    """Return Textual's name of a key: "?" is question_mark, "Ctrl+E" ctrl+e, "^e" too; "" where it is none."""
    key = normalised(text)
    if not key:
        cure = _nearest_key(text)
        problems.append(SettingsProblem(f"keys.{name}: {clean_line(text)!r} is no key.", where=where, cure=cure))
        return ""
    if key in _KEPT:
        wrong = f"keys.{name}: {clean_line(text)} cannot be used: {_KEPT[key]}."
        problems.append(SettingsProblem(wrong, where=where, cure="Choose another key."))
        return ""
    return key


def normalised(text: str) -> str:
    """Return Textual's name of the key that ``text`` names, "" where it names none."""
    if len(text) == 1:
        return _character(text)
    if len(text) == 2 and text[0] == "^":
        text = f"ctrl+{text[1]}"
    *held, last = text.split("+") if not text.endswith("++") else [*text[:-2].split("+"), "+"]
    held = [_SPELLINGS.get(part.strip().lower(), part.strip().lower()) for part in held]
    if len(set(held)) != len(held) or not set(held) <= set(_HELD):
        return ""
    last = last.strip() if len(last) > 1 else last
    plain = _SPELLINGS.get(last.lower(), last.lower())
    # a key that is held turns letters into small ones; the shifted letter is a key of its own
    if len(last) == 1:
        key = _character(last.lower() if "ctrl" in held else last)
    else:
        key = plain if plain in _named() or _is_character(plain) else ""
    if not key:
        return ""
    if held == ["shift"] and len(key) == 1 and key.isalpha():
        return key.upper()
    return "+".join([*(one for one in _HELD if one in held), key])


def _character(char: str) -> str:
    """Return Textual's name of a character: a letter or digit itself, else its Unicode name or a shorter one."""
    if char.isalnum():
        return char
    name = unicodedata.name(char, "").lower().replace("-", "_").replace(" ", "_") if char.isprintable() else ""
    return KEY_NAME_REPLACEMENTS.get(name, name)


@cache
def _named() -> list[str]:
    """Return the names of the keys that no character has."""
    return sorted({key.value for key in Keys if "+" not in key.value and not key.value.startswith("<")} | {"space"})


def _is_character(name: str) -> bool:
    char = key_to_character(REPLACED_KEYS.get(name, name))
    return char is not None and _character(char) == name


def _nearest_key(text: str) -> str:
    known = [*_named(), "question_mark", "slash", "comma", "colon", "full_stop", "plus", "minus"]
    near = did_you_mean(text.lower().rpartition("+")[2], known)
    examples = 'A key is a character such as "y" or "?", or a name such as "enter", "f5", "ctrl+e" or "alt+1".'
    return f"{near} {examples}".lstrip()


# --- two actions on one key


def _conflicts(keymap: Keymap, origins: Mapping[str, str]) -> Iterator[Problem]:
    """Yield a problem for each key that a person gave to an action beside another one of the same screen."""
    told: set[tuple[str, str, str]] = set()
    for screen, keys in _screens():
        for one, two, key in _shared(keymap, keys):
            changed = one.name if one.name in keymap.own else two.name
            if changed not in keymap.own or (one.name, two.name, key) in told:
                continue
            if key in one.keys.split(",") and key in two.keys.split(","):
                continue  # they share it by default: the focused part decides
            told.add((one.name, two.name, key))
            yield SettingsProblem(
                f"{written(key)} would be both {one.name} and {two.name} ({screen}).",
                where=origins[changed],
                cure="Give one of them another key.",
            )


def _screens() -> Iterator[tuple[str, Sequence[Key]]]:
    """Yield every screen with all actions that its keys can reach."""
    for screen, sections in SCREEN_KEYS.items():
        yield screen, [*(key for _, keys in sections for key in keys), *GLOBAL]
    shown = {id(keys) for sections in SCREEN_KEYS.values() for _, keys in sections}
    for name, keys in TABLES.items():
        if id(keys) not in shown and keys is not GLOBAL:
            yield name, keys


def _shared(keymap: Keymap, keys: Sequence[Key]) -> Iterator[tuple[Key, Key, str]]:
    """Yield each two actions that have a key in common now, and that key."""
    holders: dict[str, list[Key]] = {}
    for row in keys:
        for key in keymap.key(row).keys.split(","):
            holders.setdefault(key, []).append(row)
    for key, rows in holders.items():
        for at, one in enumerate(rows):
            yield from ((one, two, key) for two in rows[at + 1 :] if one.name != two.name)
