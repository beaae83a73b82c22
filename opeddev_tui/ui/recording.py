"""Owns how ratings and notes reach a run: through its training while it lives, else into its journal, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from opeddev_tui import observations
from opeddev_tui.control import Record
from opeddev_tui.errors import Problem
from opeddev_tui.events import Annotated, Rated, RatingUndone
from opeddev_tui.journal import read
from opeddev_tui.state import RunState, reduce

if TYPE_CHECKING:
    from opeddev_tui.ui.app import OpeddevApp

Fact = Rated | RatingUndone | Annotated
# seconds between two looks whether the training has taken what was said
LOOK_EVERY = 0.05


class Recorder:
    """Hands over one thing after another, each only when the one before is in the journal."""

    def __init__(self, boss: OpeddevApp) -> None:
        self._boss = boss
        self._turn = asyncio.Lock()

    def say(self, run: str, fact: Fact, *, failed: Callable[[], None] | None = None) -> None:
        """Record ``fact`` with ``run``; the screen goes on. A problem is told, then ``failed`` is called."""
        self._boss.run_worker(self._guarded(run, fact, failed), group="record", exit_on_error=True)

    async def _guarded(self, run: str, fact: Fact, failed: Callable[[], None] | None) -> None:
        async with self._turn:
            try:
                await self._deliver(run, fact)
            except Problem as problem:
                self._boss.tell(str(problem), severity="error")
                if failed is not None:
                    failed()

    async def _deliver(self, run: str, fact: Fact) -> None:
        session = self._boss.session
        if self._lives(run):
            before = len(session.current.notes)
            session.request(Record(fact))
            while self._lives(run):
                if _taken(session.current, fact, before):
                    return
                await asyncio.sleep(LOOK_EVERY)
        # over, or ended before it took this: then its journal lacks it
        if await asyncio.to_thread(self._write, run, fact) and session.run == run:
            session.state.apply(fact)
        self._boss.show_now()

    def _lives(self, run: str) -> bool:
        session = self._boss.session
        return session.current_run == run and session.whose != "none" and not session.current.over

    def _write(self, run: str, fact: Fact) -> bool:
        """Write the fact into the journal; False if it is there already."""
        workspace = self._boss.provider.workspace
        state = reduce(read(workspace.run_folder(run)))
        known = isinstance(fact, Annotated) and any(
            (note.epoch, note.note) == (fact.epoch, fact.note) for note in state.notes
        )
        if known or (not isinstance(fact, Annotated) and _taken(state, fact, 0)):
            return False
        observations.record(workspace, run, [fact])
        return True


def _taken(state: RunState, fact: Fact, notes_before: int) -> bool:
    """True when ``state`` shows that ``fact`` was recorded."""
    if isinstance(fact, Annotated):
        return any(note.note == fact.note for note in state.notes[notes_before:])
    rated = state.ratings.get((fact.epoch, fact.prompt))
    if isinstance(fact, RatingUndone):
        return rated is None
    return rated is not None and (rated.preferred, rated.round_seed) == (fact.preferred, fact.round_seed)
