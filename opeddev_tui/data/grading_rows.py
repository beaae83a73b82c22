"""Read rows with a submission and a grade: fill the settings' templates with the row's fields.

A row's own text never becomes a template: braces in it are plain text.
"""

import functools
import re
import statistics
import string
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from opeddev_tui.config.settings import Grading
from opeddev_tui.data import grade_scale
from opeddev_tui.data.optional_fields import read_grades
from opeddev_tui.data.raw_rows import RawRow
from opeddev_tui.data.rows import Example, Message, RowContext, label, required_text, shown
from opeddev_tui.errors import SettingsProblem
from opeddev_tui.text import clean_line

_GRADING_FIELDS = frozenset({"id", "kind", "task", "submission", "rubric", "grade", "feedback"})


def from_grading(row: RawRow, context: RowContext) -> Example:
    """Return the example of a row with a submission and a grade; raises ``DataProblem`` or ``SettingsProblem``."""
    grading = context.grading
    submission, grade = required_text(row, "submission"), _grade(row, context)
    fields = {**row.fields, "grade": grade_scale.written(grade, grading)}
    prompt = [Message("user", _fill("prompt_template", grading.prompt_template, fields, row))]
    if grading.system_prompt:
        prompt.insert(0, Message("system", grading.system_prompt))
    return Example(
        prompt=tuple(prompt),
        completion=_fill("completion_template", grading.completion_template, fields, row),
        grade=grade,
        kind=label(row, "kind"),
        where=row.where,
        id=label(row, "id"),
        submission=submission,
    )


def _grade(row: RawRow, context: RowContext) -> int:
    """Return the grade to train on: the stated one, else the median of several (the lower of two middle ones)."""
    grading, value = context.grading, row.fields.get("grade")
    if value is None:
        return statistics.median_low(read_grades(row, context))
    if (grade := grade_scale.grade_of(value, grading)) is not None:
        return grade
    cure = f"Write {grade_scale.range_words(grading)}."
    number = grade_scale.number_of(value)
    # a float without a number is nan or infinity
    is_whole = number.is_integer() if number is not None else isinstance(value, str)
    if not grading.grades and isinstance(value, float | Decimal | str) and not is_whole:
        halves = f'["{grading.minimum}", "{grading.minimum}.5", "{grading.minimum + 1}", …]'
        cure += f" Half grades are a scale of their own: grading.grades = {halves}."
        raise row.bad(f"the grade is {shown(value)}, not a whole number.", cure)
    if number is not None:
        cure += f" The range is set by {grade_scale.setting_words(grading)}."
        value = int(number) if isinstance(value, float | str) and number == int(number) else value
    raise row.bad(f"the grade is {shown(value)}.", cure)


@functools.lru_cache(maxsize=16)
def _pieces(setting: str, template: str) -> tuple[tuple[str, str | None], ...]:
    """Split a template into literal texts and names of fields; nothing else is allowed in braces."""
    place = f"grading.{setting}"
    cure = "Use plain names in braces, such as {submission}; write {{ and }} for braces."
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise SettingsProblem(f"is not a template: {error}.", where=place, cure=cure) from None
    for _, name, layout, conversion in parts:
        if name is not None and (layout or conversion or not re.fullmatch(r"[^\W\d]\w*", name)):
            raise SettingsProblem(f"{{{name}}} is not a plain field.", where=place, cure=cure)
        if setting == "prompt_template" and name in ("grade", "feedback", "grades"):
            message = f"{{{name}}} would tell the model the answer."
            raise SettingsProblem(message, where=place, cure="Put it into grading.completion_template.")
    return tuple((literal, name) for literal, name, _, _ in parts)


def fields_of(setting: str, grading: Grading) -> tuple[str, ...]:
    """Return the names of fields in the template ``setting``, in order; raises ``SettingsProblem`` for a bad one."""
    return tuple(dict.fromkeys(name for _, name in _pieces(setting, getattr(grading, setting)) if name))


def _fill(setting: str, template: str, fields: Mapping[str, Any], row: RawRow) -> str:
    filled: list[str] = []
    for literal, name in _pieces(setting, template):
        value = fields.get(name) if name is not None else ""
        if value is None and name in _GRADING_FIELDS:
            raise row.bad(f"the row lacks {name}.", f"Write {name}, or take it out of grading.{setting}.")
        if not isinstance(value, str | int | float):
            plain = ", ".join(key for key, item in fields.items() if isinstance(item, str | int | float))
            message = f"{{{name}}} is not a plain field of {row.where}."
            cure = f"That row has {clean_line(plain, max_chars=200)}."
            raise SettingsProblem(message, where=f"grading.{setting}", cure=cure)
        filled += literal, str(value)
    return "".join(filled)
