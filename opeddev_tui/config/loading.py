"""Read the settings of a workspace in layers: defaults < config.toml < saved by the app < environment < --set.

All wrong keys, types and values are reported in one pass, each with file, key, value, what is allowed and the nearest
valid key. The app writes only its own file (``.specs/settings.toml``), never a person's config.toml.
"""

import contextlib
import math
import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
from msgspec import Struct
from msgspec.structs import fields

from opeddev_tui.config.described import describe, meant_setting, sections
from opeddev_tui.config.own_keys import EXAMPLE, SECTION, OwnKeys, read_own_keys
from opeddev_tui.config.setting_rules import semantic_problem
from opeddev_tui.config.settings import Settings
from opeddev_tui.errors import Problem, Problems, SettingsProblem, nearest
from opeddev_tui.files import changing, read_text, reason_of, write_atomic

ENVIRONMENT_PREFIX = "OPEDDEV_"
CONFIG_NAME = "config.toml"
SAVED_NAME = ".specs/settings.toml"
# sections that may be written as the value of one of their settings: tracking = ["wandb"]
SHORT_FORMS = {"tracking": "trackers"}


class Layer(Struct, frozen=True):
    """One source of settings: its name for people and its tables ``{section: {key: value}}``."""

    origin: str
    tables: dict[str, dict[str, Any]]


class LoadedSettings(Struct, frozen=True):
    """The resolved settings and, for each ``section.key`` that is not a default, where it comes from.

    ``keys`` are a person's own keys of the screen, by name of action.
    """

    settings: Settings
    origins: dict[str, str]
    keys: dict[str, OwnKeys] = {}

    def origin(self, key: str) -> str:
        """Return where the value of ``section.key`` comes from."""
        return self.origins.get(key, "default")


