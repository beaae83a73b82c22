"""Background tasks of the checkpoint browser: read, verify, annotate, delete, export, score.

Only these load models in the app, when a person asks for it, and never on the event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from opeddev_tui.checkpoints import catalog, pins, pruning
from opeddev_tui.checkpoints.catalog import CheckpointList, Entry, read_checkpoint_list
from opeddev_tui.config.settings import Settings
from opeddev_tui.data.rows import Message
from opeddev_tui.ui.tasks.base import TaskBase
from opeddev_tui.workspace.paths import Workspace

_LOG = logging.getLogger(__name__)


class Model(Protocol):
    """A checkpoint in memory; ``scored_on`` is the fingerprint of the hold-out it was scored on last."""

    scored_on: str

    def answer(self, messages: Sequence[Message]) -> Iterator[str]:
        """Yield pieces of the answer to a prompt, its system message included."""

    def holdout_loss(self, workspace: Workspace) -> float:
        """Return the hold-out loss in nats per token."""


def load_model(source: str, settings: Settings) -> Model:
    """Load a checkpoint to try it; takes seconds, so call it in a thread."""
    from opeddev_tui.models.inference import LoadedModel

    return LoadedModel(source, settings)


class CheckpointTasks(TaskBase):
    """What the browser does in threads; results arrive on the event loop, problems are shown."""

    @property
    def workspace(self) -> Workspace:
        """The paths of the workspace on show."""
        return self._shell.provider.workspace

    @property
    def settings(self) -> Settings:
        """The settings as they are now."""
        return self._shell.loaded.settings

    def read(self, done: Callable[[CheckpointList], None]) -> None:
        """Read all checkpoints; a newer call replaces an older one."""
        self._in_thread("shelf", self._read, done, exclusive=True)

    def _read(self) -> CheckpointList:
        if not self._shell.session.read_only:
            self.workspace.adopt()
        return read_checkpoint_list(self.workspace, self.settings)

    def verify(
        self, entries: Sequence[Entry], verified: Callable[[Entry, list[str]], None], done: Callable[[], None]
    ) -> None:
        """Read every byte of ``entries``, one after the other; ``verified`` gets the problems of each."""

        async def work() -> None:
            for entry in entries:
                verified(entry, await asyncio.to_thread(catalog.problems_of, entry))
            done()

        self._go(work, "verify", exclusive=False)

    def annotate(
        self, entry: Entry, done: Callable[[], None], *, pinned: bool | None = None, note: str | None = None
    ) -> None:
        """Pin or unpin ``entry``, or write a note on it; None leaves that as it is."""
        write = partial(pins.annotate, self.workspace, entry.name, pinned=pinned, note=note)
        self._in_thread("annotate", write, lambda _: done())

    def plan(self, entries: Sequence[Entry] | None, done: Callable[[pruning.Removal], None]) -> None:
        """Plan a deletion of ``entries``, on the disk as it is now; None means all that nothing needs."""
        self._in_thread("plan", partial(self._plan, entries), done, exclusive=True)

    def _plan(self, entries: Sequence[Entry] | None) -> pruning.Removal:
        existing = catalog.list_entries(self.workspace)
        if entries is None:
            return pruning.plan_removal(existing, None, pruning.list_aside(self.workspace))
        folders = {entry.folder for entry in entries}
        return pruning.plan_removal(existing, [entry for entry in existing if entry.folder in folders])

    def remove(self, shown: pruning.Removal, done: Callable[[int], None]) -> None:
        """Delete what was shown and may still be deleted; ``done`` gets the number of bytes freed."""
        self._in_thread("remove", partial(self._remove, shown), done)

    def _remove(self, shown: pruning.Removal) -> int:
        # a training may have made one of them a parent or the best since it was shown
        left = pruning.still_aside(shown.aside)
        still = replace(self._plan(shown.goes), aside=[item for item in shown.aside if item.folder in left])
        return pruning.carry_out(still).freed

    def export(self, entry: Entry, target: Path, done: Callable[[list[str]], None]) -> None:
        """Write ``entry`` as a model folder to ``target``; ``done`` gets sentences on it."""
        self._in_thread("model", lambda: self._export(entry, target), done)

    def _export(self, entry: Entry, target: Path) -> list[str]:
        from opeddev_tui.exporting.folder import commands, export, told

        exported = export(self.workspace, entry, self.settings, target)
        lines = [*told(entry, exported), *commands(self.workspace.root, entry, exported)]
        for line in lines:
            _LOG.info("%s", line)
        return lines

    def score(self, entry: Entry, done: Callable[[float, str], None]) -> None:
        """Score ``entry`` on the hold-out; ``done`` gets the loss and the hold-out's fingerprint."""
        self._in_thread("model", partial(self._score, entry), lambda found: done(*found))

    def _score(self, entry: Entry) -> tuple[float, str]:
        model = load_model(str(entry.folder), self.settings)
        return model.holdout_loss(self.workspace), model.scored_on
