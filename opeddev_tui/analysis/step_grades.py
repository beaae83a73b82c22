"""Whether a step grades better than the one before: kappa of the way that grades after each, and their difference.

The difference is paired over the same hold-out rows, so what both find hard cancels. Its interval is the closed form
that the race uses: from each row's influence on kappa (``grading.scores.paired_difference``), here in plain Python,
because the screen shows it from its first drawing on. Pure functions of recorded races.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from msgspec import Struct

from opeddev_tui.format import rounded, signed
from opeddev_tui.intervals import CONFIDENCE
from opeddev_tui.runs.grade_records import Figure
from opeddev_tui.runs.grade_words import maybe_chance, too_few, way_words
from opeddev_tui.runs.state import RunState
from opeddev_tui.text import clean_line

NO_DIFFERENCE = "no difference beyond noise"


class GradesAfter(Struct, frozen=True):
    """The grades of the hold-out at a step's end, or after an epoch, by the way that grades.

    ``name`` says when ("step 2"), ``scored_on`` names the hold-out; ``ids``, ``reference`` and ``grades`` ("" for none)
    have an entry per graded row, ``labels`` are the scale.
    """

    name: str
    way: str
    kappa: Figure
    scored_on: tuple[str, int]
    labels: tuple[str, ...]
    ids: tuple[str, ...]
    reference: tuple[str, ...]
    grades: tuple[str, ...]

    @property
    def told(self) -> str:
        """The kappa as it is shown, – where it is not defined."""
        return rounded(self.kappa.value)


def grades_after(state: RunState) -> GradesAfter | None:
    """Return the grades at the end of the step of ``state``; None where no race has chosen what grades.

    Nor where it did not record the grade of each row, without which nothing can be compared.
    """
    race = state.race
    way = next((item for item in race.ways if item.way == race.chosen), None) if race is not None else None
    if race is None or way is None or not way.grades or state.started is None:
        return None
    kappa = way.figures.get("kappa", Figure(None))
    return GradesAfter(
        *(f"step {state.started.step}", way.way, kappa, state.scored_on),
        *(race.labels, race.ids, race.reference, way.grades),
    )


def last_two(states: Sequence[RunState]) -> tuple[GradesAfter, GradesAfter] | None:
    """Return the grades of the last of ``states`` and of the newest graded step before it; None where one has none.

    ``states`` are one per step, in order.
    """
    if not states or (now := grades_after(states[-1])) is None:
        return None
    step = states[-1].begun.step
    earlier = [found for state in states[:-1] if state.begun.step < step and (found := grades_after(state)) is not None]
    return (earlier[-1], now) if earlier else None


def step_change(states: Sequence[RunState], *, brief: bool = False) -> str:
    """Return whether the last step of ``states`` beat the one before at grading, as a sentence; "" without grades.

    ``brief``: for one line, without the interval.
    """
    pair = last_two(states)
    return f"Grading, {change_words(*pair, brief=brief)}." if pair is not None else ""


def change_words(before: GradesAfter, now: GradesAfter, *, brief: bool = False) -> str:
    """Return both kappas and what their difference means: "step 1 to 2: kappa 0.19 to 0.21, no difference …"."""
    when = f"{before.name} to {now.name.removeprefix('step ')}"
    if before.way == now.way:
        kappas = f"kappa {before.told} to {now.told} by {clean_line(way_words(now.way))}"
    else:
        kappas = f"kappa {before.told} by {way_words(before.way)} to {now.told} by {way_words(now.way)}"
    if brief and before.way == now.way:
        kappas = f"kappa {before.told} to {now.told}"
    return f"{when}: {kappas}, {verdict_on(before, now, brief=brief)}"


def verdict_on(before: GradesAfter, now: GradesAfter, *, brief: bool = False) -> str:
    """Return what the difference of two kappas means, or why they are not compared; ``brief``: without its interval."""
    if reason := not_compared(before, now):
        return f"not compared ({reason})"
    rows = len(now.reference)
    found = kappa_gain(before, now)
    if too_few(rows) or found is None or found.value is None:
        return f"not compared ({rows} hold-out rows are too few)" if too_few(rows) else "not compared (no kappa)"
    if brief:
        return _word(found)
    size = f"{_plus(found.value)}, 95% interval {_plus(found.low)} to {_plus(found.high)}"
    few = maybe_chance(rows)
    return f"{_word(found)} ({size}{few and f'; {few}'})"


def _word(gain: Figure) -> str:
    if gain.low is not None and gain.low > 0:
        return "better"
    return "worse" if gain.high is not None and gain.high < 0 else NO_DIFFERENCE


def _plus(value: float | None) -> str:
    return signed(value if value is None else round(value, 2) + 0.0, 2)


def not_compared(before: GradesAfter, now: GradesAfter) -> str:
    """Return why two kappas are not of the same rows, "" where they are."""
    if before.scored_on != now.scored_on:
        return "another hold-out"
    same = (before.labels, before.ids, before.reference) == (now.labels, now.ids, now.reference)
    return "" if same else "the grades of the hold-out have changed between them"


# a finished step's sentence is made with every drawing of the screen, of the same grades
@lru_cache(maxsize=16)
def kappa_gain(before: GradesAfter, now: GradesAfter) -> Figure | None:
    """Return the kappa of ``now`` less that of ``before`` on the same rows; None where one has none."""
    one, other = (_influences(item) for item in (before, now))
    if one is None or other is None:
        return None
    value = other[0] - one[0]
    gaps = [b - a for a, b in zip(one[1], other[1], strict=True)]
    count = len(gaps)
    if count < 2:
        return Figure(value)
    center = sum(gaps) / count
    error = math.sqrt(count / (count - 1) * sum((gap - center) ** 2 for gap in gaps)) / count
    reach = _student(count - 1) * error
    return Figure(value, value - reach, value + reach)


def _influences(item: GradesAfter) -> tuple[float, list[float]] | None:
    """Return quadratic weighted kappa and each row's influence on it (``grading.intervals.kappa``)."""
    right = [item.labels.index(label) for label in item.reference]
    given = [_position(label, truth, item.labels) for label, truth in zip(item.grades, right, strict=False)]
    count = len(right)
    if not count or len(given) != count:
        return None
    distance = [(a - b) ** 2 for a, b in zip(given, right, strict=True)]
    one, other = sum(given) / count, sum(right) / count
    squares, theirs = sum(a * a for a in given) / count, sum(b * b for b in right) / count
    expected = squares + theirs - 2 * one * other
    if expected <= 1e-12:
        return None
    observed = sum(distance) / count

    def influence(apart: float, a: float, b: float) -> float:
        moved = a * a - squares + b * b - theirs - 2 * a * other - 2 * b * one + 4 * one * other
        return -(apart - observed) / expected + observed / expected**2 * moved

    influences = [influence(apart, a, b) for apart, a, b in zip(distance, given, right, strict=True)]
    return 1 - observed / expected, influences


