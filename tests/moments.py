"""Owns the moments of a run at which something is done to it: in a step, an evaluation, a save, at a question."""

from collections.abc import Callable

from opeddev_tui.runs import events as ev

Moment = Callable[[ev.AnyEvent], bool]


def a_step(event: ev.AnyEvent) -> bool:
    """Return whether an optimizer step of the second epoch was made."""
    return isinstance(event, ev.Progress) and event.global_step == 6


def an_evaluation(event: ev.AnyEvent) -> bool:
    """Return whether the hold-out is scored; its grades and the probe texts come next."""
    return isinstance(event, ev.HoldoutEvaluated) and event.epoch == 2


def a_save(event: ev.AnyEvent) -> bool:
    """Return whether the checkpoint of the second epoch is being read back."""
    return isinstance(event, ev.PhaseChanged) and event.detail == "checking checkpoint-10"


def a_question(event: ev.AnyEvent) -> bool:
    """Return whether the run waits for a person."""
    return isinstance(event, ev.PhaseChanged) and event.phase == "waiting"


def an_epoch_0(event: ev.AnyEvent) -> bool:
    """Return whether the hold-out is scored before the first epoch."""
    return isinstance(event, ev.PhaseChanged) and event.phase == "evaluating"
