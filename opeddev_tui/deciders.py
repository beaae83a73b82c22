"""Owns who answers after an epoch: the rule, or a person through the run's control."""

import time
from collections.abc import Callable, Mapping, Sequence
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

    def __init__(self, control: Control, on_command: Callable[[AnyCommand], None] | None = None) -> None:
        self._control = control
        # carries out what is no answer; the run sets it where it was not given
        self.on_command = on_command or (lambda _: None)

    def decide(self, pending: Callable[[], DecisionAwaited]) -> Decided:
        """Wait for the answer to the open question; other commands are handed on meanwhile."""
        while True:
            question = pending()
            left = None if question.deadline is None else question.deadline - time.time()
            if left is not None and left <= 0:
                verdict = question.verdict
                return Decided(epoch=question.epoch, choice=verdict.choice, by="timeout", verdict=verdict)
            commands = self.next_commands(question, left)
            for number, command in enumerate(commands, 1):
                answer = self._carry_out(command, pending, question.epoch)
                if answer is not None:
                    # what came with the answer is for the training, a stop above all
                    self._control.put_back(commands[number:])
                    return answer

    def next_commands(self, question: DecisionAwaited, left: float | None) -> Sequence[AnyCommand]:
        """Wait at most ``left`` seconds for commands."""
        del question  # for those who show it
        return self._control.wait(left)

    def _carry_out(self, command: AnyCommand, pending: Callable[[], DecisionAwaited], asked: int) -> Decided | None:
        match command:
            case Decide(epoch=epoch, choice=choice, by=by, note=note) if epoch == asked:
                return Decided(epoch=epoch, choice=choice, by=by, verdict=pending().verdict, note=note)
            case Stop(reason=reason):
                raise StopRequested(reason)
            case _:
                self.on_command(command)
                return None


class RecordedDecider:
    """Decides as it was decided; after the last recorded decision the rule does."""

    def __init__(self, run: str, decisions: Mapping[int, Decided]) -> None:
        self._run = run
        self._decisions = decisions

    def decide(self, pending: Callable[[], DecisionAwaited]) -> Decided:
        """Return the recorded decision with today's verdict beside it."""
        question = pending()
        recorded = self._decisions.get(question.epoch)
        if recorded is None:
            return RuleDecider().decide(pending)
        return Decided(
            epoch=question.epoch,
            choice=recorded.choice,
            by=recorded.by,
            verdict=question.verdict,
            note=recorded.note or f"as in run {self._run}",
        )
