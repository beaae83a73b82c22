"""Find the row of each correction and give it its grade, in the text that is trained on too.

A correction is applied to its own row only; where that row has changed, is gone or has a copy, a sentence says so.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from opeddev_tui.config.settings import Grading
from opeddev_tui.data import grade_scale
from opeddev_tui.data.corrections import Correction, Overlay, row_hash, submission_hash, template_hash
from opeddev_tui.data.rows import Example, parse_grade
from opeddev_tui.text import clean_line

# the name of the hold-out among the sets of a workspace
HOLDOUT = "hold-out"
_Key = tuple[str, str]


class SetRow(Struct, frozen=True):
    """A row of the set ``set``: ``example`` with its grade as corrected, ``own`` as in the person's file.

    ``hash``, ``copy`` and ``copies`` identify it (``corrections.Correction``).
    """

    set: str
    example: Example
    own: Example
    hash: str
    copy: int
    copies: int
    correction: Correction | None = None

    @property
    def is_corrected(self) -> bool:
        """Whether its grade is not that of the person's file."""
        return self.example.grade != self.own.grade

    @property
    def key(self) -> str:
        """A short name that also tells rows without an id, or with the same one, apart."""
        return self.hash[:10] + (f".{self.copy}" if self.copies > 1 else "")


class Corrected(Struct, frozen=True):
    """The rows of some sets with their corrections, and a sentence for each correction that was not applied."""

    rows: dict[str, list[SetRow]]
    unmatched: tuple[str, ...]

    def fingerprint(self, name: str) -> str:
        """Return the SHA-256 of the corrections of the set ``name``; empty if it has none."""
        applied = [(row.hash, row.own.id, row.copy, row.example.grade) for row in self.applied(name)]
        return hashlib.sha256(repr(sorted(applied, key=repr)).encode()).hexdigest() if applied else ""

    def applied(self, name: str) -> list[SetRow]:
        """Return the rows of the set ``name`` whose grade is not that of the person's file."""
        return [row for row in self.rows[name] if row.is_corrected]


def correct_sets(
    sets: Mapping[str, Sequence[Example]], overlay: Overlay, grading: Grading, existing: Collection[str] | None
) -> Corrected:
    """Return the rows of ``sets`` with the corrections of ``overlay``; ``existing`` names all sets, None: unknown.

    A correction of a set that exists but is not among ``sets`` is left alone. A row that has moved to another training
    set keeps its correction if it is the only one like it.
    """
    rows = {name: _identified(name, examples) for name, examples in sets.items()}
    places: dict[_Key, list[tuple[str, int]]] = defaultdict(list)
    for name, listed in rows.items():
        for at, row in enumerate(listed):
            places[row.hash, row.own.id].append((name, at))
    unmatched: list[str] = []
    moved: list[Correction] = []
    template = template_hash(grading)
    for correction in overlay.corrections:
        if correction.set not in sets:
            moved += [] if existing is None or correction.set in existing else [correction]
            continue
        found = [(name, at) for name, at in places[correction.row, correction.id] if name == correction.set]
        if not found and correction.template != template:
            found = _under_another_template(rows[correction.set], correction)
        if not found:
            moved.append(correction)
        elif len(found) != correction.copies:
            words = f"there are {len(found)} rows like it and were {correction.copies}"
            unmatched.append(_not_applied(correction, words))
        else:
            unmatched += _apply(rows, found[correction.copy - 1], correction, grading)
    for correction in moved:
        found = places[correction.row, correction.id]
        if len(found) == 1 and _may_move(rows, found[0], correction):
            unmatched += _apply(rows, found[0], correction, grading)
        else:
            unmatched.append(_not_applied(correction, _why_missing(rows, found, correction)))
    return Corrected(rows, tuple(unmatched))


def _under_another_template(rows: Sequence[SetRow], correction: Correction) -> list[tuple[str, int]]:
    """Return the place of the one row with the same id and submission; the settings gave it another prompt then."""
    alike = [
        at
        for at, row in enumerate(rows)
        if row.own.id == correction.id and submission_hash(row.own) == correction.submission
    ]
    is_the_one = len(alike) == correction.copies == 1 and rows[alike[0]].correction is None
    return [(correction.set, alike[0])] if is_the_one else []


def _identified(name: str, examples: Sequence[Example]) -> list[SetRow]:
    hashes = [row_hash(example) for example in examples]
    counts: dict[_Key, int] = defaultdict(int)
    found = []
    for example, digest in zip(examples, hashes, strict=True):
        counts[digest, example.id] += 1
        found.append(SetRow(name, example, example, digest, counts[digest, example.id], 1))
    return [replace(row, copies=counts[row.hash, row.own.id]) for row in found]


def _may_move(rows: Mapping[str, list[SetRow]], place: tuple[str, int], correction: Correction) -> bool:
    """Only between training sets: a hold-out row must have the same grade whether it is read alone or with them."""
    name, at = place
    held = HOLDOUT in (name, correction.set)
    return not held and correction.copies == 1 and rows[name][at].correction is None


def _why_missing(rows: Mapping[str, list[SetRow]], found: Sequence[tuple[str, int]], correction: Correction) -> str:
    if len(found) > 1:
        return f"it is gone from {clean_line(correction.set)}, and {len(found)} rows elsewhere are like it"
    if found:
        return f"it is gone from {clean_line(correction.set)}, a row of {clean_line(found[0][0])} is like it"
    named = [row for row in rows.get(correction.set, []) if correction.id and row.own.id == correction.id]
    if named:
        return "its prompt or its submission has changed"
    return f"it is gone from {clean_line(correction.set)}"


def _apply(
    rows: Mapping[str, list[SetRow]], place: tuple[str, int], correction: Correction, grading: Grading
) -> list[str]:
    """Apply ``correction`` to the row at ``place``, or return why not."""
    name, at = place
    row = rows[name][at]
    now = grade_scale.grade_of(correction.now, grading)
    if now is None:
        words = f"{clean_line(correction.now)!r} is not {grade_scale.range_words(grading)}"
        return [_not_applied(correction, words)]
    own = row.own.grade
    if own is None:
        return [_not_applied(correction, "it has no grade of its own any more")]
    if own != now and own != grade_scale.grade_of(correction.was, grading):
        words = f"its own grade was {clean_line(correction.was)} and is {grade_scale.written(own, grading)}"
        return [_not_applied(correction, words)]
    example = replace(row.own, settled=True) if own == now else regraded(row.own, now, correction.rater, grading)
    if example is None:
        words = "grading.pattern finds no grade in its text that could be replaced"
        return [_not_applied(correction, words)]
    rows[name][at] = replace(row, example=example, correction=correction)
    return []


def regraded(example: Example, grade: int, rater: str, grading: Grading) -> Example | None:
    """Return ``example`` with another grade, also in its completion; None if that does not state its grade."""
    match = re.search(grading.pattern, example.completion)
    if match is None or match.group(1) is None or parse_grade(example.completion, grading) != example.grade:
        return None
    start, end = match.span(1)
    text = f"{example.completion[:start]}{grade_scale.written(grade, grading)}{example.completion[end:]}"
    if parse_grade(text, grading) != grade:
        return None
    return replace(example, completion=text, grade=grade, rater=rater or example.rater, settled=True)


def _not_applied(correction: Correction, why: str) -> str:
    name = clean_line(correction.id or correction.row[:10])
    return (
        f"{clean_line(correction.set)}: the corrected grade {clean_line(correction.now)} of row {name} is not applied: "
        f"{clean_line(why)}."
    )
