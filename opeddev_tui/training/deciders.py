"""Answer the question after an epoch: by the rule, by a person through the run's control, or as another run did."""

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from opeddev_tui.runs.control import Adjust, AnyCommand, Control, Decide, Stop
from opeddev_tui.runs.events import Decided, DecisionAwaited

# longest wait before the clock is looked at again
_LOOK_SECONDS = 1.0


class StopRequested(Exception):
    """Raised at a safe point when a person asked the run to end there; the run can be resumed."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


# returns the open question as it is now: ratings can change its verdict
Pending = Callable[[], DecisionAwaited]
# carries out a command that is not an answer
OnCommand = Callable[[AnyCommand], None]


class Decider(Protocol):
    """Answers the question after an epoch."""

    def decide(self, pending: Pending, on_command: OnCommand) -> Decided:
        """Return the decision; raises ``StopRequested`` to leave the question open."""


class RuleDecider:
    """Decides as the early-stop rule recommends."""

    def decide(self, pending: Pending, on_command: OnCommand) -> Decided:  # noqa: ARG002 - as the protocol has it
        """Return the rule's verdict as the decision."""
        return by_rule(pending())


class ControlDecider:
    """Lets a person decide through ``control``, and the rule once the question's deadline has passed.

    After ``leave_to_rule(True)`` the rule decides, in this step and in those that this process trains after it.
    """

    def __init__(self, control: Control) -> None:
        self._control = control
        self._by_rule = False

    def leave_to_rule(self, rule: bool) -> None:
        """Let the rule decide from now on, or a person again."""
        self._by_rule = rule

    @property
    def by_rule(self) -> bool:
        """True where the rule decides."""
        return self._by_rule

    def decide(self, pending: Pending, on_command: OnCommand) -> Decided:
        """Wait for the answer to the open question; ``on_command`` carries out other commands meanwhile."""
        if self._by_rule:
            return by_rule(pending())
        question = pending()
        while True:
            seconds = None if question.deadline is None else question.deadline - time.time()
            if seconds is not None and seconds <= 0:
                return by_rule(question, "timeout")
            # the deadline is a time of day: a machine that slept, or a clock that was set, is noticed within a moment
            commands = self._control.wait(_LOOK_SECONDS if seconds is None else min(seconds, _LOOK_SECONDS))
            for number, command in enumerate(commands, 1):
                if isinstance(command, Stop):
                    self._control.put_back(commands[number:])
                    raise StopRequested(command.reason)
                answer = _answer(command, pending, on_command, lambda: self._by_rule)
                if answer is not None:
                    # commands that arrived with the answer, such as a stop, are left for the training
                    self._control.put_back(commands[number:])
                    return answer
            if commands:
                # a rating may have changed the verdict; without one it is not worked out again, for days perhaps
                question = pending()


def by_rule(question: DecisionAwaited, by: str = "rule") -> Decided:
    """Return the rule's verdict as the decision."""
    return Decided(epoch=question.epoch, choice=question.verdict.choice, by=by, verdict=question.verdict)


def _answer(command: AnyCommand, pending: Pending, on_command: OnCommand, rules: Callable[[], bool]) -> Decided | None:
    """Return the decision if ``command`` is one; otherwise have ``on_command`` carry it out and return None."""
    if isinstance(command, Decide):
        question = pending()
        if command.epoch == question.epoch:
            if command.result:
                on_command(Adjust(epoch=command.epoch, start_from=command.result))
            return Decided(
                epoch=command.epoch, choice=command.choice, by=command.by, verdict=question.verdict, note=command.note
            )
    on_command(command)
    # the rule may have been asked to decide from now on
    return by_rule(pending()) if rules() else None


class RecordedDecider:
    """Decides as a person did in ``run``; the rule decides after epochs that have no recorded decision."""

    def __init__(self, run: str, decisions: Mapping[int, Decided]) -> None:
        self._run = run
        self._decisions = decisions

    def decide(self, pending: Pending, on_command: OnCommand) -> Decided:  # noqa: ARG002 - as the protocol has it
        """Return the recorded decision with the present verdict beside it."""
        question = pending()
        recorded = self._decisions.get(question.epoch)
        if recorded is None:
            return by_rule(question)
        return Decided(
            epoch=question.epoch,
            choice=recorded.choice,
            by=recorded.by,
            verdict=question.verdict,
            note=recorded.note or f"as in run {self._run}",
        )