def _position(label: str, right: int, labels: Sequence[str]) -> int:
    """Return the position of a grade; one that is missing counts as the farthest from the right one."""
    if label in labels:
        return labels.index(label)
    return 0 if right * 2 >= len(labels) - 1 else len(labels) - 1


def _student(freedom: int) -> float:
    """Return the quantile of Student's t by its expansion around the normal one (Abramowitz and Stegun 26.7.5).

    From nine degrees of freedom on, which the fewest rows of a verdict have, it is right to three digits.
    """
    from statistics import NormalDist

    x = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    terms = (
        (x**3 + x) / 4,
        (5 * x**5 + 16 * x**3 + 3 * x) / 96,
        (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / 384,
        (79 * x**9 + 776 * x**7 + 1482 * x**5 - 1920 * x**3 - 945 * x) / 92160,
    )
    return x + math.fsum(term / float(freedom) ** power for power, term in enumerate(terms, 1))


def grade_series(states: Sequence[RunState]) -> str:
    """Return the kappa per step by the way that grades, and what the last step changed; "" below two graded steps.

    ``states`` are one per step, in order. Steps of another hold-out than the last one are left out.
    """
    pair = last_two(states)
    if pair is None:
        return ""
    now = pair[1]
    every = [found for state in states if (found := grades_after(state)) is not None]
    alike = [item for item in every if item.scored_on == now.scored_on]
    if len(alike) < 2:
        return ""
    kappas = ", ".join(item.told for item in alike)
    same = len({item.way for item in alike}) == 1
    by = f"by {way_words(now.way)}" if same else "by the way that graded then"
    last = f"{alike[-2].name} to {now.name.removeprefix('step ')}"
    # without the interval: the line stands below a chart
    return f"Kappa per step {by}: {kappas}; {last}: {verdict_on(alike[-2], now, brief=True)}."
