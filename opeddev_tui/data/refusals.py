"""Refuse known kinds of rows that cannot be trained on as they are, by name and with the cure."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from opeddev_tui.data.conversations import NO_MEDIA, NO_TOOLS
from opeddev_tui.data.raw_rows import RawRow
from opeddev_tui.data.rows import RowContext
from opeddev_tui.errors import DataProblem

_MEDIA = ("image", "images", "audio", "audios", "video", "videos")
_TOOLS = ("tools", "functions", "tool_calls", "function_call")
_Kind = tuple[Callable[[Mapping[str, Any]], bool], str, str]


def _filled(fields: Mapping[str, Any], name: str) -> bool:
    return fields.get(name) not in (None, "", [], {}, "[]", "{}")


def _is_preference(fields: Mapping[str, Any]) -> bool:
    return _filled(fields, "rejected") and (_filled(fields, "chosen") or "prompt" in fields)


def _is_unpaired_preference(fields: Mapping[str, Any]) -> bool:
    return "completion" in fields and isinstance(fields.get("label"), bool)


def _is_listed(name: str, *keys: str) -> Callable[[Mapping[str, Any]], bool]:
    """Return a check that the column ``name`` is a list of objects that all have one of ``keys``."""

    def check(fields: Mapping[str, Any]) -> bool:
        items = fields.get(name)
        return isinstance(items, list) and bool(items) and all(_has_any(item, keys) for item in items)

    return check


def _has_any(item: Any, keys: Iterable[str]) -> bool:
    return isinstance(item, dict) and any(key in item for key in keys)


def _is_label_studio(fields: Mapping[str, Any]) -> bool:
    return isinstance(fields.get("data"), dict) and ("annotations" in fields or "predictions" in fields)


_PREFERENCES: tuple[_Kind, ...] = (
    (
        _is_preference,
        "is a preference row (chosen and rejected)",
        "Keep the better answer only, as prompt and completion or as messages.",
    ),
    (
        _is_unpaired_preference,
        "is a rated answer (completion with label true or false)",
        "Keep the rows with label true, and leave the column out.",
    ),
)
# refused only if the row has none of the first forms
_OTHER_FORMS: tuple[_Kind, ...] = (
    (_is_listed("contents", "parts"), "has contents, the form of Gemini", "Write messages of role and content."),
    (_is_listed("segments", "text"), "has segments, a form of Axolotl", "Write messages, or prompt and completion."),
    (_is_label_studio, "is a task of Label Studio", "Export it as CSV or JSON-MIN: one column per field."),
    (
        lambda fields: isinstance(fields.get("mapping"), dict) and "current_node" in fields,
        "is a tree of a chat export",
        "Write the turns that count as messages.",
    ),
    (
        lambda fields: isinstance(fields.get("body"), dict) and "custom_id" in fields,
        "is a request of a batch service",
        "Write its messages with the answer at their end.",
    ),
    (
        _is_listed("paragraphs", "qas"),
        "is an article of SQuAD with all its questions",
        "Write one row per question: question, context and answer.",
    ),
    (
        lambda fields: isinstance(fields.get("answers"), dict) and "text" in fields["answers"],
        "has answers with their places in the context, as SQuAD has them",
        "Write the answer that counts as a column answer, beside question and context.",
    ),
    (
        lambda fields: any(isinstance(fields.get(name), list) and fields[name] for name in ("choices", "options")),
        "is a question of multiple choice",
        "Write the choices into the question, and the right one as the answer, as texts.",
    ),
    (
        _is_listed("instances", "output"),
        "is a seed task with several instances",
        "Write one row per instance: instruction, input and output.",
    ),
    (
        lambda fields: isinstance(fields.get("completions"), list) and "instruction" in fields,
        "has several completions to choose from",
        "Write the one that is to be learnt as output.",
    ),
    (
        lambda fields: isinstance(fields.get("input_ids"), list) and not fields.get("text"),
        "holds token numbers, not text",
        "Use the rows as they were before they were made into tokens.",
    ),
)


def refuse_known(row: RawRow, context: RowContext, *, is_read: bool) -> None:
    """Raise ``DataProblem`` if ``row`` cannot be trained on; ``is_read`` says that it has one of the first forms."""
    if (problem := _problem(row, _PREFERENCES if is_read else (*_PREFERENCES, *_OTHER_FORMS))) is not None:
        raise problem
    for name in _MEDIA:
        if _filled(row.fields, name) and isinstance(row.fields[name], str):
            context.note(row, f"{name} is not used: only text is trained on.")


def _problem(row: RawRow, kinds: Iterable[_Kind]) -> DataProblem | None:
    for is_kind, words, cure in kinds:
        if is_kind(row.fields):
            return row.bad(f"the row {words}.", cure)
    for name in _TOOLS:
        value = row.fields.get(name)
        # {"tools": "hammer"} is a word about the row
        listed = isinstance(value, list | dict) or (isinstance(value, str) and value.lstrip()[:1] in ("[", "{"))
        if listed and _filled(row.fields, name):
            return row.bad(f"the row has {name}.", NO_TOOLS)
    for name in _MEDIA:
        if _filled(row.fields, name) and not isinstance(row.fields[name], str | int | float):
            return row.bad(f"the row has {name}.", NO_MEDIA)
    return None
