"""What a grader is asked and what it answers: a submission as an example, and its grade with all that is known of it.

Must not read files, nor any model.
"""

import hashlib
import json
import statistics
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from opeddev_tui.config.settings import FILLED_FIELDS, GIVEN_FIELDS, Settings
from opeddev_tui.data import grade_scale
from opeddev_tui.data.grading_rows import from_grading
from opeddev_tui.data.optional_fields import read_grades, with_optional_fields
from opeddev_tui.data.raw_rows import RawRow
from opeddev_tui.data.rows import Example, RowContext
from opeddev_tui.data.ungraded import KINDS, Usual
from opeddev_tui.errors import DataProblem, SettingsProblem
from opeddev_tui.runs.measured_grades import Measured

if TYPE_CHECKING:
    from opeddev_tui.grading.scale import Scale

# where a text comes from that most rows of the base set share
USUAL = "the commonest of the training rows"
# a person's answer: never part of what a model is asked
_ANSWERS = ("grade", "grades", "feedback", "criteria", "rater", "weight", "proposed")


class Asked(Struct, frozen=True):
    """One submission. ``problem`` says why there is nothing to grade; ``example`` is None then.

    ``doubts`` say why a person should look at the grade; ``assumed`` what was filled in, by field; ``reference`` is a
    person's grade as the scale writes it, empty without one. ``fields`` are those of a grading row that make the same
    prompt.
    """

    example: Example | None
    id: str = ""
    file: str = ""
    problem: str = ""
    doubts: tuple[str, ...] = ()
    assumed: dict[str, str] = field(default_factory=dict)
    reference: str = ""
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def content(self) -> str:
        """SHA-256 of what is graded: equal for equal submissions with equal prompts, wherever they lie."""
        digest = hashlib.sha256()
        turns = [] if self.example is None else [[item.role, item.content] for item in self.example.prompt]
        kind = "" if self.example is None else self.example.kind
        known = [turns, kind, self.problem, self.id, self.file]
        digest.update(json.dumps(known, separators=(",", ":")).encode("utf-8", "surrogatepass"))
        return digest.hexdigest()


class Criterion(Struct, frozen=True):
    """One area of the rubric: the probability that it ``failed``, and whether a person would be told of it.

    ``limit`` is the probability from which it is told, None where that is not known.
    """

    failed: float
    passed: bool
    limit: float | None = None


class Graded(Struct, frozen=True, kw_only=True):
    """The answer to one submission, number ``index`` of those asked together.

    ``grade`` is the median of ``probabilities`` (by grade as the scale writes it, lowest first; empty where a way has
    none), None where nothing could be graded. ``expected`` is their mean as a number of the scale. ``set`` holds the
    right grade 90% of the time, where the way promises sets. ``confidence`` is the probability that the right grade is
    at most ``tolerance`` grades away. ``ask``: a person should look, and ``why``. ``prompt_hash`` tells the
    template and arithmetic, ``model`` the base model, ``grader`` what grades in words, ``way`` how the grade was read,
    ``measured`` what the hold-out showed of grades by that way.
    """

    index: int
    id: str = ""
    file: str = ""
    grade: str | None = None
    expected: float | None = None
    median: str | None = None
    probabilities: dict[str, float] = field(default_factory=dict)
    set: tuple[str, ...] = ()
    confidence: float | None = None
    tolerance: int = 0
    ask: bool = False
    why: tuple[str, ...] = ()
    criteria: dict[str, Criterion] = field(default_factory=dict)
    feedback: str | None = None
    truncated: bool = False
    assumed: dict[str, str] = field(default_factory=dict)
    reference: str = ""
    checkpoint: str = ""
    grader: str = ""
    model: str = ""
    way: str = ""
    prompt_hash: str = ""
    measured: Measured | None = None


class Answer(Struct, frozen=True):
    """What a person says of a submission: the grade as typed, a text, areas that passed or failed, their name.

    ``new_areas`` are the areas that a person wants although no row has them yet; None: none is asked about.
    """

    grade: str
    feedback: str = ""
    criteria: dict[str, str] = field(default_factory=dict)
    rater: str = ""
    new_areas: tuple[str, ...] | None = None


class Filling(Struct, frozen=True):
    """What submissions get that do not have a field: said by a person, else the setting, else the base set's usual.

    ``given`` and ``defaults`` are by field (task, rubric, kind).
    """

    given: Mapping[str, str]
    defaults: Mapping[str, str]
    usual: Usual

    def of(self, name: str, kind: str) -> tuple[str, str]:
        """Return (text, where it comes from) for the field ``name`` of a submission of ``kind``, empty if unknown."""
        for texts, origin in ((self.given, f"--{name}"), (self.defaults, f"grade.{name}")):
            if texts.get(name):
                return texts[name], origin
        usual = self.usual.of(name, kind) if name in FILLED_FIELDS else ""
        return usual, USUAL if usual else ""

    def kind_of(self, name: str) -> tuple[str, str]:
        """Return (kind, where it comes from) of a submission in a file called ``name``, empty if unknown.

        What a person says goes before the file's ending, that before the setting.
        """
        path = Path(name)
        if path.suffix.lower() in KINDS and not self.given.get("kind"):
            return self.usual.kind_of(path), "the file's name"
        return self.of("kind", "")


