"""Owns what a row means: its schema, and the prompt, completion and grade it stands for.

A row's own text never becomes a template: values are put in once and not looked at again.
"""

import functools
import hashlib
import json
import math
import re
import string
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from opeddev_tui import settings
from opeddev_tui.errors import DataProblem, SettingsProblem
from opeddev_tui.parsing import RawRow
from opeddev_tui.text import clean_line

MOST_SHOWN = 50
ROLES = ("system", "user", "assistant")
# what a schema is recognized by, the most telling first
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "messages": ("messages",),
    "prompt/completion": ("prompt", "completion"),
    "grading": ("submission", "grade"),
    "instruction/output": ("instruction", "output"),
    "text": ("text",),
}
_GRADING_FIELDS = frozenset({"id", "kind", "task", "submission", "rubric", "grade", "feedback"})
_CURE = (
    "Rows have messages; prompt and completion; instruction, input and output; "
    "task, submission, rubric, grade and feedback; or text."
)
_TURNS = f"Messages are objects of role ({', '.join(ROLES)}) and content (a text)."
_WHOLE = re.compile(r"[+-]?[0-9]{1,9}(?:\.0*)?", re.ASCII)


class Message(Struct, frozen=True):
    """One turn of a chat; ``reasoning`` is the thought before an answer, where the row keeps it apart."""

    role: str
    content: str
    reasoning: str = ""


class Example(Struct, frozen=True):
    """One row as training sees it; ``submission`` is what is judged, for finding copies.

    ``weight`` multiplies the row's loss in training; a row of weight 0 is not trained on. ``reasoning`` is the thought
    before the completion, where the row keeps it apart.
    """

    prompt: tuple[Message, ...]
    completion: str
    grade: int | None
    kind: str
    where: str
    id: str
    submission: str
    weight: float = 1.0
    reasoning: str = ""


def detect_schema(fields: Mapping[str, Any]) -> str:
    """Return the schema of a row's fields, or an empty text if there is none such."""
    present = {name for name, value in fields.items() if value is not None}
    for schema, needed in _NEEDED.items():
        if present.issuperset(needed):
            return schema
    # a grading row that lacks its grade is told that, not that it is unknown
    return "grading" if "submission" in present and present & {"task", "rubric", "feedback"} else ""


def to_example(row: RawRow, schema: str, grading: settings.Grading) -> Example:
    """Return the example that ``row`` stands for, or raise ``DataProblem`` with its place."""
    lacking = [name for name in _NEEDED[schema] if row.fields.get(name) is None]
    if lacking:
        other = detect_schema(row.fields)
        hint = f" (it looks like {other}, not {schema})" if other not in ("", schema) else ""
        cure = f"A {schema} row has {' and '.join(_NEEDED[schema])}; this one has {_names(row)}."
        raise _bad(row, f"the row lacks {' and '.join(lacking)}{hint}.", cure)
    return _BUILDERS[schema](row, grading)


def read_examples(rows: Sequence[RawRow], grading: settings.Grading) -> tuple[str, list[Example], list[DataProblem]]:
    """Return the schema of the first row, the examples, and every problem (the first 50, then a count)."""
    if not rows:
        return "", [], [DataProblem("there are no rows.", cure="Put rows into the file.")]
    schema = detect_schema(rows[0].fields)
    if not schema:
        return "", [], [_bad(rows[0], f"the row has no known fields, but {_names(rows[0])}.", _CURE)]
    examples: list[Example] = []
    problems: list[DataProblem] = []
    for row in rows:
        try:
            examples.append(to_example(row, schema, grading))
        except DataProblem as problem:
            problems.append(problem)
    return schema, examples, capped(problems)


def capped(problems: list[DataProblem]) -> list[DataProblem]:
    """Return the first problems, and one more that counts the rest."""
    if (rest := len(problems) - MOST_SHOWN) <= 0:
        return problems
    last = DataProblem(f"and {rest} more problems like these.", cure="Correct the ones above first.")
    return [*problems[:MOST_SHOWN], last]


def parse_grade(text: str, grading: settings.Grading) -> int | None:
    """Return the grade that ``text`` states, or ``None`` if it states none in range."""
    match = re.search(grading.pattern, text)
    stated = match.group(1) if match else None
    if stated is None or not _WHOLE.fullmatch(stated.strip()):
        return None
    grade = int(float(stated))
    return grade if grading.minimum <= grade <= grading.maximum else None


