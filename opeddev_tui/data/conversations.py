"""Read chats in all usual forms: OpenAI messages, ShareGPT conversations, JSON as text, contents in parts.

Content that cannot be kept (tool calls, images) is refused by name; nothing is dropped silently.
"""

import json
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from opeddev_tui.data.parsing import parse_json_text
from opeddev_tui.data.raw_rows import RawRow
from opeddev_tui.data.rows import ROLES, Message, RowContext, shown

_TURNS = f"Messages are objects of role ({', '.join(ROLES)}) and content (a text)."
_ROLE_KEYS, _CONTENT_KEYS = ("role", "from"), ("content", "value")
_ROLE_NAMES = {
    **{role: role for role in ROLES},
    **dict.fromkeys(("human", "prompter"), "user"),
    **dict.fromkeys(("gpt", "chatgpt", "chatbot", "bot", "ai", "model"), "assistant"),
    "developer": "system",
}
_TOOL_ROLES = frozenset({"tool", "function", "ipython", "observation", "function_call", "tool_call", "tool_response"})
_TOOL_KEYS = ("tool_calls", "function_call", "tool_call_id")
_REASONING_KEYS = ("reasoning_content", "reasoning", "thinking")
_UNREADABLE_PARTS = ("image", "image_url", "input_image", "audio", "input_audio", "video", "video_url", "file")
SYSTEM_COLUMNS = ("system", "system_prompt", "system_message")
NO_TOOLS = "Rows with tool calls cannot be kept whole: leave them out, or write the calls and answers as plain text."
NO_MEDIA = "Only text is trained on: leave the row out, or describe the picture, sound or film in words."


class Turn(Struct, frozen=True):
    """One turn of a chat; ``trained`` is False for an answer with weight 0."""

    message: Message
    trained: bool


def read_turns(row: RawRow, name: str, context: RowContext) -> list[Turn]:
    """Return the turns in the column ``name``; raises ``DataProblem`` for content that cannot be kept."""
    turns = _as_list(row, name)
    if not isinstance(turns, list):
        raise row.bad(f"{name} is {shown(turns)}, not a list of messages.", _TURNS)
    return [_turn(row, turn, f"message {number} of {name}", context) for number, turn in enumerate(turns, 1)]


def _as_list(row: RawRow, name: str) -> Any:
    value = row.fields[name]
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            return parse_json_text(value, row.where)
        except ValueError:
            cure = "Write the column with json.dumps, or save the rows as .jsonl."
            raise row.bad(f"{name} is a text that looks like a list, but is not valid JSON.", cure) from None
    if isinstance(value, dict) and value and all(isinstance(item, list) for item in value.values()):
        # a sequence of structs, as older Parquet files hold it: one list per key
        columns = list(value)
        if len({len(value[column]) for column in columns}) == 1:
            return [dict(zip(columns, items, strict=True)) for items in zip(*value.values(), strict=True)]
    return value


def _turn(row: RawRow, turn: Any, place: str, context: RowContext) -> Turn:
    if not isinstance(turn, dict):
        raise row.bad(f"{place} is {shown(turn)}.", _TURNS)
    role = _role(row, turn, place)
    if any(turn.get(key) for key in _TOOL_KEYS):
        raise row.bad(f"{place} has tool calls.", NO_TOOLS)
    content = _content(row, turn, place)
    unknown = sorted(key for key in turn if turn[key] not in (None, "", [], {}) and key not in _KNOWN_KEYS)
    if unknown:
        context.note(row, f"messages have {', '.join(unknown)[:80]}, which is not used.")
    return Turn(Message(role, content, _reasoning(row, turn, role, place)), _trained(row, turn, place))


_KNOWN_KEYS = frozenset({*_ROLE_KEYS, *_CONTENT_KEYS, *_TOOL_KEYS, *_REASONING_KEYS, "weight", "train", "name"})


def _role(row: RawRow, turn: dict[str, Any], place: str) -> str:
    stated = next((turn[key] for key in _ROLE_KEYS if turn.get(key) is not None), None)
    known = stated.strip().casefold() if isinstance(stated, str) else ""
    if known in _TOOL_ROLES:
        raise row.bad(f"{place} has the role {shown(stated)}: it belongs to a tool call.", NO_TOOLS)
    if known not in _ROLE_NAMES:
        raise row.bad(f"{place} has the role {shown(stated)}.", _TURNS)
    return _ROLE_NAMES[known]


