"""The rule's verdict in one sentence: its advice, what loss, grades and people say, and whether they disagree. Pure.

A measure is called better or worse only where the interval of its change excludes zero: within noise nothing changed,
and nothing disagrees. Grades are judged by their expected distance from the right ones, and the screen shows shares and
kappa: where these do not bear the word out, the distance is named. The reasons of a verdict have the figures; every
place that names them says first that the measures disagree, and where the grades came nearer without being worth
anything yet: a smaller distance alone is no grading.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from opeddev_tui.intervals import wilson
from opeddev_tui.runs.cheap_ways import to_beat
from opeddev_tui.runs.choice_events import Verdict
from opeddev_tui.text import clean_line

if TYPE_CHECKING:
    from opeddev_tui.runs.grade_events import GradesMeasured
    from opeddev_tui.runs.state import RunState

# of the hold-out rows; a model that gives as many of them one grade does not tell rows apart
_NEARLY_ALL = 0.95

_NOISE = "unchanged within noise"
# a measure, what it says ("better", "worse", "the same", within noise), and by what figure where that must be said
_Signal = tuple[str, str, str]


def advice(verdict: Verdict) -> str:
    """Return what the rule says to do; where the plan or the limit decides, and no measure, that is said too."""
    if _by_plan(verdict) and verdict.reasons:
        return f"{verdict.choice} ({clean_line(verdict.reasons[0])})"
    return verdict.choice


def findings(verdict: Verdict, state: RunState | None = None) -> str:
    """Return what each measure says and whether they disagree, without a full stop; "" where nothing was compared.

    ``state`` is that of the verdict's run: its shares may not bear out that grades are better than before, such grades
    may still be worth nothing, and exact grades stand in where the verdict has no better measure of the grades.
    """
    signals = _signals(verdict, state)
    short = _short(verdict, state)
    since = [_since(signal, verdict) for signal in signals]
    if verdict.metric == "grade" and any(since):
        # that the rule goes by the distance is known, and its line stands below
        signals = [(name, word, "") for name, word, _ in signals]
    text = ", ".join(_said(signal, short, against) for signal, against in zip(signals, since, strict=True))
    if _opposed(signals):
        return f"{text}: they disagree{_decides(verdict)}"
    if signals and verdict.choice == "continue" and not _by_plan(verdict) and not _words(signals, "better"):
        # the rule goes by any gain, unless early_stop.significant is set
        return f"{text}, but the rule counts the gain of the {'grades' if verdict.metric == 'grade' else 'loss'}"
    return text


def disagree(verdict: Verdict, state: RunState | None = None) -> bool:
    """Return whether one measure got better and another one worse, each by more than noise."""
    return _opposed(_signals(verdict, state))


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


def _said(signal: _Signal, short: str, since: str) -> str:
    """Return a measure in words; ``short``: what better grades fall short of, ``since``: what it is compared with."""
    name, word, figure = signal
    if word == "better" and short and "grades" in name:
        word, end = "nearer" if name == "grades" else word, f" but {short}"
    else:
        end = ""
    return f"{name} {word}{figure}{since}{end}"


def baseline(epoch: int | None) -> str:
    """Return what a measure is compared with, to follow "than"."""
    return "before the step" if epoch == 0 else f"after epoch {epoch}" if epoch is not None else "before"


def _since(signal: _Signal, verdict: Verdict) -> str:
    """Return what a measure is compared with; "" where loss and grades are compared with the same epoch."""
    of_loss, of_grades = verdict.compared_with, verdict.grade_compared_with
    if of_loss is None or of_grades is None or of_loss == of_grades or verdict.difference is None:
        return ""
    against = {"loss": of_loss, "grades": of_grades}
    name, word, _ = signal
    if name not in against or verdict.grade_difference is None:
        return ""
    if word == _NOISE:
        return ""
    return f" {'as' if word == 'the same' else 'than'} {baseline(against[name]).removeprefix('after ')}"


def within_noise(difference: float | None, interval: tuple[float, float] | None) -> bool:
    """Return whether a change is no more than noise: its interval holds zero, or it has none."""
    signal = _signal("", difference, interval)
    return signal is not None and signal[1] == _NOISE


def _words(signals: Sequence[_Signal], wanted: str) -> bool:
    return any(word == wanted for _, word, _ in signals)


def _opposed(signals: Sequence[_Signal]) -> bool:
    return _words(signals, "better") and _words(signals, "worse")


def reasons_of(verdict: Verdict, state: RunState | None = None) -> tuple[str, ...]:
    """Return the verdict's reasons; that the measures disagree, or better grades are worth nothing yet, comes first.

    ``state`` is that of the verdict's run; without it only the verdict is looked at.
    """
    nearer = any("grades" in name and word == "better" for name, word, _ in _signals(verdict, state))
    first = [findings(verdict, state)] if disagree(verdict, state) or (nearer and _short(verdict, state)) else []
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


def _signals(verdict: Verdict, state: RunState | None) -> list[_Signal]:
    """Return what each measure says, the one that decides first."""
    found = [_signal("loss", verdict.difference, verdict.interval), _grades_signal(verdict, state)]
    if verdict.metric == "grade":
        found.reverse()
    signals = [signal for signal in found if signal is not None]
    return [*signals, ("generations", "better", "")] if verdict.human_improved else signals


def _signal(name: str, difference: float | None, interval: tuple[float, float] | None) -> _Signal | None:
    if difference is None or not math.isfinite(difference):
        return None
    clear = difference == 0 or (interval is not None and (interval[0] > 0 or interval[1] < 0))
    return name, word_of(difference) if clear else _NOISE, ""


def _grades_signal(verdict: Verdict, state: RunState | None) -> _Signal | None:
    """Return what the distance of the grades says; it is named where the shown figures do not bear that out."""
    if verdict.grade_difference is None:
        before, now = _compared_grades(state, verdict.epoch, verdict.compared_with)
        return _exact_signal(before, now) if before is not None and now is not None else None
    signal = _signal("grades", verdict.grade_difference, verdict.grade_interval)
    before, now = _compared_grades(state, verdict.epoch, verdict.grade_compared_with)
    if signal is None or signal[1] not in ("better", "worse") or before is None or now is None:
        return signal
    sign = 1 if signal[1] == "better" else -1
    shown = [(before.exact, now.exact), (before.within_one, now.within_one), (before.kappa, now.kappa)]
    # as they are shown: what is below one percent, or 0.01, is no change
    moves = [sign * (round(b, 2) - round(a, 2)) for a, b in shown if a is not None and b is not None]
    return signal if max(moves) > 0 and min(moves) >= 0 else (*signal[:2], " by expected distance")


def _compared_grades(
    state: RunState | None, epoch: int, before: int | None
) -> tuple[GradesMeasured | None, GradesMeasured | None]:
    """Return the trained model's grades after ``before`` and ``epoch``; None for what is unknown or read otherwise."""
    if state is None or before is None:
        return None, None
    one, other = _own_grades(state, before), _own_grades(state, epoch)
    return (one, other) if one is not None and other is not None and one.way == other.way else (None, None)


def _exact_signal(before: GradesMeasured, now: GradesMeasured) -> _Signal | None:
    """Return how the share of exact grades changed, by the sign test on the rows that one of both has right."""
    rows = zip(before.predicted, now.predicted, now.reference, strict=False)
    turned = [new == right for old, new, right in rows if (old == right) != (new == right)]
    low, high = wilson(sum(turned), len(turned))
    return _signal("exact grades", now.exact - before.exact, (low - 0.5, high - 0.5))
