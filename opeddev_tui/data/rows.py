"""Examples: the prompt, completion and grade that a row becomes in training, and their fingerprint.

``row_schemas`` reads the forms of rows. Nothing here knows tokens.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from opeddev_tui.config import settings
from opeddev_tui.data import grade_scale
from opeddev_tui.data.raw_rows import RawRow
from opeddev_tui.errors import DataProblem
from opeddev_tui.text import clean_line

MOST_SHOWN = 50
ROLES = ("system", "user", "assistant")


class Message(Struct, frozen=True):
    """One turn of a chat; ``reasoning`` is the thought before an answer, if the row keeps it apart."""

    role: str
    content: str
    reasoning: str = ""


class Example(Struct, frozen=True):
    """One row as training sees it.

    ``where`` is its place in the files; ``submission`` is the text that is judged, by which copies are found;
    ``weight`` multiplies its loss; ``reasoning`` is the thought before the completion, if the row keeps it apart.
    ``grade`` is trained on, ``grades`` are all that people gave; ``criteria`` are grades, or passed and failed, per
    area of the rubric; ``group`` is what related rows share (author, repository, task). ``settled``: a person looked
    at the grade again and corrected or confirmed it.
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
    grades: tuple[int, ...] = ()
    rater: str = ""
    criteria: dict[str, int | bool] = field(default_factory=dict)
    group: str = ""
    settled: bool = False


class RowContext:
    """The grading settings while rows are read, and the notes on them."""

    def __init__(self, grading: settings.Grading) -> None:
        self.grading = grading
        self._notes: dict[str, list[str]] = {}

    def note(self, row: RawRow, words: str) -> None:
        """Add the note ``words`` on ``row``; equal notes on several rows become one."""
        places = self._notes.setdefault(words, [])
        if places[-1:] != [row.where]:
            places.append(row.where)

    @property
    def notes(self) -> list[str]:
        """All notes, each with its first row and the number of further rows."""
        return [
            f"{places[0]}: {words}" + (f" The same in {len(places) - 1} more rows." if len(places) > 1 else "")
            for words, places in self._notes.items()
        ]


def capped(problems: list[DataProblem]) -> list[DataProblem]:
    """Return the first 50 problems, and one more that counts the rest."""
    rest = len(problems) - MOST_SHOWN
    more = DataProblem(f"and {rest} more problems like these.", cure="Correct the ones above first.")
    return [*problems[:MOST_SHOWN], more] if rest > 0 else problems


def stated_grade(text: str, grading: settings.Grading) -> str | None:
    """Return what ``grading.pattern`` finds in ``text``, on the scale or not."""
    match = re.search(grading.pattern, text)
    return match.group(1) if match else None


def parse_grade(text: str, grading: settings.Grading) -> int | None:
    """Return the grade that ``text`` states, or ``None`` if it states none in range."""
    return grade_scale.grade_of(stated_grade(text, grading), grading)


def fingerprint(examples: Sequence[Example]) -> str:
    """Return the SHA-256 of every row in order: prompt, completion, a thought kept apart, a weight that is not 1."""
    digest = hashlib.sha256()
    for example in examples:
        turns = [[item.role, item.content, *([item.reasoning] if item.reasoning else [])] for item in example.prompt]
        row: list[object] = [turns, example.completion, *([example.reasoning] if example.reasoning else [])]
        if example.weight != 1:
            row.append(example.weight)
        digest.update(json.dumps(row, separators=(",", ":")).encode("ascii") + b"\n")
    return digest.hexdigest()


# --- what all forms of rows need


def column_names(fields: Mapping[str, Any]) -> str:
    """Return the names of a row's columns for a message."""
    return clean_line(", ".join(fields), max_chars=120) or "nothing"


def required_text(row: RawRow, name: str) -> str:
    """Return the text in ``name``; raise ``DataProblem`` if it is none or blank."""
    value = row.fields[name]
    if not isinstance(value, str):
        raise row.bad(f"{name} is {shown(value)}, not a text.", f"Make {name} a text.")
    if not value.strip():
        raise row.bad(f"{name} is empty.", f"Write {name}, or remove the row.")
    return value


def optional_text(row: RawRow, name: str) -> str:
    """Return the text in ``name``, empty where it is missing, null or blank; raise ``DataProblem`` for no text."""
    value = row.fields.get(name)
    if value is None or (isinstance(value, str) and not value.strip()):
        return ""
    return required_text(row, name)


def shown(value: object) -> str:
    """Name a wrong value: a long one by its kind, any other by itself."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    return "missing" if value is None else clean_line(f"{value!r:.60}")


def label(row: RawRow, name: str) -> str:
    """Return the text or whole number in ``name`` as a text, empty for anything else."""
    value = row.fields.get(name)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
