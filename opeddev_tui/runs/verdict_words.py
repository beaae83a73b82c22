"""The rule's verdict in one sentence: its advice, what loss, grades and people say, and whether they disagree. Pure.

The reasons of a verdict have the figures; every place that names them says first that the measures disagree.
"""

import math
from collections.abc import Sequence

from opeddev_tui.runs.choice_events import Verdict
from opeddev_tui.text import clean_line

# a measure, what it says ("better", "worse", "the same"), and whether that is within noise
_Signal = tuple[str, str, bool]


def advice(verdict: Verdict) -> str:
    """Return what the rule says to do; where the plan or the limit decides, and no measure, that is said too."""
    if _by_plan(verdict) and verdict.reasons:
        return f"{verdict.choice} ({clean_line(verdict.reasons[0])})"
    return verdict.choice


def findings(verdict: Verdict, exact: float | None = None) -> str:
    """Return what each measure says and whether they disagree, without a full stop; "" where nothing was compared.

    ``exact`` is the change of the share of exact grades, where the verdict has no better measure of the grades.
    """
    signals = _signals(verdict)
    if exact is not None and verdict.grade_difference is None:
        signals.append(("exact grades", word_of(exact), False))
    if not signals:
        return ""
    text = ", ".join(f"{name} {word}{' within noise' if noise else ''}" for name, word, noise in signals)
    return f"{text}: they disagree{_decides(verdict)}" if _opposed(signals) else text


def disagree(verdict: Verdict) -> bool:
    """Return whether one measure got better and another one worse."""
    return _opposed(_signals(verdict))


def _opposed(signals: Sequence[_Signal]) -> bool:
    return {"better", "worse"} <= {word for _, word, _ in signals}


def reasons_of(verdict: Verdict) -> tuple[str, ...]:
    """Return the verdict's reasons; that the measures disagree comes first."""
    return (findings(verdict), *verdict.reasons) if disagree(verdict) else verdict.reasons


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