def fingerprint(examples: Sequence[Example]) -> str:
    """Return the SHA-256 of every prompt and completion, in order."""
    digest = hashlib.sha256()
    for example in examples:
        turns = [[item.role, item.content, *([item.reasoning] if item.reasoning else [])] for item in example.prompt]
        row = [turns, example.completion, *([example.reasoning] if example.reasoning else [])]
        digest.update(json.dumps(row, separators=(",", ":")).encode("ascii") + b"\n")
    return digest.hexdigest()


def _bad(row: RawRow, message: str, cure: str) -> DataProblem:
    return DataProblem(message, where=row.where, cure=cure)


def _names(row: RawRow) -> str:
    return clean_line(", ".join(row.fields), max_chars=120) or "nothing"


def _text(row: RawRow, name: str) -> str:
    value = row.fields[name]
    if not isinstance(value, str):
        raise _bad(row, f"{name} is {_shown(value)}, not a text.", f"Make {name} a text.")
    if not value.strip():
        raise _bad(row, f"{name} is empty.", f"Write {name}, or remove the row.")
    return value


def _shown(value: object) -> str:
    """Name a wrong value: a long one by its kind, any other by itself."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    return "missing" if value is None else clean_line(f"{value!r:.60}")


def _plain(row: RawRow, name: str) -> str:
    value = row.fields.get(name)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _example(row: RawRow, prompt: Sequence[Message], completion: str, grading: settings.Grading) -> Example:
    asked = [message.content for message in prompt if message.role == "user"]
    return Example(
        prompt=tuple(prompt),
        completion=completion,
        grade=parse_grade(completion, grading),
        kind=_plain(row, "kind"),
        where=row.where,
        id=_plain(row, "id"),
        submission=asked[-1] if asked else completion,
    )


def _chat(row: RawRow, name: str) -> list[Message]:
    turns = row.fields[name]
    if not isinstance(turns, list):
        raise _bad(row, f"{name} is {_shown(turns)}, not a list of messages.", _TURNS)
    messages: list[Message] = []
    for number, turn in enumerate(turns, 1):
        place = f"message {number} of {name}"
        if not isinstance(turn, dict):
            raise _bad(row, f"{place} is {_shown(turn)}.", _TURNS)
        role, content = turn.get("role"), turn.get("content")
        if role not in ROLES:
            raise _bad(row, f"{place} has the role {_shown(role)}.", _TURNS)
        if not isinstance(content, str):
            raise _bad(row, f"the content of {place} is {_shown(content)}, not a text.", _TURNS)
        messages.append(Message(role, content, _reasoning(row, turn, place)))
    return messages


def _reasoning(row: RawRow, turn: Mapping[str, Any], place: str) -> str:
    """Return the thought that an assistant's message keeps apart, or an empty text."""
    thought = turn.get("reasoning_content")
    if thought is None or thought == "":
        return ""
    if not isinstance(thought, str):
        raise _bad(row, f"the reasoning_content of {place} is {_shown(thought)}, not a text.", _TURNS)
    if turn["role"] != "assistant":
        cure = "Only an assistant's message has reasoning_content; remove it."
        raise _bad(row, f"{place} has reasoning_content but is {turn['role']}'s.", cure)
    return thought


def _asked(row: RawRow, prompt: list[Message]) -> list[Message]:
    if not any(message.content.strip() for message in prompt if message.role == "user"):
        raise _bad(row, "the prompt is empty: no user message.", "Put a user message before the answer.")
    return prompt


def _answer(row: RawRow, messages: list[Message], name: str) -> str:
    if not messages or messages[-1].role != "assistant":
        raise _bad(row, f"{name} does not end with the assistant.", "End with what the model is to write.")
    if not messages[-1].content.strip():
        raise _bad(row, "the completion is empty.", "Write the last message, or remove the row.")
    return messages[-1].content


def _from_messages(row: RawRow, grading: settings.Grading) -> Example:
    messages = _chat(row, "messages")
    completion = _answer(row, messages, "messages")
    example = _example(row, _asked(row, messages[:-1]), completion, grading)
    return replace(example, reasoning=messages[-1].reasoning)


