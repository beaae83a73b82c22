"""Record what a person chooses at the question for the step after this one, and who decides from then on.

Nothing of it changes the running step. A value that cannot be used is refused with a sentence.
"""

import math

from opeddev_tui.config import settings as st
from opeddev_tui.data.batches import find_batches
from opeddev_tui.errors import Problem
from opeddev_tui.runs import control as ctl
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.bus import Bus
from opeddev_tui.text import clean_line
from opeddev_tui.workspace.paths import Workspace


class NextStepChoices:
    """Takes the choices of one run; all methods run on the training thread."""

    def __init__(self, workspace: Workspace, settings: st.Settings, bus: Bus) -> None:
        self._workspace, self._settings, self._bus = workspace, settings, bus

    def take(self, command: ctl.Adjust) -> str:
        """Record what ``command`` chooses; return why that is not possible, "" where it is."""
        state = self._bus.state
        if state.question is None or state.question.epoch != command.epoch:
            return f"the question after epoch {command.epoch} is not open"
        reason = self._wrong(command)
        if reason:
            return reason
        if command.learning_rate is not None or command.batch or command.start_from:
            self._bus.emit(
                ev.NextStepChosen(
                    epoch=command.epoch,
                    learning_rate=command.learning_rate,
                    batch=command.batch,
                    start_from=command.start_from,
                )
            )
        if command.policy:
            self._bus.emit(ev.PolicyChanged(epoch=command.epoch, policy=command.policy))
        return ""

    def _wrong(self, command: ctl.Adjust) -> str:
        about_next = command.learning_rate is not None or command.batch or command.start_from
        if about_next and self._bus.state.repeats:
            return "this run repeats another one, so no step comes after it"
        rate = command.learning_rate
        if rate is not None and not (math.isfinite(rate) and 0 < rate <= 1):
            return f"a learning rate of {rate:g} is not possible: it is above 0 and at most 1"
        return self._no_such_batch(command.batch) if command.batch else ""

    def _no_such_batch(self, name: str) -> str:
        trained = {batch.name for batch in self._bus.state.begun.batches}
        try:
            found = find_batches(self._workspace.root, self._settings.paths, fetch=False)
        except Problem as problem:
            return str(problem)
        waiting = [batch.name for batch in found if batch.name not in trained]
        if name in waiting:
            return ""
        there = f"there are {', '.join(waiting)}" if waiting else "no batch waits to be trained"
        return f"{clean_line(name)} is no batch that waits: {clean_line(there)}"
