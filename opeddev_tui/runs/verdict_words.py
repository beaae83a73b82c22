"""The rule's verdict in one sentence: its advice, what loss, grades and people say, and whether they disagree. Pure.

The reasons of a verdict have the figures; every place that names them says first that the measures disagree, and where
the grades came nearer without being worth anything yet: a smaller distance alone is no grading.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from opeddev_tui.runs.cheap_ways import to_beat
from opeddev_tui.runs.choice_events import Verdict
from opeddev_tui.text import clean_line

if TYPE_CHECKING:
    from opeddev_tui.runs.grade_events import GradesMeasured
    from opeddev_tui.runs.state import RunState

# of the hold-out rows; a model that gives as many of them one grade does not tell rows apart
_NEARLY_ALL = 0.95

# a measure, what it says ("better", "worse", "the same"), and whether that is within noise
_Signal = tuple[str, str, bool]


def advice(verdict: Verdict) -> str:
    """Return what the rule says to do; where the plan or the limit decides, and no measure, that is said too."""
    if _by_plan(verdict) and verdict.reasons:
        return f"{verdict.choice} ({clean_line(verdict.reasons[0])})"
    return verdict.choice


def findings(verdict: Verdict, exact: float | None = None, state: RunState | None = None) -> str:
    """Return what each measure says and whether they disagree, without a full stop; "" where nothing was compared.

    ``exact`` is the change of the share of exact grades, where the verdict has no better measure of the grades.
    ``state`` is that of the verdict's run: grades that are better than before may still be worth nothing.
    """
    signals = _signals(verdict)
    if exact is not None and verdict.grade_difference is None:
        signals.append(("exact grades", word_of(exact), False))
    if not signals:
        return ""
    short = _short(verdict, state)
    text = ", ".join(_said(signal, short) for signal in signals)
    return f"{text}: they disagree{_decides(verdict)}" if _opposed(signals) else text


def disagree(verdict: Verdict) -> bool:
    """Return whether one measure got better and another one worse."""
    return _opposed(_signals(verdict))


def one_grade(state: RunState, epoch: int) -> str:
    """Return that the model gave one grade to (nearly) all hold-out rows after ``epoch``, as a clause, else "".

    Where the rows have that grade themselves, that is no fault and not said.
    """
    measured = _own_grades(state, epoch)
    if measured is None or not measured.predicted:
        return ""
    read = state.readings.get(epoch)
    way = read.by(measured.way) if read is not None else None
    # a scale of words has names only in the reading
    given: Sequence[object] = way.grades if way is not None else measured.predicted
    right: Sequence[object] = read.reference if read is not None and way is not None else measured.reference
    grade, count = Counter(given).most_common(1)[0]
    if not grade or count < _NEARLY_ALL * len(given) or right.count(grade) >= _NEARLY_ALL * len(right):
        return ""
    rows = "all" if count == len(given) else f"{count:,} of {len(given):,}"
    return f"it gives {clean_line(str(grade))} to {rows} hold-out rows"


def _own_grades(state: RunState, epoch: int) -> GradesMeasured | None:
    """Return the grades of the trained model after ``epoch``; None where none were read, or those of the base model."""
    measured = state.grades.get(epoch)
    return None if measured is None or measured.way.startswith("base") else measured


def _short(verdict: Verdict, state: RunState | None) -> str:
    """Return what grades fall short of that are better than before; "" where they do not, or nobody measured it."""
    measured = _own_grades(state, verdict.epoch) if state is not None else None
    if measured is None:
        return ""
    # as it is shown: 0.004 is 0.00
    if measured.kappa is not None and round(measured.kappa, 2) <= 0:
        return "still guessing"
    return "nothing beaten yet" if measured.exact <= to_beat(measured).value else ""


def _said(signal: _Signal, short: str) -> str:
    """Return a measure in words; ``short``: what grades that are better fall short of."""
    name, word, noise = signal
    if word == "better" and short and "grades" in name:
        # what is worth nothing need not be called noise as well
        return f"{name} {'nearer' if name == 'grades' else word} but {short}"
    return f"{name} {word}{' within noise' if noise else ''}"


def _opposed(signals: Sequence[_Signal]) -> bool:
    return {"better", "worse"} <= {word for _, word, _ in signals}


def reasons_of(verdict: Verdict, state: RunState | None = None) -> tuple[str, ...]:
    """Return the verdict's reasons; that the measures disagree, or better grades are worth nothing yet, comes first.

    ``state`` is that of the verdict's run; without it only the verdict is looked at.
    """
    short = _short(verdict, state) if verdict.grade_difference is not None and verdict.grade_difference > 0 else ""
    first = [findings(verdict, state=state)] if short or disagree(verdict) else []
    alike = one_grade(state, verdict.epoch) if state is not None else ""
    return (*first, *filter(None, [alike]), *verdict.reasons)


def word_of(difference: float) -> str:
    """Return whether a fall of a loss or a distance by ``difference`` is better, worse, or the same."""
    return "better" if difference > 0 else "worse" if difference < 0 else "the same"


def _by_plan(verdict: Verdict) -> bool:
    """Return whether the planned epochs or the limit decide; that is the first reason then."""
    improved = verdict.grade_improved if verdict.metric == "grade" else verdict.loss_improved
    return verdict.limit_reached or (verdict.choice == "continue" and not improved and not verdict.human_improved)


def _decides(verdict: Verdict) -> str:
    """Return which measure the advice goes by; "" where it goes by the plan or the limit."""
    if _by_plan(verdict):
        return ""
    if verdict.metric == "grade":
        decides, improved = "the grades decide", verdict.grade_improved
    else:
        decides, improved = "the loss decides", verdict.loss_improved
    return "; what people prefer decides" if verdict.human_improved and not improved else f"; {decides}"


def _signals(verdict: Verdict) -> list[_Signal]:
    """Return what each measure says, the one that decides first."""
    found = [
        _signal("loss", verdict.difference, verdict.interval),
        _signal("grades", verdict.grade_difference, verdict.grade_interval),
    ]
    if verdict.metric == "grade":
        found.reverse()
    signals = [signal for signal in found if signal is not None]
    return [*signals, ("generations", "better", False)] if verdict.human_improved else signals


def _signal(name: str, difference: float | None, interval: tuple[float, float] | None) -> _Signal | None:
    if difference is None or not math.isfinite(difference):
        return None
    noise = difference != 0 and interval is not None and interval[0] <= 0 <= interval[1]
    return name, word_of(difference), noise
