"""Whether one checkpoint grades better than another: kappa by one way that read both, and their difference.

Two checkpoints of one step are read by the same ways; those of two steps may have been chosen to grade by different
ones. They are compared by one way, because the difference between two ways is no difference between two models.
"""

from __future__ import annotations

from collections.abc import Sequence

from opeddev_tui.analysis.step_grades import GradesAfter, verdict_on
from opeddev_tui.format import plural
from opeddev_tui.runs.grade_records import STEP_HEAD, STEP_TEXT, STEP_TOKENS, Figure
from opeddev_tui.runs.grade_words import way_words
from opeddev_tui.runs.state import RunState
from opeddev_tui.text import clean_line

# what reads the checkpoint's own weights; a head on the base model and n-grams are no part of a checkpoint
_OWN_WAYS = (STEP_HEAD, STEP_TOKENS, STEP_TEXT)


def recorded_grades(state: RunState, epoch: int, name: str) -> tuple[GradesAfter, ...]:
    """Return the grades of the hold-out by every way that read the weights after ``epoch``, what grades first.

    ``name`` says what was read, for people. Empty where nothing recorded the grade of each row.
    """
    race = state.races.get(epoch)
    chosen = race.chosen if race is not None else ""
    found = [item for way in _OWN_WAYS if (item := _by(state, epoch, way, name)) is not None]
    return tuple(sorted(found, key=lambda item: item.way != chosen))


def _by(state: RunState, epoch: int, way: str, name: str) -> GradesAfter | None:
    for held in (state.readings.get(epoch), state.races.get(epoch)):
        item = next((item for item in held.ways if item.way == way), None) if held is not None else None
        if held is not None and item is not None and item.grades and len(item.grades) == len(held.reference):
            kappa = item.figures.get("kappa", Figure(None))
            return GradesAfter(name, way, kappa, state.scored_on, held.labels, held.ids, held.reference, item.grades)
    return None


def comparison(one: Sequence[GradesAfter], two: Sequence[GradesAfter]) -> str:
    """Return both kappas by the first way of ``two`` that read ``one`` too, and the verdict on their difference.

    A sentence; empty where either has no recorded grades. The arguments are those of ``recorded_grades``.
    """
    if not one or not two:
        return ""
    pairs = [(before, now) for now in two for before in one if before.way == now.way]
    if not pairs:
        return "Grading: not compared (they were read by different ways)."
    before, now = pairs[0]
    same = (before.labels, before.ids, before.reference, before.grades)
    if same == (now.labels, now.ids, now.reference, now.grades):
        verdict = f"the same grade for each of {plural(len(now.reference), 'hold-out row')}"
    else:
        verdict = verdict_on(before, now)
    by = clean_line(way_words(now.way)).replace("the step's model", "each one's model")
    return f"Grading by {by}: kappa {before.told} to {now.told}, {verdict}."
