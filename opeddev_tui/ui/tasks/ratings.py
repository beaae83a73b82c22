"""Record ratings and notes of a run: through its training while it lives, else in its journal, in the order given."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from opeddev_tui.errors import Problem
from opeddev_tui.runs import notes
from opeddev_tui.runs.control import Record
from opeddev_tui.runs.events import Annotated, Rated, RatingUndone
from opeddev_tui.runs.journal import read
from opeddev_tui.runs.state import RunState, reduce
from opeddev_tui.ui.shell import Shell
from opeddev_tui.ui.tasks.base import TaskBase, nothing

Fact = Rated | RatingUndone | Annotated
# seconds between two checks whether the training has recorded what it was handed
LOOK_EVERY = 0.05


class Recorder(TaskBase):
    """Hands over one fact after another, each only once the one before is in the journal."""

    def __init__(self, shell: Shell) -> None:
        super().__init__(shell)
        self._turn = asyncio.Lock()

    def record(
        self, run: str, fact: Fact, *, kept: Callable[[], None] = nothing, failed: Callable[[], None] = nothing
    ) -> None:
        """Record ``fact`` of ``run`` beside the screen; ``kept`` is called once the journal has it.

        Where it does not take it, ``failed`` is called, then the problem is shown.
        """
        self._go(partial(self._record, run, fact, kept, failed), "record", exclusive=False)

    async def _record(self, run: str, fact: Fact, kept: Callable[[], None], failed: Callable[[], None]) -> None:
        async with self._turn:
            try:
                await self._deliver(run, fact)
            except (Problem, OSError):
                failed()
                raise
        kept()

    async def _deliver(self, run: str, fact: Fact) -> None:
        session = self._shell.session
        if self._lives(run):
            before = len(session.current.notes)
            session.request(Record(fact))
            while self._lives(run):
                if _taken(session.current, fact, before):
                    return
                await asyncio.sleep(LOOK_EVERY)
        # it is over, or ended before it recorded this: then the journal lacks it
        if await asyncio.to_thread(self._write, run, fact) and session.run == run:
            session.state.apply(fact)
        self._shell.show_now()

    def _lives(self, run: str) -> bool:
        session = self._shell.session
        return session.current_run == run and session.trained_by != "none" and not session.current.over

    def _write(self, run: str, fact: Fact) -> bool:
        """Append the fact to the journal, a note also to its file; return False if it is there already."""
        workspace = self._shell.provider.workspace
        state = reduce(read(workspace.run_folder(run)))
        if _taken(state, fact, 0):
            file = workspace.path(workspace.paths.observations)
            return isinstance(fact, Annotated) and notes.complete_file(file, state, fact)
        notes.record(workspace, run, [fact])
        return True


def _taken(state: RunState, fact: Fact, notes_before: int) -> bool:
    """Return whether ``fact`` was recorded; a note only where it came after the first ``notes_before`` ones."""
    if isinstance(fact, Annotated):
        return any((note.epoch, note.note) == (fact.epoch, fact.note) for note in state.notes[notes_before:])
    rated = state.ratings.get((fact.epoch, fact.prompt))
    if isinstance(fact, RatingUndone):
        return rated is None
    return rated is not None and (rated.preferred, rated.round_seed) == (fact.preferred, fact.round_seed)
