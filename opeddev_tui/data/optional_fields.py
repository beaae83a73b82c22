"""Read the optional fields of a row: weight, all grades, rater, criteria and group.

A column of the same name with something else (criteria as a text) is not used, and noted.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from opeddev_tui.data import grade_scale
from opeddev_tui.data.parsing import parse_json_text
from opeddev_tui.data.raw_rows import RawRow
from opeddev_tui.data.rows import Example, RowContext, label, shown

OPTIONAL = ("weight", "grades", "rater", "criteria", "group")
_PASSED = {
    **dict.fromkeys(("pass", "passed", "yes", "true"), True),
    **dict.fromkeys(("fail", "failed", "no", "false"), False),
}


def with_optional_fields(example: Example, row: RawRow, context: RowContext) -> Example:
    """Return ``example`` with the optional fields of ``row``; raises ``DataProblem`` for a wrong value."""
    if not any(row.fields.get(name) is not None for name in OPTIONAL):
        return example
    return replace(
        example,
        weight=_weight(row),
        grades=read_grades(row, context),
        rater=label(row, "rater"),
        criteria=_criteria(row, context),
        group=_group(row, context),
    )


def _weight(row: RawRow) -> float:
    value = row.fields.get("weight")
    if value is None or value == "":
        return 1.0
    number = grade_scale.number_of(value)
    if number is None or not math.isfinite(number) or number < 0:
        cure = "Write a number from 0 (not trained on) up; 1 is usual. Rename the column if it means something else."
        raise row.bad(f"the weight is {shown(value)}.", cure)
    return number


def read_grades(row: RawRow, context: RowContext) -> tuple[int, ...]:
    """Return all grades of a row, from a list or a text such as "3;4;4" or "[3, 4]"; raises ``DataProblem``."""
    value = row.fields.get("grades")
    if isinstance(value, str) and value.strip():
        value = _listed(value)
    if value in (None, "", []):
        return ()
    if not isinstance(value, list):
        context.note(row, f"grades is {shown(value)}, not a list, and is not used.")
        return ()
    found = []
    for item in value:
        stated = item.get("grade") if isinstance(item, dict) else item
        grade = grade_scale.grade_of(stated, context.grading)
        if grade is None:
            cure = f"Write {grade_scale.range_words(context.grading)} for each."
            raise row.bad(f"one of the grades is {shown(stated)}.", cure)
        found.append(grade)
    return tuple(found)


def _listed(text: str) -> Any:
    if text.lstrip().startswith("["):
        try:
            return parse_json_text(text, "grades")
        except ValueError:
            return text
    separator = next((sign for sign in (";", "|", "/", ",") if sign in text), None)
    return [part.strip() for part in text.split(separator)] if separator else [text.strip()]


def _criteria(row: RawRow, context: RowContext) -> dict[str, int | bool]:
    value = row.fields.get("criteria")
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = parse_json_text(value, row.where)
        except ValueError:
            raise row.bad("criteria is not valid JSON.", 'Write it as {"contrast": 4, "names": "pass"}.') from None
    if value is None or value == "":
        return {}
    if not isinstance(value, Mapping):
        kind = "a text" if isinstance(value, str) else shown(value)
        context.note(row, f"criteria is {kind}, not a table, and is not kept.")
        return {}
    # Arrow gives every row all areas, with null for those that it does not have
    return {area: _criterion(row, area, item, context) for area, item in value.items() if item is not None}


def _criterion(row: RawRow, area: str, value: Any, context: RowContext) -> int | bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and (passed := _PASSED.get(value.strip().casefold())) is not None:
        return passed
    grade = grade_scale.grade_of(value, context.grading)
    if grade is None:
        cure = f"Write pass or fail, or {grade_scale.range_words(context.grading)}."
        raise row.bad(f"the criterion {json.dumps(area, ensure_ascii=False)[:60]} is {shown(value)}.", cure)
    return grade


def _group(row: RawRow, context: RowContext) -> str:
    value = row.fields.get("group")
    if value is not None and not isinstance(value, str | int):
        context.note(row, f"group is {shown(value)}, not a text, and is not kept.")
    return label(row, "group")