def _from_pair(row: RawRow, grading: settings.Grading) -> Example:
    prompt, answer = (_turns(row, name, role) for name, role in (("prompt", "user"), ("completion", "assistant")))
    if len(answer) > 1:
        raise _bad(row, "completion has several messages.", "Put all but the last one into prompt.")
    example = _example(row, _asked(row, prompt), _answer(row, answer, "completion"), grading)
    return replace(example, reasoning=answer[-1].reasoning)


def _turns(row: RawRow, name: str, role: str) -> list[Message]:
    return [Message(role, _text(row, name))] if isinstance(row.fields[name], str) else _chat(row, name)


def _from_instruction(row: RawRow, grading: settings.Grading) -> Example:
    asked = _text(row, "instruction")
    if row.fields.get("input"):  # it may be missing, null or empty
        asked += f"\n\n{_text(row, 'input')}"
    return _example(row, [Message("user", asked)], _text(row, "output"), grading)


def _from_text(row: RawRow, grading: settings.Grading) -> Example:
    return _example(row, [], _text(row, "text"), grading)


# --- grading


def _from_grading(row: RawRow, grading: settings.Grading) -> Example:
    submission, grade = _text(row, "submission"), _grade(row, grading)
    fields = {**row.fields, "grade": grade}
    prompt = [Message("user", _fill("prompt_template", grading.prompt_template, fields, row))]
    if grading.system_prompt:
        prompt.insert(0, Message("system", grading.system_prompt))
    completion = _fill("completion_template", grading.completion_template, fields, row)
    example = _example(row, prompt, completion, grading)
    return replace(example, grade=grade, submission=submission)


def _grade(row: RawRow, grading: settings.Grading) -> int:
    value = row.fields["grade"]
    cure = f"Write a whole number from {grading.minimum} to {grading.maximum}."
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        value, is_number = float(value), True
    if not is_number:
        raise _bad(row, f"the grade is {_shown(value)}.", cure)
    if not isinstance(value, int) and (not math.isfinite(value) or value != int(value)):
        raise _bad(row, f"the grade is {_shown(value)}, not a whole number.", cure)
    if not grading.minimum <= value <= grading.maximum:
        cure += " The range is set by grading.minimum and grading.maximum."
        raise _bad(row, f"the grade is {_shown(int(value))}.", cure)
    return int(value)


@functools.lru_cache(maxsize=16)
def _pieces(setting: str, template: str) -> tuple[tuple[str, str | None], ...]:
    """Split a template into literal texts and the names of fields; nothing else may stand in braces."""
    place = f"grading.{setting}"
    cure = "Use plain names in braces, such as {submission}; write {{ and }} for braces."
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise SettingsProblem(f"is not a template: {error}.", where=place, cure=cure) from None
    for _, name, layout, conversion in parts:
        if name is not None and (layout or conversion or not re.fullmatch(r"[^\W\d]\w*", name)):
            raise SettingsProblem(f"{{{name}}} is not a plain field.", where=place, cure=cure)
        if setting == "prompt_template" and name in ("grade", "feedback"):
            message = f"{{{name}}} would tell the model the answer."
            raise SettingsProblem(message, where=place, cure="Put it into grading.completion_template.")
    return tuple((literal, name) for literal, name, _, _ in parts)


def _fill(setting: str, template: str, fields: Mapping[str, Any], row: RawRow) -> str:
    filled: list[str] = []
    for literal, name in _pieces(setting, template):
        value = fields.get(name) if name is not None else ""
        if value is None and name in _GRADING_FIELDS:
            raise _bad(row, f"the row lacks {name}.", f"Write {name}, or take it out of grading.{setting}.")
        if not isinstance(value, str | int | float):
            plain = ", ".join(key for key, item in fields.items() if isinstance(item, str | int | float))
            message = f"{{{name}}} is not a plain field of {row.where}."
            cure = f"That row has {clean_line(plain, max_chars=200)}."
            raise SettingsProblem(message, where=f"grading.{setting}", cure=cure)
        filled += literal, str(value)
    return "".join(filled)


_BUILDERS: Mapping[str, Callable[[RawRow, settings.Grading], Example]] = {
    "messages": _from_messages,
    "prompt/completion": _from_pair,
    "grading": _from_grading,
    "instruction/output": _from_instruction,
    "text": _from_text,
}