def _content(row: RawRow, turn: dict[str, Any], place: str) -> str:
    content = next((turn[key] for key in _CONTENT_KEYS if turn.get(key) is not None), None)
    if isinstance(content, list) and content and all(isinstance(part, dict) for part in content):
        return "".join(_part(row, part, place) for part in content)
    if not isinstance(content, str):
        raise row.bad(f"the content of {place} is {shown(content)}, not a text.", _TURNS)
    return content


def _part(row: RawRow, part: dict[str, Any], place: str) -> str:
    kind, text = part.get("type", "text"), part.get("text")
    if kind in _UNREADABLE_PARTS or any(part.get(name) is not None for name in _UNREADABLE_PARTS):
        raise row.bad(f"the content of {place} holds {shown(kind)}.", NO_MEDIA)
    if kind in ("tool_use", "tool_result"):
        raise row.bad(f"{place} has tool calls.", NO_TOOLS)
    if not isinstance(text, str):
        raise row.bad(f"the content of {place} has a part without a text.", _TURNS)
    return text


def _reasoning(row: RawRow, turn: dict[str, Any], role: str, place: str) -> str:
    """Return the thought that an answer keeps apart, empty if there is none."""
    for key in _REASONING_KEYS:
        if (thought := turn.get(key)) in (None, ""):
            continue
        if not isinstance(thought, str):
            raise row.bad(f"the {key} of {place} is {shown(thought)}, not a text.", _TURNS)
        if role != "assistant":
            cure = f"Only an answer has a {key}; remove it."
            raise row.bad(f"{place} has a {key}, but its role is {role}.", cure)
        return thought
    return ""


def _trained(row: RawRow, turn: dict[str, Any], place: str) -> bool:
    for key in ("weight", "train"):
        if (value := turn.get(key)) is None:
            continue
        if value not in (0, 1):
            cure = "Write 0 (not trained on) or 1; how much a whole row counts is the row's own weight."
            raise row.bad(f"the {key} of {place} is {shown(value)}.", cure)
        return bool(value)
    return True


def ending_with_what_is_trained(row: RawRow, turns: Sequence[Turn], name: str, context: RowContext) -> list[Turn]:
    """Return the turns up to the last answer that is trained on; raises ``DataProblem`` if the last turn is no answer.

    An empty list means that every answer has weight 0 and the row is left out.
    """
    if not turns or turns[-1].message.role != "assistant":
        raise row.bad(f"{name} does not end with the assistant.", "End with what the model is to write.")
    answers = [place for place, turn in enumerate(turns) if turn.message.role == "assistant" and turn.trained]
    if not answers:
        return []
    if answers[-1] + 1 < len(turns):
        context.note(row, "the last answer has weight 0; the row ends before it.")
    return list(turns[: answers[-1] + 1])


def system_first(row: RawRow, prompt: list[Message]) -> list[Message]:
    """Return ``prompt`` with the text of the row's system column as its first message, if it has one."""
    texts = (row.fields.get(name) for name in SYSTEM_COLUMNS)
    system = next((text for text in texts if isinstance(text, str) and text.strip()), "")
    if not system or any(message.role == "system" for message in prompt):
        return prompt
    return [Message("system", system), *prompt]


def history_turns(row: RawRow) -> list[Message]:
    """Return the earlier turns of an Alpaca row: ``history`` is a list of [question, answer]."""
    history = row.fields.get("history")
    if isinstance(history, str) and history.strip():
        try:
            history = json.loads(history)
        except ValueError:
            history = "not JSON"
    if not history or (isinstance(history, str) and not history.strip()):
        return []
    messages: list[Message] = []
    for pair in history if isinstance(history, list) else [history]:
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)):
            cure = "history is a list of pairs [question, answer] of texts; remove it, or write messages."
            raise row.bad(f"history holds {shown(pair)}.", cure)
        messages += Message("user", pair[0]), Message("assistant", pair[1])
    return messages
