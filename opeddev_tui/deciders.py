"""Answer the question after an epoch: by the rule, by a person through the run's control, or as recorded."""

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from opeddev_tui.control import AnyCommand, Control, Decide, Stop
from opeddev_tui.events import Decided, DecisionAwaited


class StopRequested(Exception):
    """A person wants the run to end here; it can be resumed."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


# the open question as it stands now (ratings change it), and what carries out a command that is no answer
Pending = Callable[[], DecisionAwaited]
OnCommand = Callable[[AnyCommand], None]


class Decider(Protocol):
    """Answers the question after an epoch."""

    def decide(self, pending: Pending, on_command: OnCommand) -> Decided:
        """Return the decision; raise ``StopRequested`` to leave the question open."""


class RuleDecider:
    """The verdict is the decision."""

    def decide(self, pending: Pending, on_command: OnCommand) -> Decided:  # noqa: ARG002 - the protocol's
        """Return the rule's verdict."""
        question = pending()
        return Decided(epoch=question.epoch, choice=question.verdict.choice, by="rule", verdict=question.verdict)


class ControlDecider:
    """A person decides through ``control``; after the question's deadline, the rule."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def decide(self, pending: Pending, on_command: OnCommand) -> Decided:
        """Wait for the answer to the open question; other commands go to ``on_command`` meanwhile."""
        while True:
            question = pending()
            left = None if question.deadline is None else question.deadline - time.time()
            if left is not None and left <= 0:
                verdict = question.verdict
                return Decided(epoch=question.epoch, choice=verdict.choice, by="timeout", verdict=verdict)
            commands = self._control.wait(left)
            for number, command in enumerate(commands, 1):
                answer = _answer(command, pending, on_command)
                if answer is not None:
                    # what came with the answer is for the training, a stop above all
                    self._control.put_back(commands[number:])
                    return answer


def _answer(command: AnyCommand, pending: Pending, on_command: OnCommand) -> Decided | None:
    """Return the decision that ``command`` is, None once ``on_command`` has carried it out."""
    if isinstance(command, Stop):
        raise StopRequested(command.reason)
    if isinstance(command, Decide):
        question = pending()
        if command.epoch == question.epoch:
            return Decided(
                epoch=command.epoch, choice=command.choice, by=command.by, verdict=question.verdict, note=command.note
            )
    on_command(command)
    return None


class RecordedDecider:
    """Decides as it was decided; after the last recorded decision the rule does."""

    def __init__(self, run: str, decisions: Mapping[int, Decided]) -> None:
        self._run = run
        self._decisions = decisions

    def decide(self, pending: Pending, on_command: OnCommand) -> Decided:
        """Return the recorded decision with today's verdict beside it."""
        question = pending()
        recorded = self._decisions.get(question.epoch)
        if recorded is None:
            return RuleDecider().decide(pending, on_command)
        return Decided(
            epoch=question.epoch,
            choice=recorded.choice,
            by=recorded.by,
            verdict=question.verdict,
            note=recorded.note or f"as in run {self._run}",
        )
