"""Rules for values of settings that a type cannot state: owned arguments, patterns, scales, columns."""

import difflib
import re
from collections.abc import Mapping
from typing import Any, get_type_hints

from opeddev_tui.config.reserved_arguments import OWNED_ARGUMENTS
from opeddev_tui.config.settings import ROW_FIELDS, Training
from opeddev_tui.errors import Problem, SettingsProblem


def semantic_problem(origin: str, section: str, key: str, value: Any) -> Problem | None:
    """Return what a type cannot say: owned training arguments, a pattern that does not compile."""
    if (section, key) == ("training", "arguments"):
        for name in value:
            if name in OWNED_ARGUMENTS:
                return SettingsProblem(
                    f"training.arguments.{name} is owned by the app.",
                    where=origin,
                    cure=f"The reason: {OWNED_ARGUMENTS[name]}.",
                )
            if name in get_type_hints(Training):
                return SettingsProblem(
                    f"training.arguments.{name} has a setting of its own.",
                    where=origin,
                    cure=f"Set training.{name} instead.",
                )
    if (section, key) == ("grading", "pattern"):
        return _pattern_problem(origin, key, value, "the grade in parentheses: Grade: ([0-9]+)")
    if (section, key) == ("grading", "area_pattern"):
        return _pattern_problem(origin, key, value, "the area's name in parentheses: ([A-Z][a-z ]+):")
    if (section, key) == ("grading", "grades"):
        return _grades_problem(origin, value)
    if (section, key) == ("data", "columns"):
        return _columns_problem(origin, value)
    return None


def _pattern_problem(origin: str, key: str, value: str, group: str) -> Problem | None:
    try:
        groups = re.compile(value).groups
    except re.error as error:
        return SettingsProblem(f"grading.{key} is not a regular expression: {error}.", where=origin)
    if groups < 1:
        return SettingsProblem(
            f"grading.{key} has no group.",
            where=origin,
            cure=f"Put {group}.",
        )
    return None


def _grades_problem(origin: str, value: list[str]) -> Problem | None:
    shown = [grade.strip().casefold() for grade in value]
    if not value or (len(value) > 1 and all(shown) and len(set(shown)) == len(shown)):
        return None
    return SettingsProblem(
        f"grading.grades = {value!r} is not a scale.",
        where=origin,
        cure='Write at least two different grades, the lowest first: ["F", "D", "C", "B", "A"].',
    )


def _columns_problem(origin: str, value: Mapping[str, str]) -> Problem | None:
    for name, column in value.items():
        if name not in ROW_FIELDS:
            near = difflib.get_close_matches(name, ROW_FIELDS, n=1)
            cure = f"Did you mean {near[0]}?" if near else f"Fields are: {', '.join(ROW_FIELDS)}."
            return SettingsProblem(f"data.columns.{name} is not a field of a row.", where=origin, cure=cure)
        if not column.strip():
            cure = f'Write the name of a column: {name} = "…".'
            return SettingsProblem(f"data.columns.{name} names no column.", where=origin, cure=cure)
    return None
