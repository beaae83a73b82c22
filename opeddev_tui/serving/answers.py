"""What a grade is as plain values: for JSON, CSV and whoever asks over a network. docs/json.md describes the fields."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import astuple

from opeddev_tui.data import grade_scale
from opeddev_tui.runs.grade_records import Figure
from opeddev_tui.runs.measured_grades import Measured
from opeddev_tui.serving.asked import Graded
from opeddev_tui.text import clean_line, escaped

DIGITS = 6
COLUMNS = (
    *("id", "file", "grade", "expected", "probabilities", "set", "confidence", "ask", "why", "criteria", "feedback"),
    *("checkpoint", "truncated", "assumed", "model", "way", "prompt_hash", "reference", "content"),
)
# a sheet takes a cell that begins so for a formula, which can run programs
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def plain_grade(label: str | None) -> int | float | str | None:
    """Return a grade as the number that it is, else as it is written."""
    number = grade_scale.number_of(label) if label is not None else None
    if number is None:
        return label
    return int(number) if number.is_integer() else number


def as_json(graded: Graded, content: str = "") -> dict[str, Any]:
    """Return ``graded`` as plain values, in the order of ``COLUMNS``, then in words what grades, and what was measured.

    ``content`` is the hash of what was asked.
    """
    return {
        "id": graded.id or None,
        "file": graded.file or None,
        "grade": plain_grade(graded.grade),
        "expected": _rounded(graded.expected),
        "probabilities": {label: _rounded(chance) for label, chance in graded.probabilities.items()},
        "set": [plain_grade(label) for label in graded.set],
        "confidence": _rounded(graded.confidence),
        "ask": graded.ask,
        "why": list(graded.why),
        "criteria": {
            name: {"passed": item.passed, "failed": _rounded(item.failed)} for name, item in graded.criteria.items()
        },
        "feedback": graded.feedback,
        "checkpoint": graded.checkpoint,
        "truncated": graded.truncated,
        "assumed": dict(graded.assumed),
        "model": graded.model,
        "way": graded.way,
        "prompt_hash": graded.prompt_hash,
        "reference": plain_grade(graded.reference or None),
        "content": content,
        "graded_by": graded.grader or graded.checkpoint,
        "measured": measured_json(graded.measured),
    }


def measured_json(measured: Measured | None) -> dict[str, Any] | None:
    """Return what the hold-out showed as plain values: shares as [value, low, high], and in sentences."""
    if measured is None:
        return None
    return {
        "rows": measured.rows,
        "tolerance": measured.tolerance,
        "agreed": _figure(measured.agreed),
        "covered": _figure(measured.covered) if measured.covered is not None else None,
        "words": list(measured.words),
    }


def _figure(figure: Figure) -> list[float | None]:
    # an interval that is not defined is no JSON number
    return [_rounded(end) if end is not None and math.isfinite(end) else None for end in astuple(figure)]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)


def json_line(value: Mapping[str, Any]) -> str:
    """Return ``value`` as JSON on one line; what a terminal must not get is in it as escapes."""
    return escaped(json.dumps(value, ensure_ascii=False, allow_nan=False))


def csv_line(values: Sequence[Any]) -> str:
    """Return one line of CSV; a text in it has no line breaks, and none is taken for a formula."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerow([_cell(value) for value in values])
    return written.getvalue().rstrip("\n")


def csv_values(value: Mapping[str, Any]) -> list[Any]:
    """Return the values of ``as_json`` in the order of ``COLUMNS``."""
    return [value[name] for name in COLUMNS]


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value
    text = value if isinstance(value, str) else json_line(value) if isinstance(value, Mapping) else _listed(value)
    text = clean_line(text, max_chars=100_000)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _listed(values: Sequence[Any]) -> str:
    return "; ".join(str(value) for value in values)
