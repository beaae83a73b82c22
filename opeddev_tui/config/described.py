"""What a setting is, in words: its help, the values that it takes, what each of a few values means. Reads no file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, get_args, get_origin, get_type_hints

from msgspec import Meta, Struct
from msgspec.structs import fields

from opeddev_tui.config.section import Each
from opeddev_tui.config.settings import Settings
from opeddev_tui.errors import nearest


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


# what people call settings elsewhere
_OTHER_NAMES = {
    "epochs": "training.num_train_epochs", "num_epochs": "training.num_train_epochs", "lr": "training.learning_rate",
    "learning_rate": "training.learning_rate", "batch": "training.per_device_train_batch_size",
    "batch_size": "training.per_device_train_batch_size", "accumulation": "training.gradient_accumulation_steps",
    "grad_accum": "training.gradient_accumulation_steps", "base_model": "model.name", "model": "model.name",
    "rank": "lora.r", "lora": "lora.enabled", "gpus": "training.num_processes", "processes": "training.num_processes",
    "dtype": "model.precision", "bf16": "model.precision",
    "fp16": "model.precision", "context": "data.max_length", "seq_len": "data.max_length",
}  # fmt: skip


def meant_setting(name: str, among: Iterable[str] | None = None) -> str | None:
    """Return the setting (one of ``among``) that a wrong ``name`` means: by its last part, another name, or a near one.

    ``name`` may be written with hyphens, as options are.
    """
    keys = known_keys() if among is None else list(among)
    name = name.strip().lower().replace("-", "_")
    short = name.rpartition(".")[2]
    by_short = {key.partition(".")[2]: key for key in reversed(keys)}
    if (other := _OTHER_NAMES.get(short)) in keys:
        return other
    near = nearest(short, by_short)
    by_part = [_OTHER_NAMES.get(near, by_short[near])] if near is not None else []
    whole = nearest(name, keys) if "." in name else None
    return next((key for key in (whole, by_short.get(short), *by_part) if key in keys), None)


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
    return _written({"v": value}).removeprefix("v = ").strip()


def _toml_key(key: str) -> str:
    """Return a key as it is written in TOML: in quotes where it has other characters than letters, digits, - and _."""
    return _written({key: 0}).partition(" = ")[0]


def _written(table: dict[str, Any]) -> str:
    import tomli_w  # the app opens without it

    return tomli_w.dumps(table)
