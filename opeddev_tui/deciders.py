"""Owns who answers after an epoch: the rule, or a person through the run's control."""

import time
from collections.abc import Callable
from typing import Protocol

from opeddev_tui.control import AnyCommand, Control, Decide, Stop
from opeddev_tui.events import Decided, DecisionAwaited


class StopRequested(Exception):
    """A person wants the run to end here; it can be resumed."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Decider(Protocol):
    """Answers the question after an epoch. ``pending`` gives the question as it stands now (ratings change it)."""

    def decide(self, pending: Callable[[], DecisionAwaited]) -> Decided:
        """Return the decision; raise ``StopRequested`` to leave the question open."""


class RuleDecider:
    """The verdict is the decision."""

    def decide(self, pending: Callable[[], DecisionAwaited]) -> Decided:
        """Return the rule's verdict."""
        question = pending()
        return Decided(epoch=question.epoch, choice=question.verdict.choice, by="rule", verdict=question.verdict)


class ControlDecider:
    """A person decides through ``control``; after the question's deadline, the rule."""

    def __init__(self, control: Control, on_command: Callable[[AnyCommand], None]) -> None:
        self._control = control
        self._on_command = on_command

    def decide(self, pending: Callable[[], DecisionAwaited]) -> Decided:
        """Wait for the answer to the open question; other commands are handed on meanwhile."""
        while True:
            question = pending()
            left = None if question.deadline is None else question.deadline - time.time()
            if left is not None and left <= 0:
                verdict = question.verdict
                return Decided(epoch=question.epoch, choice=verdict.choice, by="timeout", verdict=verdict)
            for command in self._control.wait(left):
                match command:
                    case Decide(epoch=epoch, choice=choice, by=by, note=note) if epoch == question.epoch:
                        verdict = pending().verdict
                        return Decided(epoch=epoch, choice=choice, by=by, verdict=verdict, note=note)
                    case Stop(reason=reason):
                        raise StopRequested(reason)
                    case _:
                        self._on_command(command)
