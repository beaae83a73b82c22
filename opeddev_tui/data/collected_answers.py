"""The corrections that stand in the open batch, and which of them is of a submission. Changes nothing."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from opeddev_tui.config.settings import GIVEN_FIELDS, Settings
from opeddev_tui.data.answer_history import Change, Row, read_history, standing
from opeddev_tui.data.answered_row import example_of
from opeddev_tui.data.corrected_answers import Begun, grade_in, name_of, open_batch
from opeddev_tui.data.corrections import plain, row_hash
from opeddev_tui.data.grade_scale import written
from opeddev_tui.data.row_forms import detect_schema
from opeddev_tui.errors import DataProblem, Problem
from opeddev_tui.text import clean_line

# corrections by the plain text of their submission
ByText = Mapping[str, Sequence["Corrected"]]
# fields that tell corrections of one submission apart, and characters that are shown of one
_SHOWN = 40


class Corrected(Struct, frozen=True):
    """A correction that stands: its ``row`` (``corrections.row_hash``), its batch, its grade as it is written.

    ``fields`` are those of a grading row, as far as they are known (an earlier version kept none of messages);
    ``form`` is the form of the rows of its batch; ``file``: where the submission lay, empty where that is not known.
    """

    row: str
    batch: str
    grade: str
    fields: Row
    form: str
    file: str = ""

    @property
    def name(self) -> str:
        """What to call it in a line."""
        return name_of(self.fields, self.file, self.row)

    def has(self, given: Mapping[str, str]) -> bool:
        """Return whether its fields are those that are ``given``."""
        return all(plain(str(self.fields.get(name) or "")) == plain(text) for name, text in given.items())


def _of(change: Change, row: Row | None = None, grade: str = "") -> Corrected:
    """Return the correction that ``change`` made; ``row`` and ``grade`` as they are now, where they are in a file."""
    now = row or change.after or {}
    fields = {**now, **(change.asked or {})}
    return Corrected(change.row, change.batch, grade or change.grade, fields, detect_schema(now), change.file)


def collected(workspace: Path, settings: Settings, begun: Begun) -> tuple[str, tuple[Corrected, ...]]:
    """Return the name of the open batch and the corrections in it, in the order of its file; raises ``Problem``."""
    found = open_batch(workspace, settings, begun)
    known = {item.row: item for item in standing(read_history(workspace)) if item.batch == found.name}
    keys = map(row_hash, found.examples)
    changes = [known.get(key, Change(row=key, batch=found.name)) for key in keys]
    rows = zip(changes, found.lines, found.examples, strict=True)
    return found.name, tuple(_of(change, json.loads(line), grade_in(row, settings)) for change, line, row in rows)


def by_text(items: Iterable[Corrected]) -> ByText:
    """Return ``items`` by their submissions, those whose submission is not known under an empty text."""
    found: dict[str, list[Corrected]] = {}
    for item in items:
        found.setdefault(_text(item.fields), []).append(item)
    return found


def _text(fields: Mapping[str, Any]) -> str:
    return plain(str(fields.get("submission") or ""))


def same_row(known: ByText, fields: Mapping[str, Any], settings: Settings) -> Corrected | None:
    """Return the one of ``known`` that a correction of ``fields`` (of a grading row) would replace, else None."""
    # to make a row of each submission takes long: most have another text than any of them
    likely = [*known.get(_text(fields), ()), *known.get("", ())]
    keys = {form: _key(fields, form, settings) for form in {item.form for item in likely}}
    return next((item for item in likely if item.row == keys[item.form]), None)


def _key(fields: Mapping[str, Any], form: str, settings: Settings) -> str:
    """Return the hash of the row that a correction of ``fields`` would be, empty where it could be none."""
    lowest = written(settings.grading.minimum, settings.grading)
    try:
        return row_hash(example_of({**fields, "grade": lowest}, form, settings).example)
    except Problem:
        return ""


def the_one(
    workspace: Path,
    settings: Settings,
    begun: Begun,
    fields: Mapping[str, Any],
    given: Mapping[str, str],
    file: str,
) -> Corrected:
    """Return the correction of the submission in ``fields`` that lies in the open batch.

    ``given`` are those of its fields that a person named, to choose among several with other tasks. ``file`` names the
    submission in problems. Raises ``DataProblem`` for none, for several, and for one in a batch that a training has
    begun with.
    """
    name, items = collected(workspace, settings, begun)
    known, text = by_text(items), _text(fields)
    same, exact = known.get(text, ()), same_row(known, fields, settings)
    fitting = [item for item in same if item.has(given)] or ([exact] if exact is not None else [])
    if len(fitting) == 1:
        return fitting[0]
    if same:
        raise _not_one(same, fitting, given, file)
    every = [_of(change) for change in standing(read_history(workspace)) if change.batch != name]
    trained = by_text(every).get(text, ())
    if not trained:
        cure = "See all that there are: opeddev-tui correct."
        raise DataProblem(f"there is no correction of it in {name}.", where=file, cure=cure)
    last = next((item for item in reversed(trained) if item.has(given)), trained[-1])
    told = f"its correction to grade {last.grade} stays in {last.batch}: a training has begun with that batch."
    cure = f"Give its row another grade: opeddev-tui regrade {last.row[:10]} GRADE."
    raise DataProblem(told, where=file, cure=cure)


def _not_one(
    same: Sequence[Corrected], fitting: Sequence[Corrected], given: Mapping[str, str], file: str
) -> DataProblem:
    """Return that several (``fitting``) or none of the corrections ``same`` of one submission are meant, and how to
    name one.
    """
    texts = {name: {plain(str(item.fields.get(name) or "")) for item in fitting or same} for name in GIVEN_FIELDS}
    named = {name: {plain(text)} for name, text in given.items() if not fitting}
    names = [name for name in GIVEN_FIELDS if len(texts[name] | named.get(name, set())) > 1]
    listed = "; ".join(f"grade {item.grade} ({_told_apart(item, names)})" for item in fitting or same)
    several = f"it has {len(fitting)} corrections" if fitting else f"no correction of it has this {' and '.join(names)}"
    options = " ".join(f"--{name} TEXT" for name in names)
    none = ' ("" for none)' if any("" in texts[name] for name in names) else ""
    cure = f"Name the one that you mean: opeddev-tui correct FILE --undo {options}{none}."
    return DataProblem(f"{several}: {listed}.", where=file, cure=cure)


def _told_apart(item: Corrected, names: Sequence[str]) -> str:
    parts = (f"{name}: {clean_line(str(item.fields.get(name) or 'none'), max_chars=_SHOWN)}" for name in names)
    return ", ".join(parts)