def load(
    workspace: Path, *, overrides: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> LoadedSettings:
    """Return the settings of ``workspace``; raise ``Problems`` with everything that is wrong in them.

    ``overrides`` are ``section.key=value``, as after ``--set``; ``environment`` is by default that of the process.
    """
    problems: list[Problem] = []
    layers = [
        _file_layer(workspace / CONFIG_NAME, problems),
        _file_layer(workspace / SAVED_NAME, problems),
        *_environment_layers(os.environ if environment is None else environment),
        *_override_layers(overrides, problems),
    ]
    return resolve(layers, problems)


def resolve(layers: Iterable[Layer], problems: list[Problem] | None = None) -> LoadedSettings:
    """Lay ``layers`` over the defaults, the last one wins; raise ``Problems`` with ``problems`` and all found here."""
    found: list[Problem] = [*(problems or ())]
    merged: dict[str, dict[str, Any]] = {name: {} for name in sections()}
    origins: dict[str, str] = {}
    keys: dict[str, OwnKeys] = {}
    for layer in layers:
        for section, table in layer.tables.items():
            if section == SECTION:
                keys |= read_own_keys(layer.origin, table, found)
                continue
            for key, value in _checked_table(layer.origin, section, table, found):
                merged[section][key] = value
                origins[f"{section}.{key}"] = layer.origin
    if found:
        raise Problems(found)
    return LoadedSettings(msgspec.convert(merged, Settings), origins, keys)


def _checked_table(origin: str, section: str, table: Any, problems: list[Problem]) -> Iterable[tuple[str, Any]]:
    kind = sections().get(section)
    if kind is None:
        known = [*sections(), SECTION]
        problems.append(_unknown(origin, f"[{section}]", nearest(section, known), known))
        return
    if section in SHORT_FORMS and isinstance(table, list):
        table = {SHORT_FORMS[section]: table}
    if not isinstance(table, dict):
        problems.append(SettingsProblem(f"[{section}] must be a table, not {table!r}.", where=origin))
        return
    hints = get_type_hints(kind, include_extras=True)
    for key, value in table.items():
        if key not in hints:
            full = f"{section}.{key}"
            problems.append(_unknown(origin, full, meant_setting(full), [f"{section}.{name}" for name in hints]))
            continue
        if (problem := _problem_of(origin, section, key, value, hints[key])) is not None:
            problems.append(problem)
        else:
            yield key, value


def _problem_of(origin: str, section: str, key: str, value: Any, expected: Any) -> Problem | None:
    _, allowed = describe(section, key)
    wrong = SettingsProblem(f"{section}.{key} = {value!r} is not allowed.", where=origin, cure=f"It takes {allowed}.")
    try:
        msgspec.convert(value, expected)
    except msgspec.ValidationError:
        return wrong
    # NaN lies in every range
    return wrong if isinstance(value, float) and math.isnan(value) else semantic_problem(origin, section, key, value)


def _unknown(origin: str, shown: str, near: str | None, valid: list[str]) -> Problem:
    cure = f"Valid are: {', '.join(valid)}." if near is None else f"Did you mean {near}?"
    return SettingsProblem(f"unknown setting {shown}.", where=origin, cure=cure)


def _file_layer(path: Path, problems: list[Problem]) -> Layer:
    tables: dict[str, Any] = {}
    try:
        tables = tomllib.loads(read_text(path))
    except FileNotFoundError:
        tables = {}
    except tomllib.TOMLDecodeError as error:
        problems.append(SettingsProblem(f"is not valid TOML: {error}.", where=str(path)))
    except (OSError, UnicodeDecodeError) as error:
        problems.append(SettingsProblem(f"cannot be read: {reason_of(error)}.", where=str(path)))
    except RecursionError:
        problems.append(SettingsProblem("is not valid TOML: it is nested too deeply.", where=str(path)))
    return Layer(str(path), tables)


def _environment_layers(environment: Mapping[str, str]) -> Iterable[Layer]:
    for name, raw in sorted(environment.items()):
        if not name.startswith(ENVIRONMENT_PREFIX) or "__" not in name:
            continue
        section, _, key = name.removeprefix(ENVIRONMENT_PREFIX).lower().partition("__")
        yield _single(f"environment {name}", section, key, raw)


def _override_layers(overrides: Sequence[str], problems: list[Problem]) -> Iterable[Layer]:
    for override in overrides:
        name, equals, raw = override.partition("=")
        section, dot, key = name.strip().partition(".")
        if not dot and section in SHORT_FORMS:
            dot, key = ".", SHORT_FORMS[section]
        if not equals or not dot:
            problems.append(
                SettingsProblem(f"{override!r} is not a setting.", where="--set", cure="Write --set section.key=value.")
            )
            continue
        yield _single("--set", section, key, raw)


def _single(origin: str, section: str, key: str, raw: str) -> Layer:
    """Return a layer of one value, read as TOML if it is TOML and as a text if that is what the key takes."""
    hints = get_type_hints(sections()[section]) if section in sections() else {}
    if section == "training" and key.startswith("arguments."):
        key, raw = "arguments", f"{{{key.removeprefix('arguments.')} = {raw}}}"
    if section == "data" and key.startswith("columns."):
        return Layer(origin, {section: {"columns": {key.removeprefix("columns."): raw.strip("\"'")}}})
    value: Any = raw
    if hints.get(key) is str:
        value = raw.strip("\"'") if raw[:1] in "\"'" and raw[:1] == raw[-1:] else raw
    else:
        with contextlib.suppress(tomllib.TOMLDecodeError):
            value = tomllib.loads(f"value = {raw}")["value"]
    return Layer(origin, {section: {key: value}})


def save(workspace: Path, changes: Mapping[str, Any]) -> Path:
    """Add ``{"section.key": value}`` to the app's own file (``None`` removes one) and return its path.

    Raises ``Problems`` and leaves the file as it was if a value is not allowed.
    """
    import tomli_w  # the app opens without it

    path = workspace / SAVED_NAME
    with changing(path):
        problems: list[Problem] = []
        tables = {name: dict(table) for name, table in _file_layer(path, problems).tables.items()}
        for name, value in changes.items():
            section, _, key = name.partition(".")
            table = tables.setdefault(section, {})
            if value is None:
                table.pop(key, None)
            else:
                table[key] = value
        resolve([Layer(str(path), tables)], problems)
        header = "# Written by opeddev-tui. Your own settings belong in config.toml.\n"
        write_atomic(path, (header + tomli_w.dumps({k: v for k, v in tables.items() if v})).encode())
    return path


def saved(workspace: Path, names: Iterable[str]) -> dict[str, Any]:
    """Return what the app's own file has for each ``section.key``, ``None`` where nothing: ``save`` takes it back."""
    tables = _file_layer(workspace / SAVED_NAME, []).tables
    return {name: tables.get(name.partition(".")[0], {}).get(name.partition(".")[2]) for name in names}


def differences(before: Settings, after: Settings) -> dict[str, tuple[Any, Any]]:
    """Return the values before and after of every ``section.key`` that differs."""
    old, new = msgspec.to_builtins(before), msgspec.to_builtins(after)
    return {
        f"{section}.{key}": (old[section][key], value)
        for section, table in new.items()
        for key, value in table.items()
        if old[section][key] != value
    }


def render_default(*, commented_out: bool = False) -> str:
    """Return the complete, commented default configuration as TOML.

    With ``commented_out`` the values are comments, so a workspace follows later defaults until one is chosen.
    """
    import tomli_w

    lines = [
        "# Settings of opeddev-tui. Order: these defaults < a workspace's config.toml < settings saved by the app",
        "# (.specs/settings.toml) < environment (OPEDDEV_TRAINING__LEARNING_RATE=1e-5) < --set section.key=value.",
    ]
    mark = "# " if commented_out else ""
    defaults = msgspec.to_builtins(Settings())
    for name, kind in sections().items():
        lines += ["", f"# {(kind.__doc__ or '').strip()}", f"[{name}]"]
        for item in fields(kind):
            doc, allowed = describe(name, item.name)
            value = defaults[name][item.name]
            shown = tomli_w.dumps({item.name: value}).strip() if value != {} else f"{item.name} = {{}}"
            lines += [f"# {doc} ({allowed})", f"{mark}{shown}"]
    return "\n".join(lines) + "\n" + EXAMPLE
