"""Map columns to fields: by ``data.columns``, by names that differ in case or punctuation only, and by proposal.

A proposal is a line for config.toml that a person may agree to; it is never applied.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from opeddev_tui.data.raw_rows import RawRow
from opeddev_tui.errors import did_you_mean, nearest

# names of columns per field, the likeliest first
_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "submission": (
        *("submission", "code", "student_code", "source_code", "solution", "student_answer", "answer", "essay"),
        *("student_response", "full_text", "response", "work", "snippet", "html", "content", "abgabe", "text"),
    ),
    "grade": (
        *("grade", "score", "rating", "mark", "marks", "points", "label", "stars", "rank", "note", "overall_score"),
        *("human_score", "grade_value", "final_grade", "orig_score", "bewertung"),
    ),
    "task": (
        *("task", "exercise", "assignment", "question", "problem", "instruction", "prompt", "description", "title"),
        *("orig_instruction", "requirement", "aufgabe"),
    ),
    "rubric": ("rubric", "criteria", "criterion", "guidelines", "grading_criteria", "orig_criteria", "checklist"),
    "feedback": (
        *("feedback", "comment", "comments", "remarks", "review", "explanation", "rationale", "reason", "critique"),
        *("orig_feedback", "justification", "kommentar"),
    ),
    "kind": ("kind", "language", "lang", "type", "category", "file_type"),
    "rater": ("rater", "grader", "annotator", "reviewer", "teacher", "tutor"),
    "group": ("group", "author", "student", "student_id", "repository", "repo", "task_id", "user_id"),
    "prompt": ("prompt", "question", "query", "user", "request", "source", "input", "frage"),
    "completion": ("completion", "response", "answer", "reply", "assistant", "target", "output", "antwort"),
}
_IN_BRACKETS = re.compile(r"[(\[][^)\]]*[)\]]")
_CLOSE = 0.8
_GRADING = ("submission", "grade", "task", "rubric", "feedback", "kind", "rater", "group")


def plain(name: str) -> str:
    """Return a column's name without case, units in brackets and punctuation: "Grade (1-5)" is grade."""
    return re.sub(r"[\W_]+", "_", _IN_BRACKETS.sub("", name).strip().casefold()).strip("_")


def value_at(fields: Mapping[str, Any], column: str) -> Any:
    """Return the value of ``column``, or of a name inside an object (input.code); ``None`` where there is none."""
    if column in fields:
        return fields[column]
    outer, _, inner = column.partition(".")
    nested = fields.get(outer)
    return nested.get(inner) if isinstance(nested, Mapping) else None


def flat(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``fields`` with the names inside objects as columns of their own: input.code."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, Mapping):
            found |= {f"{name}.{inner}": nested for inner, nested in value.items()}
        else:
            found[name] = value
    return found


def renamed(rows: Sequence[RawRow], columns: Mapping[str, str]) -> list[RawRow]:
    """Return ``rows`` with each field of ``columns`` (field to column) read from its column, if a row has it."""
    if not columns:
        return list(rows)
    renamed_rows = []
    for row in rows:
        found = {field: value_at(row.fields, column) for field, column in columns.items()}
        mapped = {field: value for field, value in found.items() if value is not None or columns[field] in row.fields}
        renamed_rows.append(RawRow({**row.fields, **mapped}, row.where))
    return renamed_rows


def implied(fields: Mapping[str, Any], known: Iterable[str]) -> dict[str, str]:
    """Return field to column for the ``known`` fields whose columns differ only in case, brackets and punctuation."""
    by_plain: dict[str, list[str]] = {}
    for name in fields:
        by_plain.setdefault(plain(name), []).append(name)
    return {field: by_plain[field][0] for field in known if field not in fields and len(by_plain.get(field, [])) == 1}


def proposed(fields: Mapping[str, Any]) -> dict[str, str]:
    """Return the mapping, field to column, that the names of ``fields`` suggest; empty if they suggest none."""
    fields = flat(fields)
    for form, needed in ((_GRADING, ("submission", "grade")), (("prompt", "completion"), ("prompt", "completion"))):
        columns: dict[str, str] = {}
        for field in form:
            if (column := _likeliest(field, [name for name in fields if name not in columns.values()])) is not None:
                columns[field] = column
        if all(field in columns for field in needed):
            return {field: column for field, column in columns.items() if field != column}
    return {}


def _likeliest(field: str, names: Sequence[str]) -> str | None:
    plains = {plain(name): name for name in reversed(names)}
    for synonym in _SYNONYMS[field]:
        if synonym in plains:
            return plains[synonym]
    # a longer name that ends or begins with one (points_total), else a misspelt one
    for synonym in _SYNONYMS[field]:
        for name in plains:
            if len(synonym) > 3 and synonym in name.split("_"):
                return plains[name]
    close = nearest(field, plains, cutoff=_CLOSE, parts=False)
    return None if close is None else plains[close]


def as_setting(columns: Mapping[str, str]) -> str:
    """Return the line for config.toml with this mapping."""
    pairs = ", ".join(f"{field} = {json.dumps(column, ensure_ascii=False)}" for field, column in columns.items())
    return f"columns = {{{pairs}}}"


def unknown_columns(rows: Sequence[RawRow], columns: Mapping[str, str]) -> list[str]:
    """Return a sentence for each mapped column that no row has, if no row has the field either."""
    present = {name for row in rows for name in (*row.fields, *flat(row.fields))}
    sentences = []
    for field, column in columns.items():
        if column not in present and field not in present:
            hint = f" {did_you_mean(column, sorted(present))}".rstrip()
            sentences.append(f"no row has the column {column}, which data.columns names for {field}.{hint}")
    return sentences
