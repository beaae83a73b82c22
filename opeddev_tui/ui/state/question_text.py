"""Texts of the question after an epoch: what the rule advises, the figures that decide, and what each key would do.

What decides comes first and fits the smallest terminal; the reasons in full are details. Pure: a function of the view.
"""

from __future__ import annotations

import math

from opeddev_tui.format import capital, duration, number, plural, share
from opeddev_tui.runs.cheap_ways import to_beat
from opeddev_tui.runs.events import DecisionAwaited, Verdict
from opeddev_tui.runs.state import RunState
from opeddev_tui.runs.verdict_words import advice, baseline, findings, one_grade, within_noise, word_of
from opeddev_tui.text import clean_line
from opeddev_tui.ui.state.plan_text import chosen_words
from opeddev_tui.ui.state.situation import IN_FULL, Action, Situation
from opeddev_tui.ui.state.view import View

_MORE = Action("more", "monitor.more", "More")
_WHY = Action(IN_FULL.action, IN_FULL.key, "Why")
_SAMPLE = Action("ask('sample')", "monitor.sample-now", "Sample now", minor=True)


def awaiting(view: View) -> Situation | None:
    """Return the question of the run on show; None where none is open."""
    question, state = view.state.question, view.state
    if question is None:
        return None
    verdict, epoch = question.verdict, question.epoch
    started = state.started
    seed = f"Seed {started.seed}: epoch" if started is not None and started.group else "Epoch"
    headline = f"{seed} {epoch} of at most {question.max_epochs} is done. The rule says: {advice(verdict)}."
    loss, grades = _loss(state, verdict), (*_distance(verdict), *_grades(state, epoch))
    figures = (*grades, *loss) if verdict.metric == "grade" else (*loss, *grades)
    lines = (*figures, *_deadline(view, question), *chosen_line(state))
    offers = (*_answers(question), _MORE, _WHY, _SAMPLE)
    found = _sentence(findings(verdict, state))
    return Situation("awaiting", headline, lines, offers, details=_details(verdict), finding=found)


def _answers(question: DecisionAwaited) -> tuple[Action, ...]:
    epoch = question.epoch
    stop = Action("decide('stop')", "monitor.stop", "Stop", "end the step")
    go = Action("decide('continue')", "monitor.continue", "Continue", f"train epoch {epoch + 1}")
    return (stop,) if question.verdict.limit_reached or epoch >= question.max_epochs else (go, stop)


def _loss(state: RunState, verdict: Verdict) -> tuple[str, ...]:
    """Return the hold-out loss beside the best before; nothing where the epoch was not scored."""
    row = state.epochs.get(verdict.epoch)
    now = f"Hold-out loss {number(row.val_loss, 4)}" if row is not None else "Hold-out loss"
    if verdict.difference is None or not math.isfinite(verdict.difference):
        return (f"{now}: there is nothing to compare it with.",) if row is not None else ()
    return (f"{now}: {_compared(verdict.difference, verdict.interval, verdict.compared_with)}.",)


def _distance(verdict: Verdict) -> tuple[str, ...]:
    """Return how the distance from the right grades changed, where the rule goes by it."""
    if verdict.metric != "grade" or verdict.grade_difference is None:
        return ()
    change = _compared(verdict.grade_difference, verdict.grade_interval, verdict.grade_compared_with)
    return (f"Distance of the grades: {change}.",)


def _compared(difference: float, interval: tuple[float, float] | None, before: int | None) -> str:
    """Return a change in words, and that it is noise where it is."""
    size = f" by {abs(difference):.4f}" if difference else ""
    other = "than" if size else "as"
    noise = ", within noise" if within_noise(difference, interval) else ""
    return f"{word_of(difference)}{size} {other} {baseline(before)}{noise}"


def _grades(state: RunState, epoch: int) -> tuple[str, ...]:
    """Return the grades after ``epoch`` beside what they must beat; nothing where none were read."""
    measured = state.grades.get(epoch)
    if measured is None:
        return ()
    alike = one_grade(state, epoch)
    kappa = f", kappa {measured.kappa:.2f}" if measured.kappa is not None else ""
    exact, within = (
        f"{share(getattr(measured, name))} {words} (to beat: {share(to_beat(measured, name).value)})"
        for name, words in (("exact", "exact"), ("within_one", "within one"))
    )
    return (f"Grades: {exact}, {within}{kappa}{alike and f'; {alike}'}.",)


def _deadline(view: View, question: DecisionAwaited) -> tuple[str, ...]:
    """Return when the rule decides by itself; nothing where it waits for a person."""
    if question.deadline is None:
        return ()
    return (f"Without an answer the rule decides in {duration(max(0.0, question.deadline - view.now))}.",)


def chosen_line(state: RunState) -> tuple[str, ...]:
    """Return what a person chose for the next step, as a line; nothing where nothing was chosen."""
    words = chosen_words(state)
    return (f"Chosen for the next step: {words}.",) if words else ()


def _details(verdict: Verdict) -> tuple[str, ...]:
    """Return the verdict's reasons, cleaned, and how many hold-out rows got better and worse."""
    told = advice(verdict)
    reasons = [text for reason in verdict.reasons if (text := clean_line(reason)) and text not in told]
    lines = tuple(_sentence(text) for text in reasons)
    if verdict.better or verdict.worse:
        lines += (f"{plural(verdict.better, 'hold-out row')} better, {verdict.worse:,} worse.",)
    return lines


def _sentence(text: str) -> str:
    """Return a reason as a sentence of its own."""
    return f"{capital(text.rstrip('.'))}." if text else ""
