"""Owns how ratings and notes reach a run: through its training while it lives, else into its journal, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from opeddev_tui import observations
from opeddev_tui.control import Annotate, Rate, UndoRating, fact_of
from opeddev_tui.errors import Problem
from opeddev_tui.journal import read
from opeddev_tui.state import RunState, reduce

if TYPE_CHECKING:
    from opeddev_tui.ui.app import OpeddevApp

Said = Rate | UndoRating | Annotate
# seconds between two looks whether the training has taken what was said
LOOK_EVERY = 0.05


class Recorder:
    """Hands over one thing after another, each only when the one before is in the journal."""

    def __init__(self, boss: OpeddevApp) -> None:
        self._boss = boss
        self._turn = asyncio.Lock()

    def say(self, run: str, command: Said, *, failed: Callable[[], None] | None = None) -> None:
        """Record ``command`` with ``run``; the screen goes on. A problem is told, then ``failed`` is called."""
        self._boss.run_worker(self._guarded(run, command, failed), group="record", exit_on_error=True)

    async def _guarded(self, run: str, command: Said, failed: Callable[[], None] | None) -> None:
        async with self._turn:
            try:
                await self._deliver(run, command)
            except Problem as problem:
                self._boss.tell(str(problem), severity="error")
                if failed is not None:
                    failed()

    async def _deliver(self, run: str, command: Said) -> None:
        session = self._boss.session
        if self._lives(run):
            before = len(session.current.notes)
            session.request(command)
            while self._lives(run):
                if _taken(session.current, command, before):
                    return
                await asyncio.sleep(LOOK_EVERY)
        # over, or ended before it took this: then its journal lacks it
        if await asyncio.to_thread(self._write, run, command) and session.run == run:
            session.state.apply(fact_of(command))
        self._boss.show_now()

    def _lives(self, run: str) -> bool:
        session = self._boss.session
        return session.current_run == run and session.whose != "none" and not session.current.over

    def _write(self, run: str, command: Said) -> bool:
        """Write the fact into the journal; False if it is there already."""
        workspace = self._boss.provider.workspace
        state = reduce(read(workspace.run_folder(run)))
        known = isinstance(command, Annotate) and any(
            (note.epoch, note.note) == (command.epoch, command.note) for note in state.notes
        )
        if known or (not isinstance(command, Annotate) and _taken(state, command, 0)):
            return False
        observations.record(workspace, run, [fact_of(command)])
        return True


def _taken(state: RunState, command: Said, notes_before: int) -> bool:
    """True when ``state`` shows that ``command`` was recorded."""
    if isinstance(command, Annotate):
        return any(note.note == command.note for note in state.notes[notes_before:])
    rated = state.ratings.get((command.epoch, command.prompt))
    if isinstance(command, UndoRating):
        return rated is None
    return rated is not None and (rated.preferred, rated.round_seed) == (command.preferred, command.round_seed)
