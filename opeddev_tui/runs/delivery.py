"""Hand a command to the training of a run in another process, and learn what became of it.

The journal says so; a command that no training took is taken back, so that none is carried out later unasked.
"""

import time
from pathlib import Path
from typing import Literal

from msgspec import Struct

from opeddev_tui.runs.control import AnyCommand, Record, send
from opeddev_tui.runs.events import CommandTaken
from opeddev_tui.runs.journal import JournalReader
from opeddev_tui.runs.mailbox import withdraw
from opeddev_tui.runs.state import RunState
from opeddev_tui.workspace.lock import lock_holder
from opeddev_tui.workspace.paths import Workspace

_LOOK_SECONDS = 0.05

# done: the journal has it. refused: the training said why not. over: no training takes it any more, and it was taken
# back. waiting: it lies in the mailbox of a training that is busy. lost: a training took it and ended
Fate = Literal["done", "refused", "over", "waiting", "lost"]


class Outcome(Struct, frozen=True):
    """What became of a command, and the training's reason where it refused it."""

    fate: Fate
    reason: str = ""


def deliver(workspace: Workspace, run: str, command: AnyCommand, patience: float) -> Outcome:
    """Send ``command`` to the training of ``run`` and wait until its fate is known, for ``patience`` seconds at most.

    Raises ``StorageProblem`` if it cannot be sent.
    """
    folder = workspace.run_folder(run)
    reader, state = JournalReader(folder), RunState()
    path = send(folder, command)
    end = time.monotonic() + patience
    while True:
        # looked at before the journal is read, so that nothing a process wrote before it ended is missed
        alive = lock_holder(workspace) is not None
        found = _told(reader, state, path, command)
        if found is not None:
            return found
        # a run that was interrupted or failed may be the one that the living process is about to resume
        if not alive or state.status == "finished":
            if withdraw(path):
                return Outcome("over")
            if not alive:
                return _told(reader, state, path, command) or Outcome("lost")
        if time.monotonic() >= end:
            return Outcome("waiting")
        time.sleep(_LOOK_SECONDS)


def _told(reader: JournalReader, state: RunState, path: Path, command: AnyCommand) -> Outcome | None:
    """Return the recorded outcome of the command, None while there is none."""
    fact = command.fact if isinstance(command, Record) else None
    for event in reader.read_new():
        state.apply(event)
        if isinstance(event, CommandTaken) and event.id == path.stem:
            return Outcome("done" if event.done else "refused", event.reason)
        if fact is not None and event == fact:
            return Outcome("done")
    return None
