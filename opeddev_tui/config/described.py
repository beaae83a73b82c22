"""What a setting is, in words: its help, the values that it takes, what each of a few values means. Reads no file."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin, get_type_hints

import tomli_w
from msgspec import Meta, Struct
from msgspec.structs import fields

from opeddev_tui.config.section import Each
from opeddev_tui.config.settings import Settings


class Choice(Struct, frozen=True):
    """One value of a setting that takes one of a few, as TOML, and what it means ("" where its name says all)."""

    value: str
    words: str = ""


def sections() -> dict[str, type[Struct]]:
    """Return the struct type of every section, by name."""
    return {item.name: item.type for item in fields(Settings)}


def known_keys() -> list[str]:
    """Return every ``section.key``."""
    return [f"{name}.{item.name}" for name, kind in sections().items() for item in fields(kind)]


def describe(section: str, key: str) -> tuple[str, str]:
    """Return (help, allowed values in words) of a setting; the help ends with what each of a few values means."""
    base, metas, each, help_text = _parts(section, key)
    if each:
        help_text += " " + "; ".join(f"{value}: {words}" for value, words in each.items()) + "."
    if get_origin(base) is Literal:
        return help_text, f"one of {', '.join(get_args(base))}"
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    name = _list_in_words(base) if get_origin(base) is list else names.get(base, "a table")
    parts = [
        f"{words} {limit:.10g}"
        for meta in metas
        for words, limit in (("at least", meta.ge), ("above", meta.gt), ("at most", meta.le), ("below", meta.lt))
        if limit is not None
    ]
    return help_text, f"{name} {' and '.join(parts)}".strip()


def choices(section: str, key: str) -> list[str]:
    """Return the values of a setting that takes one of a few, as TOML; empty for other settings."""
    base = _parts(section, key)[0]
    if get_origin(base) is Literal:
        return [toml_value(value) for value in get_args(base)]
    return ["true", "false"] if base is bool else []


def explained(section: str, key: str) -> tuple[str, list[Choice], bool]:
    """Return (help without its choices, the choices, whether several may be chosen); no choices for other settings."""
    base, _, each, help_text = _parts(section, key)
    several = get_origin(base) is list and get_origin(get_args(base)[0]) is Literal
    values = list(get_args(get_args(base)[0])) if several else []
    named = [toml_value(value) for value in values] or choices(section, key)
    return help_text, [Choice(value, each.get(value.strip('"'), "")) for value in named], several


def _parts(section: str, key: str) -> tuple[Any, list[Meta], dict[str, str], str]:
    """Return a setting's type, its limits, what each of a few values means, and its help."""
    base, *extras, help_text = get_args(get_type_hints(sections()[section], include_extras=True)[key])
    each = next((extra.words for extra in extras if isinstance(extra, Each)), {})
    return base, [extra for extra in extras if isinstance(extra, Meta)], each, help_text


def _list_in_words(kind: Any) -> str:
    (item,) = get_args(kind)
    return f"a list of {', '.join(get_args(item))}" if get_origin(item) is Literal else "a list of texts"


def toml_value(value: Any) -> str:
    """Return ``value`` as it is written in TOML, in one line."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, dict):
        inner = ", ".join(f"{_toml_key(key)} = {toml_value(item)}" for key, item in value.items())
        return f"{{{inner}}}"
    return tomli_w.dumps({"v": value}).removeprefix("v = ").strip()


def _toml_key(key: str) -> str:
    """Return a key as it is written in TOML: in quotes where it has other characters than letters, digits, - and _."""
    return tomli_w.dumps({key: 0}).partition(" = ")[0]
