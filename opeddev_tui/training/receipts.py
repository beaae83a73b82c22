"""Record what people ask a training to record, and what became of everything they asked.

A command from another process is settled only once the journal has its effect, so a kill loses none: what it leaves in
the mailbox is carried out or reported by the next training of the run. Must not decide when commands are taken.
"""

import logging
from collections.abc import Callable
from pathlib import Path

from opeddev_tui.errors import StorageProblem
from opeddev_tui.runs import control as ctl
from opeddev_tui.runs import events as ev
from opeddev_tui.runs import notes
from opeddev_tui.runs.bus import Bus

_LOG = logging.getLogger(__name__)


class Receipts:
    """What one run says about the commands it got; all methods run on the training thread."""

    def __init__(self, bus: Bus, control: ctl.Control, observations: Path) -> None:
        self._bus = bus
        self._control = control
        self._observations = observations

    def resume(self, left: list[ctl.AnyCommand]) -> None:
        """Deal with what an earlier training of the run left: facts are recorded, other commands reported."""
        for command in left:
            if isinstance(command, ctl.Record):
                self.keep(command)
            else:
                self.refuse(command, "the training that it was sent to ended before it took it")
        self.report_refused()

    def keep(self, command: ctl.Record) -> None:
        """Record a fact, once: a training that was killed may have recorded it already."""
        if command.run not in ("", self._bus.state.begun.run):
            # whoever sent it records it in that run when it sees that run's end
            self.refuse(command, f"it belongs to run {command.run}")
            return
        fact = command.fact
        if not self._is_recorded(fact):
            self._bus.emit(fact)
            if isinstance(fact, ev.Annotated):
                self.write_note(fact)
        self.done(command)

    def _is_recorded(self, fact: ev.Rated | ev.RatingUndone | ev.Annotated | ev.Warned) -> bool:
        state = self._bus.state
        if isinstance(fact, ev.Annotated):
            return fact in state.notes
        return isinstance(fact, ev.Rated) and state.ratings.get((fact.epoch, fact.prompt)) == fact

    def write_note(self, note: ev.Annotated) -> None:
        """Add a note of the journal to the observations; if that file cannot be written, training goes on."""
        try:
            notes.keep_note(self._observations, self._bus.state, note)
        except StorageProblem as problem:
            self._bus.emit(ev.Warned(message=f"the note is only in the journal: {problem}"))

    # --- what became of a command

    def done(self, command: ctl.AnyCommand, reason: str = "") -> None:
        """Record that ``command`` was carried out, if another process waits to hear of it or there is a ``reason``."""
        if not self._settle(lambda one: one is command, done=True, reason=reason) and reason:
            self._bus.emit(ev.CommandTaken(command=type(command).__name__, reason=reason))

    def refuse(self, command: ctl.AnyCommand, reason: str) -> None:
        """Record that ``command`` was not carried out."""
        if not self._settle(lambda one: one is command, done=False, reason=reason) and not _is_internal(command):
            self._bus.emit(ev.CommandTaken(command=type(command).__name__, done=False, reason=reason))

    def saved(self) -> None:
        """Record that a checkpoint that was asked for is published."""
        self._settle(lambda one: isinstance(one, ctl.SaveNow), done=True)

    def decided(self, decision: ev.Decided) -> None:
        """Record which answers became the decision, and that others came too late."""

        def is_answer(command: ctl.AnyCommand) -> bool:
            return isinstance(command, ctl.Decide) and command.epoch == decision.epoch

        self._settle(
            lambda one: is_answer(one) and decision.by == "person" and one.choice == decision.choice,  # type: ignore[union-attr]
            done=True,
        )
        self._settle(is_answer, done=False, reason=f"{decision.choice} was already decided, by {decision.by}")

    def report_refused(self) -> None:
        """Warn of files in the mailbox that are no commands."""
        for sentence in self._control.take_refused():
            self._bus.emit(ev.Warned(message=sentence))

    def end(self) -> None:
        """Settle what is left when the run has ended: facts are recorded in it, a stop ends the series of steps."""
        try:
            commands = self._control.take()
            for command in commands:
                if isinstance(command, ctl.Record):
                    self.keep(command)
                elif isinstance(command, ctl.Stop):
                    # no further step begins
                    self._control.put_back([command])
                else:
                    self.refuse(command, f"the run had ended: it is {self._bus.state.status}")
            self._settle(lambda one: isinstance(one, ctl.Stop), done=True)
            self._settle(lambda _: True, done=False, reason=f"the run had ended: it is {self._bus.state.status}")
            self.report_refused()
        except StorageProblem as problem:
            # the disk is full: the files stay, and the next training of the run finds them
            _LOG.error("what became of the last commands could not be recorded: %s", problem)

    def _settle(self, meant: Callable[[ctl.AnyCommand], bool], *, done: bool, reason: str = "") -> bool:
        """Record what became of the ``meant`` commands from the mailbox; return whether there was one."""
        found = [(command, identity) for command, identity in self._control.open_commands() if meant(command)]
        for command, identity in found:
            self._bus.emit(ev.CommandTaken(command=type(command).__name__, id=identity, done=done, reason=reason))
            self._control.settle(identity)
        return bool(found)


def _is_internal(command: ctl.AnyCommand) -> bool:
    """True for a command of this process that has no lasting effect, so that its outcome needs no record."""
    return isinstance(command, ctl.Resume | ctl.Pause | ctl.Record)
