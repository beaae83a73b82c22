"""Rules for values of settings that a type cannot state: reserved arguments, patterns, scales, columns."""

import re
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

from opeddev_tui.config.reserved_arguments import OWNED_ARGUMENTS
from opeddev_tui.config.settings import ROW_FIELDS, Training
from opeddev_tui.errors import Problem, SettingsProblem, did_you_mean

# (what is wrong, the cure); None where nothing is
_Fault = tuple[str, str] | None


def semantic_problem(origin: str, section: str, key: str, value: Any) -> Problem | None:
    """Return what is wrong with a value of the right type, None where nothing is; ``origin`` names its layer."""
    rule = _RULES.get(f"{section}.{key}")
    fault = rule(value) if rule is not None else None
    return SettingsProblem(fault[0], where=origin, cure=fault[1]) if fault is not None else None


def _arguments(value: Mapping[str, Any]) -> _Fault:
    for name in value:
        if name in OWNED_ARGUMENTS:
            return f"training.arguments.{name} is owned by the app.", f"The reason: {OWNED_ARGUMENTS[name]}."
        if name in get_type_hints(Training):
            return f"training.arguments.{name} has a setting of its own.", f"Set training.{name} instead."
    return None


def _pattern(value: str) -> _Fault:
    return _pattern_fault("grading.pattern", value, "Put the grade in parentheses: Grade: ([0-9]+).")


def _area_pattern(value: str) -> _Fault:
    return _pattern_fault("grading.area_pattern", value, "Put the area's name in parentheses: ([A-Z][a-z ]+):.")


def _pattern_fault(name: str, value: str, cure: str) -> _Fault:
    try:
        groups = re.compile(value).groups
    except re.error as error:
        return f"{name} is not a regular expression: {error}.", ""
    return None if groups else (f"{name} has no group.", cure)


def _grades(value: list[str]) -> _Fault:
    shown = [grade.strip().casefold() for grade in value]
    if not value or (len(value) > 1 and all(shown) and len(set(shown)) == len(shown)):
        return None
    cure = 'Write at least two different grades, the lowest first: ["F", "D", "C", "B", "A"].'
    return f"grading.grades = {value!r} is not a scale.", cure


def _columns(value: Mapping[str, str]) -> _Fault:
    for name, column in value.items():
        if name not in ROW_FIELDS:
            cure = did_you_mean(name, ROW_FIELDS, f"Fields are: {', '.join(ROW_FIELDS)}.")
            return f"data.columns.{name} is not a field of a row.", cure
        if not column.strip():
            return f"data.columns.{name} names no column.", f'Write the name of a column: {name} = "…".'
    return None


_RULES: Mapping[str, Callable[[Any], _Fault]] = {
    "training.arguments": _arguments,
    "grading.pattern": _pattern,
    "grading.area_pattern": _area_pattern,
    "grading.grades": _grades,
    "data.columns": _columns,
}
