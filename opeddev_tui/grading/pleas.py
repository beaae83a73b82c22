"""Measure whether graders can be talked into a grade: the hold-out's submissions, changed in ways that are no reason.

Every way that can grade a new text is asked before and after each change. Takes features; reads no model.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from opeddev_tui.data.rows import Example
from opeddev_tui.grading import rivals
from opeddev_tui.grading.contest import Entrant
from opeddev_tui.grading.race_report import Plea, RaceRows
from opeddev_tui.grading.robustness import CHANGES, Change, changed_examples, influence
from opeddev_tui.grading.scale import Positions


class ChangedRows(Struct, frozen=True):
    """Hold-out rows as ``change`` leaves them: the m ``examples`` stood at ``places`` among the graded ones."""

    change: Change
    places: tuple[int, ...]
    examples: tuple[Example, ...]


def changed_holdout(rows: RaceRows) -> list[ChangedRows]:
    """Return the hold-out rows of ``rows`` after each change that changes some; the prompt's frame is the rubric."""
    found = []
    for change in CHANGES:
        changed = changed_examples(rows.held.examples, change, rows.scale.labels[-1], rows.held.prompts)
        if changed:
            places, examples = zip(*changed, strict=True)
            found.append(ChangedRows(change, places, examples))
    return found


def plea_figures(
    rows: RaceRows, changed: Sequence[ChangedRows], entrants: Sequence[Entrant], features: Sequence[NDArray[np.float32]]
) -> tuple[Plea, ...]:
    """Return per change and way what it does to the grades.

    ``features`` has for each of ``entrants`` those of all changed rows, one change after the other, [sum of m, d].
    """
    before, after = {"n-grams": _n_grams(rows, ())}, {"n-grams": _n_grams(rows, _texts(changed))}
    for entrant, moved in zip(entrants, features, strict=True):
        heads = entrant.heads(rows)
        kinds = [example.kind for item in changed for example in item.examples]
        before[f"{entrant.name} head"] = heads.head.grades(entrant.held, rows.held.kinds).median
        after[f"{entrant.name} head"] = heads.head.grades(moved, kinds).median
    found = []
    begin = 0
    for item in changed:
        for way, grades in before.items():
            told = influence(item.change, grades[list(item.places)], after[way][begin : begin + len(item.places)])
            if told is not None:
                found.append(Plea(item.change.name, item.change.words, way, told.rows, told.changed, told.shift))
        begin += len(item.places)
    return tuple(found)


def _texts(changed: Sequence[ChangedRows]) -> list[tuple[str, str]]:
    return [(example.submission, example.kind) for item in changed for example in item.examples]


def _n_grams(rows: RaceRows, changed: Sequence[tuple[str, str]]) -> Positions:
    """Return the n-gram grader's grades of the ``changed`` (text, kind), or of the hold-out where there are none."""
    texts, kinds = zip(*changed, strict=True) if changed else (rows.held.texts, rows.held.kinds)
    return rivals.n_grams(rows.train.texts, rows.train.labels, rows.scale, texts, kinds).grades.median
