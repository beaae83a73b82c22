"""Make a training row of a submission that a person graded, in the form of the base set.

The row is read back as a training reads it, so what is wrong with it is said before it is written anywhere.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from opeddev_tui.config.settings import FILLED_FIELDS, Grading, Settings
from opeddev_tui.data import grade_scale
from opeddev_tui.data.raw_rows import RawRow
from opeddev_tui.data.row_forms import GRADING, MESSAGES, family
from opeddev_tui.data.row_schemas import read_examples
from opeddev_tui.data.rows import Example
from opeddev_tui.errors import DataProblem, Problems
from opeddev_tui.text import clean_line, is_text

_WHERE = "the correction"


class AnsweredRow(Struct, frozen=True):
    """The ``fields`` as they are written, the ``example`` that a training makes of them, its grade, what to know.

    ``asked`` are the fields of a grading row, where ``fields`` are messages.
    """

    fields: dict[str, Any]
    example: Example
    grade: str
    notes: tuple[str, ...] = ()
    asked: dict[str, Any] | None = None


def example_of(row: Mapping[str, Any], schema: str, settings: Settings) -> AnsweredRow:
    """Return ``row`` (fields of a grading row, ``grade`` as a person types it) for a base set of form ``schema``.

    Raises ``Problem`` for a grade off the scale, and for whatever would be a problem of the row in a batch.
    """
    grading = settings.grading
    grade = grade_scale.grade_of(row.get("grade"), grading)
    if grade is None:
        cure = f"A grade is {grade_scale.range_words(grading)}."
        raise DataProblem(f"{clean_line(str(row.get('grade') or 'nothing'))!r} is not a grade here.", cure=cure)
    stated: object = grade_scale.written(grade, grading) if grading.grades else grade
    fields = {**row, "grade": stated, "feedback": str(row.get("feedback") or "").strip()}
    fields = {name: value for name, value in fields.items() if value not in (None, {}, [])}
    if not all(is_text(value) for value in fields.values() if isinstance(value, str)):
        raise DataProblem("the submission is not text: it has half of a surrogate pair.", cure="Save it as UTF-8.")
    example = _read(fields, settings)
    notes = _notes(fields, settings)
    if family(schema) in ("", GRADING):
        return AnsweredRow(fields, example, grade_scale.written(grade, grading), notes)
    if family(schema) != MESSAGES:
        raise DataProblem(
            f"the base set has {schema} rows, which a correction cannot be written as.",
            cure="Corrections become rows of base sets with submission and grade, or with messages.",
        )
    turns = _as_messages(fields, example)
    return AnsweredRow(turns, _read(turns, settings), grade_scale.written(grade, grading), notes, fields)


def _read(fields: Mapping[str, Any], settings: Settings) -> Example:
    read = read_examples([RawRow(dict(fields), _WHERE)], settings)
    if read.problems or not read.examples:
        raise Problems(read.problems or [DataProblem("the row would not be trained on.", where=_WHERE)])
    return read.examples[0]


def _as_messages(fields: Mapping[str, Any], example: Example) -> dict[str, Any]:
    turns = [{"role": turn.role, "content": turn.content} for turn in example.prompt]
    beside = {
        name: fields[name] for name in ("id", "kind", "rater", "criteria", "group", "graded_at") if name in fields
    }
    return {**beside, "messages": [*turns, {"role": "assistant", "content": example.completion}]}


def lacking(fields: Mapping[str, Any], grading: Grading) -> list[str]:
    """Return which fields the prompt has a place for and the row of ``fields`` does not fill: task, rubric."""
    return [name for name in FILLED_FIELDS if f"{{{name}}}" in grading.prompt_template and not fields.get(name)]


def _notes(fields: Mapping[str, Any], settings: Settings) -> tuple[str, ...]:
    empty = lacking(fields, settings.grading)
    notes = [f"it has no {' and no '.join(empty)}, so the model learns to grade it without."] if empty else []
    if not fields["feedback"] and "{feedback}" in settings.grading.completion_template:
        notes.append("it has no feedback, so the model learns to write none for it.")
    return tuple(notes)