def filling(settings: Settings, given: Mapping[str, str] | None = None, usual: Usual | None = None) -> Filling:
    """Return what submissions get that do not have a field, by the settings' ``[grade]``."""
    grade = settings.grade
    defaults = {name: getattr(grade, name) for name in GIVEN_FIELDS}
    return Filling(dict(given or {}), defaults, usual or Usual({}, {}, frozenset()))


def asked(
    fields: Mapping[str, Any],
    where: str,
    settings: Settings,
    fill: Filling,
    *,
    name: str = "",
    doubts: tuple[str, ...] = (),
) -> Asked:
    """Return the submission in ``fields`` (those of a grading row) at ``where`` as the grader is asked it.

    ``settings`` are those that the model was trained with; ``name`` is its file's, which tells the kind; ``doubts`` are
    known already. What a person has answered in the row (grade, feedback) never reaches the prompt. Raises nothing: a
    submission that cannot be asked says why.
    """
    identity = identity_of(fields)
    submission = fields.get("submission")
    if not isinstance(submission, str) or not submission.strip():
        reason = "it is empty." if submission in (None, "") or isinstance(submission, str) else "it is no text."
        return Asked(None, identity, where, f"there is no submission to grade: {reason}", doubts)
    filled, assumed, more = _filled(fields, settings, fill, name)
    lowest = grade_scale.written(settings.grading.minimum, settings.grading)
    row = RawRow({**filled, "grade": lowest, "feedback": ""}, where)
    context = RowContext(settings.grading)
    try:
        example = with_optional_fields(from_grading(row, context), row, context)
    except (DataProblem, SettingsProblem) as problem:
        return Asked(None, identity, where, problem.message, doubts, assumed)
    example = replace(example, grade=None, completion="", criteria={}, grades=())
    return Asked(example, identity, where, "", (*doubts, *more), assumed, _reference(fields, settings), filled)


def identity_of(fields: Mapping[str, Any]) -> str:
    """Return the id of a row as text, empty without one; numbers count from 0."""
    value = fields.get("id")
    return "" if value is None else str(value)


def _filled(
    fields: Mapping[str, Any], settings: Settings, fill: Filling, name: str
) -> tuple[dict[str, Any], dict[str, str], tuple[str, ...]]:
    """Return the fields without answers and with what was filled in, what that was, and what is not known."""
    filled = {name: value for name, value in fields.items() if name not in _ANSWERS and value is not None}
    assumed: dict[str, str] = {}
    doubts: list[str] = []
    if not filled.get("kind"):
        kind, origin = fill.kind_of(name)
        filled["kind"] = kind
        if kind:
            assumed["kind"] = f"{kind} ({origin})"
    for field_name in FILLED_FIELDS:
        if filled.get(field_name):
            continue
        text, origin = fill.of(field_name, str(filled["kind"]))
        filled[field_name] = text
        if text:
            assumed[field_name] = f"{text} ({origin})"
        elif f"{{{field_name}}}" in settings.grading.prompt_template:
            doubts.append(f"no {field_name} is known: name it with --{field_name} or grade.{field_name}.")
    return filled, assumed, tuple(doubts)


def _reference(fields: Mapping[str, Any], settings: Settings) -> str:
    """Return a person's grade, or the median of several, as the scale writes it; empty without one on the scale."""
    grade = grade_scale.grade_of(fields.get("grade"), settings.grading)
    if fields.get("grade") is None:
        with suppress(DataProblem):
            several = read_grades(RawRow(dict(fields), ""), RowContext(settings.grading))
            grade = statistics.median_low(several) if several else None
    return "" if grade is None else grade_scale.written(grade, settings.grading)


def number_of(position: float, scale: "Scale") -> float:
    """Return a place on the scale as the number that stands for it, where the grades are numbers.

    Between two grades it lies between their numbers; a scale of letters counts from its ``minimum``.
    """
    numbers = [grade_scale.number_of(label) for label in scale.labels]
    if any(number is None for number in numbers):
        return scale.minimum + position
    known = [number for number in numbers if number is not None]
    low = min(int(position), len(known) - 1)
    high = min(low + 1, len(known) - 1)
    return known[low] + (known[high] - known[low]) * (position - low)
