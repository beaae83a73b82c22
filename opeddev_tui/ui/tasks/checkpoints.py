"""Owns the browser's work in threads: reading, verifying, pinning, deleting, exporting, scoring.

Models are loaded here only, when a person asks for it, and never on the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from opeddev_tui.checkpoints import catalog, pruning
from opeddev_tui.checkpoints import folders as checkpoints
from opeddev_tui.checkpoints.catalog import CheckpointList, Entry, read_checkpoint_list
from opeddev_tui.config.settings import Settings
from opeddev_tui.ui.tasks.base import TaskBase
from opeddev_tui.workspace.paths import Workspace


class Model(Protocol):
    """A checkpoint in memory."""

    def stream(self, prompt: str) -> Iterator[str]:
        """Yield pieces of an answer."""

    def holdout_loss(self, workspace: Workspace) -> float:
        """Return the hold-out loss."""


def load_model(source: str, settings: Settings) -> Model:
    """Load a checkpoint for trying it; takes seconds. Call it in a thread."""
    from opeddev_tui.models.inference import LoadedModel

    return LoadedModel(source, settings)


class CheckpointTasks(TaskBase):
    """What the browser does in threads; results are handed over on the event loop, problems are told."""

    @property
    def workspace(self) -> Workspace:
        """The paths of the workspace on show."""
        return self._shell.provider.workspace

    @property
    def settings(self) -> Settings:
        """The settings as they are now."""
        return self._shell.loaded.settings

    def read(self, done: Callable[[CheckpointList], None]) -> None:
        """Read the shelf; a newer call replaces an older one."""

        async def work() -> None:
            if not self._shell.session.read_only:
                await asyncio.to_thread(self.workspace.adopt)
            done(await asyncio.to_thread(read_checkpoint_list, self.workspace, self.settings))

        self._go(work(), "shelf", exclusive=True)

    def verify(self, entries: Sequence[Entry], found: Callable[[Entry, list[str]], None]) -> None:
        """Read every byte of ``entries``, one after the other."""

        async def work() -> None:
            for entry in entries:
                found(entry, await asyncio.to_thread(checkpoints.problems_of, entry.folder))

        self._go(work(), "verify", exclusive=False)

    def annotate(
        self, entry: Entry, done: Callable[[], None], *, pinned: bool | None = None, note: str | None = None
    ) -> None:
        """Pin, unpin or note."""

        async def work() -> None:
            await asyncio.to_thread(catalog.annotate, self.workspace, entry, pinned=pinned, note=note)
            done()

        self._go(work(), "annotate", exclusive=False)

    def plan(self, wanted: Sequence[Entry] | None, done: Callable[[pruning.Removal], None]) -> None:
        """Find out what a deletion would do, on the disk as it is now; None means everything that nothing needs."""

        async def work() -> None:
            done(await asyncio.to_thread(self._plan, wanted))

        self._go(work(), "plan", exclusive=True)

    def _plan(self, wanted: Sequence[Entry] | None) -> pruning.Removal:
        entries = catalog.list_entries(self.workspace)
        folders = None if wanted is None else {entry.folder for entry in wanted}
        if folders is None:
            return pruning.plan_removal(entries, None, pruning.list_aside(self.workspace))
        return pruning.plan_removal(entries, [entry for entry in entries if entry.folder in folders])

    def remove(self, shown: pruning.Removal, done: Callable[[int], None]) -> None:
        """Delete what was shown and still may go; ``done`` learns how many bytes were freed."""

        async def work() -> None:
            done(await asyncio.to_thread(self._remove, shown))

        self._go(work(), "remove", exclusive=False)

    def _remove(self, shown: pruning.Removal) -> int:
        # a training may have made one of them a parent or the best since it was shown
        left = pruning.still_aside(shown.aside)
        still = replace(self._plan(shown.goes), aside=[item for item in shown.aside if item.folder in left])
        pruning.carry_out(still)
        return still.freed

    def export(self, entry: Entry, target: Path, done: Callable[[Path], None]) -> None:
        """Write a model folder."""

        async def work() -> None:
            done(await asyncio.to_thread(self._export, entry, target))

        self._go(work(), "model", exclusive=False)

    def _export(self, entry: Entry, target: Path) -> Path:
        from opeddev_tui.models.export import export
        from opeddev_tui.runs.history import read_run

        return export(entry, read_run(self.workspace, entry.run), self.settings, target)

    def score(self, entry: Entry, done: Callable[[float], None]) -> None:
        """Score a checkpoint on the hold-out."""

        async def work() -> None:
            done(await asyncio.to_thread(self._score, entry))

        self._go(work(), "model", exclusive=False)

    def _score(self, entry: Entry) -> float:
        return load_model(str(entry.folder), self.settings).holdout_loss(self.workspace)
