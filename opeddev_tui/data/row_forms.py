"""Recognize and read the forms of rows: chats, pairs of a question and an answer, instructions, plain text.

The forms of version 0.1 come first and give the same examples as then.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from opeddev_tui.data.conversations import (
    SYSTEM_COLUMNS,
    ending_with_what_is_trained,
    history_turns,
    read_turns,
    system_first,
)
from opeddev_tui.data.grading_rows import from_grading
from opeddev_tui.data.optional_fields import OPTIONAL
from opeddev_tui.data.raw_rows import RawRow
from opeddev_tui.data.rows import Example, Message, RowContext, label, optional_text, parse_grade, required_text, shown

GRADING, MESSAGES, PAIR, INSTRUCTION, TEXT = "grading", "messages", "prompt/completion", "instruction/output", "text"
_CHATS = ("conversations", "conversation", "dialogue", "dialog", "chat")
_PAIRS = (
    *(("prompt", "response"), ("prompt", "answer"), ("prompt", "output"), ("prompt", "target")),
    *(("instruction", "response"), ("instruction", "completion"), ("instruction", "answer")),
    *(("question", "answer"), ("question", "response"), ("question", "solution"), ("question", "output")),
    *(("query", "response"), ("query", "answer"), ("problem", "solution"), ("problem", "answer")),
    *(("input", "output"), ("input", "response"), ("input", "target"), ("input", "ideal"), ("inputs", "targets")),
    *(("user", "assistant"), ("human", "assistant"), ("request", "response"), ("source", "target")),
)
# the columns by which a form is recognized, the surest first; the first five are those of version 0.1, in its order
NEEDED: Mapping[str, tuple[str, ...]] = {
    MESSAGES: ("messages",),
    PAIR: ("prompt", "completion"),
    GRADING: ("submission", "grade"),
    INSTRUCTION: ("instruction", "output"),
    TEXT: ("text",),
    **{name: (name,) for name in _CHATS},
    **{"/".join(pair): pair for pair in _PAIRS},
}
FIRST_FORMS = (MESSAGES, PAIR, GRADING, INSTRUCTION, TEXT)
# columns that belong to a question
_BESIDE: Mapping[str, tuple[str, ...]] = {
    "instruction": ("input", "context"),
    "question": ("context",),
    "query": ("context",),
}
# version 0.1 did not read a context column beside instruction and output
_BESIDE_OF_INSTRUCTION = ("input",)


def detect_schema(fields: Mapping[str, Any], mapped: Iterable[str] = ()) -> str:
    """Return the form of a row, preferably one with a ``mapped`` field; empty if there is none."""
    present = {name for name, value in fields.items() if value is not None}
    if "submission" in present and has_grades(fields):
        present.add("grade")
    fitting = [schema for schema, needed in NEEDED.items() if present.issuperset(needed)]
    chosen = set(mapped)
    if fitting:
        return next((schema for schema in fitting if chosen & set(NEEDED[schema])), fitting[0])
    # so that a grading row without a grade is told that, not that it is unknown
    return GRADING if "submission" in present and present & {"task", "rubric", "feedback"} else ""


def has_grades(fields: Mapping[str, Any]) -> bool:
    """True if the row has several grades."""
    value = fields.get("grades")
    return isinstance(value, list | str) and bool(value)


def family(schema: str) -> str:
    """Return the form that ``schema`` is a spelling of; sets of one family can be trained on together."""
    if schema in _CHATS:
        return MESSAGES
    needed = NEEDED.get(schema, ())
    if needed[:1] == ("instruction",):
        return INSTRUCTION
    return PAIR if needed in _PAIRS else schema


def build(row: RawRow, schema: str, context: RowContext) -> Example | None:
    """Return the example of a row of ``schema``, None if every answer has weight 0; raises ``DataProblem``."""
    if schema in _BUILDERS:
        return _BUILDERS[schema](row, context)
    return _from_chat(row, schema, context) if schema in _CHATS else _from_pair(row, NEEDED[schema], context)


def _example(
    row: RawRow, prompt: Sequence[Message], completion: str, context: RowContext, reasoning: str = ""
) -> Example:
    asked = [message.content for message in prompt if message.role == "user"]
    return Example(
        prompt=tuple(prompt),
        completion=completion,
        grade=parse_grade(completion, context.grading),
        kind=label(row, "kind"),
        where=row.where,
        id=label(row, "id"),
        submission=asked[-1] if asked else completion,
        reasoning=reasoning,
    )


def _asked(row: RawRow, prompt: list[Message]) -> list[Message]:
    if not any(message.content.strip() for message in prompt if message.role == "user"):
        raise row.bad("the prompt is empty: no user message.", "Put a user message before the answer.")
    return prompt


def _from_chat(row: RawRow, name: str, context: RowContext) -> Example | None:
    turns = ending_with_what_is_trained(row, read_turns(row, name, context), name, context)
    if not turns:
        return None
    *before, last = [turn.message for turn in turns]
    if not last.content.strip():
        raise row.bad("the completion is empty.", "Write the last message, or remove the row.")
    return _example(row, system_first(row, _asked(row, before)), last.content, context, last.reasoning)


def _from_pair(row: RawRow, names: Sequence[str], context: RowContext) -> Example | None:
    question, answer = names
    prompt = _messages(row, question, "user", context)
    if isinstance(row.fields[answer], str):
        written = Message("assistant", required_text(row, answer))
    elif (last := _last_message(row, answer, context)) is not None:
        written = last
    else:
        return None
    return _example(row, system_first(row, _asked(row, prompt)), written.content, context, written.reasoning)


def _last_message(row: RawRow, name: str, context: RowContext) -> Message | None:
    """Return the message of an answer that is a list of one message, None for weight 0."""
    if not isinstance(row.fields[name], list | dict):
        raise row.bad(f"{name} is {shown(row.fields[name])}, not a text.", f"Make {name} a text.")
    turns = read_turns(row, name, context)
    if len(turns) > 1:
        raise row.bad(f"{name} has several messages.", "Put all but the last one into prompt.")
    turns = ending_with_what_is_trained(row, turns, name, context)
    if turns and not turns[0].message.content.strip():
        raise row.bad("the completion is empty.", "Write the last message, or remove the row.")
    return turns[0].message if turns else None


def _messages(row: RawRow, name: str, role: str, context: RowContext) -> list[Message]:
    """Return the turns of a question: earlier turns and a text with its other columns, or a list of messages."""
    if not isinstance(row.fields[name], str):
        return [turn.message for turn in read_turns(row, name, context)]
    asked = "\n\n".join([required_text(row, name), *_beside(row, _BESIDE.get(name, ()))])
    return [*history_turns(row), Message(role, asked)]


def used_columns(schema: str) -> frozenset[str]:
    """Return every column that a row of ``schema`` is made of."""
    needed = NEEDED[schema]
    beside = _BESIDE.get(needed[0], ()) if schema != INSTRUCTION else _BESIDE_OF_INSTRUCTION
    return frozenset({*needed, *beside, *SYSTEM_COLUMNS, "history", "id", "kind", *OPTIONAL})


def _beside(row: RawRow, names: Iterable[str]) -> list[str]:
    return [text for name in names if (text := optional_text(row, name))]


def _from_instruction(row: RawRow, context: RowContext) -> Example:
    asked = "\n\n".join([required_text(row, "instruction"), *_beside(row, _BESIDE_OF_INSTRUCTION)])
    prompt = system_first(row, [*history_turns(row), Message("user", asked)])
    return _example(row, prompt, required_text(row, "output"), context)


def _from_text(row: RawRow, context: RowContext) -> Example:
    return _example(row, [], required_text(row, "text"), context)


_BUILDERS: Mapping[str, Callable[[RawRow, RowContext], Example | None]] = {
    MESSAGES: lambda row, context: _from_chat(row, MESSAGES, context),
    PAIR: lambda row, context: _from_pair(row, NEEDED[PAIR], context),
    GRADING: from_grading,
    INSTRUCTION: _from_instruction,
    TEXT: _from_text,
}
