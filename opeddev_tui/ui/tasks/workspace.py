"""Owns the app's work that touches a disk: each piece reads in a thread and hands plain data to the session."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from textual.message import Message

from opeddev_tui.config import loading
from opeddev_tui.errors import Problem
from opeddev_tui.runs.control import AnyCommand, StepRequest
from opeddev_tui.runs.events import AnyEvent
from opeddev_tui.runs.history import status_of
from opeddev_tui.runs.journal import JournalReader
from opeddev_tui.ui.shell import Shell
from opeddev_tui.ui.state.data_scan import scan_data
from opeddev_tui.ui.state.reader import WorkspaceReader
from opeddev_tui.ui.state.training_thread import in_words, traceback_text
from opeddev_tui.ui.state.view import RunRow, Watched
from opeddev_tui.ui.tasks.base import TaskBase

if TYPE_CHECKING:
    from opeddev_tui.checkpoints.recovery import Recovery

T = TypeVar("T")
# seconds between two looks at what other processes do, and at the data folders
FOLLOW_EVERY = 0.25
WATCH_EVERY = 3.0


class CrashFound(Message):
    """The newest run ended unexpectedly: the app asks what to do about it."""

    def __init__(self, found: Recovery) -> None:
        super().__init__()
        self.found = found


class WorkspaceTasks(TaskBase):
    """What the app does in threads. All assignments to the session happen on the event loop."""

    def __init__(self, shell: Shell) -> None:
        super().__init__(shell)
        self._following = False
        self.opened = False

    @property
    def _provider(self) -> WorkspaceReader:
        return self._shell.provider

    # --- opening

    def open(self, run: str | None, start: bool | StepRequest) -> None:
        """Read the workspace: the run on show first, then everything else; then start if asked to."""
        self._go(self._open(run, start), "open", exclusive=True)

    async def _open(self, run: str | None, start: bool | StepRequest) -> None:
        session, provider = self._shell.session, self._provider
        if session.root is None or not await asyncio.to_thread(provider.exists):
            session.has_workspace = session.root is not None and bool(start)
            if not session.has_workspace:
                self.opened = True
                self._shell.show_now()
                return
        latest = await asyncio.to_thread(provider.latest_run)
        await self._open_latest(latest)
        if run and run != latest:
            await self._show_old(run)
        self._shell.show_now()
        found = None if isinstance(start, StepRequest) or self._shell.live.running else await self._find_interrupted()
        if found is not None:
            self._shell.post_message(CrashFound(found))
        elif start and not self._shell.live.running:
            self._shell.start_training(start if isinstance(start, StepRequest) else None)
        self.refresh()
        self._go(self._watch(), "watch", exclusive=True)

    async def _find_interrupted(self) -> Recovery | None:
        """Look what a run that ended unexpectedly left behind; reads every byte of its newest checkpoint."""
        session = self._shell.session
        if session.read_only or session.current.started is None:
            return None
        recovery = await asyncio.to_thread(importlib.import_module, "opeddev_tui.checkpoints.recovery")
        if not recovery.needs_recovery(session.current, alive=session.trained_by != "none"):
            return None
        self._shell.tell("The last run did not end well: reading its newest checkpoint …", severity="warning")
        workspace = self._provider.workspace
        found = await asyncio.to_thread(recovery.examine, workspace, session.current_run, session.current)
        return cast("Recovery", found)

    async def _open_latest(self, run: str) -> None:
        """Show the newest run (empty: there is none yet), and follow whoever else trains it or is about to."""
        session = self._shell.session
        state, reader = await asyncio.to_thread(self._provider.open_run, run)
        found = await asyncio.to_thread(self._provider.watched, state)
        if self._shell.live.running:
            return  # a training was started here meanwhile: it is the one on show
        session.current, session.current_run = state, run
        session.watch(found)
        if session.trained_by == "other":
            self._go(self._follow(reader), "follow", exclusive=True)

    async def _show_old(self, run: str) -> None:
        if not (await asyncio.to_thread(self._provider.workspace.run_folder(run).is_dir)):
            self._shell.tell(f"There is no run {run} here.", severity="error")
            return
        state, _ = await asyncio.to_thread(self._provider.open_run, run)
        self._shell.session.old = RunRow(run, state, status_of(state, alive=False))

    def show_run(self, row: RunRow) -> None:
        """Show a run in the monitor: the newest one live, another one as it was."""
        session = self._shell.session
        session.old = None if row.run == session.current_run else row
        self._shell.action_go("monitor")
        self._shell.show_now()

    # --- following

    async def _follow(self, reader: JournalReader) -> None:
        """Take what a training in another process tells, as long as its run is the newest."""
        session = self._shell.session
        while not self._shell.live.running:
            # before the journal: what grows is over when the journal says so
            found = await asyncio.to_thread(self._provider.watched, session.current)
            self._take(found, await asyncio.to_thread(reader.read_new))
            if session.trained_by != "other":
                self._take(found, await asyncio.to_thread(reader.read_new))
                self.refresh()
                return
            if session.starting:
                latest = await asyncio.to_thread(self._provider.latest_run)
                if latest != session.current_run:
                    self._go(self._begin_run(latest), "follow", exclusive=True)
                    return
            await asyncio.sleep(FOLLOW_EVERY)

    def _take(self, found: Watched, events: list[AnyEvent]) -> None:
        if self._shell.session.watch(found, events):
            self._shell.announce(events)
            self._shell.show_now()

    async def _begin_run(self, run: str) -> None:
        """Follow a run that another process has just begun."""
        await self._open_latest(run)
        self._shell.show_now()
        self.refresh()

    def follow_instead_of_queue(self) -> None:
        """The queue dropped events: read the run from its journal from now on, where nothing is missing."""
        if not self._following:
            self._following = True
            self._go(self._follow_own(), "follow", exclusive=True)

    async def _follow_own(self) -> None:
        session, queue = self._shell.session, self._shell.live.queue
        run = await asyncio.to_thread(self._provider.latest_run)
        if not run:
            return
        state, reader = await asyncio.to_thread(self._provider.open_run, run)
        session.current, session.current_run, session.starting = state, run, False
        self._shell.show_now()
        while self._shell.live.running and self._shell.live.queue is queue:
            await asyncio.sleep(FOLLOW_EVERY)
            events = await asyncio.to_thread(reader.read_new)
            if events:
                session.apply(events)
                self._shell.announce(events)
                # keys count for what is shown
                self._shell.show_now()
        session.apply(await asyncio.to_thread(reader.read_new))
        self._following = False

    async def _watch(self) -> None:
        """Look for new batch folders, and for a training that another process starts."""
        while True:
            await asyncio.sleep(WATCH_EVERY)
            await self._scan()
            session = self._shell.session
            if self._shell.live.running or session.trained_by == "other":
                continue
            latest = await asyncio.to_thread(self._provider.latest_run)
            found = await asyncio.to_thread(self._provider.watched, session.current)
            if latest != session.current_run or found.trained_by == "other":
                await self._begin_run(latest)

    # --- reading

    def refresh(self) -> None:
        """Read the list of runs and the data folders again."""
        self._go(self._refresh(), "refresh", exclusive=True)

    async def _refresh(self) -> None:
        await self._scan()
        rows = await asyncio.to_thread(self._provider.runs)
        self._shell.session.rows = tuple(rows)
        self.opened = True
        self._shell.show_now()

    async def _scan(self) -> None:
        session = self._shell.session
        found = await asyncio.to_thread(scan_data, self._provider.root, session.loaded.settings, session.scan)
        if found is not session.scan:
            session.scan = found
            self._shell.show_now()

    def read_log(self, done: Callable[[list[str]], None]) -> None:
        """Hand the last lines of the log to ``done``."""
        self._go(self._hand(self._provider.log_tail, done), "log", exclusive=True)

    async def _hand(self, read: Callable[[], T], done: Callable[[T], None]) -> None:
        done(await asyncio.to_thread(read))

    # --- writing

    def send(self, run: str, command: AnyCommand) -> None:
        """Leave a command for a training in another process."""
        self._go(self._call(self._provider.send, run, command), "send", exclusive=False)

    async def _call(self, do: Callable[..., object], *arguments: object) -> None:
        await asyncio.to_thread(do, *arguments)

    def log_failure(self, error: BaseException) -> None:
        """Put a failed training's traceback into the log; the cause is on the screen."""
        self._shell.tell(in_words(error), severity="error")
        self._go(self._call(self._provider.append_log, traceback_text(error)), "send", exclusive=False)
        self.refresh()

    def save_settings(self, changes: Mapping[str, Any], failed: Callable[[str], None] | None = None,
                      saved: Callable[[], None] | None = None) -> None:  # fmt: skip
        """Save settings to the app's own file; a value that is not allowed is told by ``failed``."""
        self._go(self._save(changes, failed or self._tell_error, saved), "save", exclusive=True)

    def _tell_error(self, text: str) -> None:
        self._shell.tell(text, severity="error")

    async def _save(
        self, changes: Mapping[str, Any], failed: Callable[[str], None], saved: Callable[[], None] | None
    ) -> None:
        try:
            loaded = await asyncio.to_thread(self._provider.save, changes)
        except Problem as problem:
            failed(str(problem))
            return
        self._shell.loaded = self._shell.session.loaded = loaded
        if saved is not None:
            saved()

    def make_workspace(self) -> None:
        """Make a workspace where the app was started, and open it."""
        self._go(self._make_workspace(), "open", exclusive=True)

    async def _make_workspace(self) -> None:
        root: Path = self._provider.root
        await asyncio.to_thread(self._provider.make_workspace)
        loaded = await asyncio.to_thread(loading.load, root)
        self._shell.provider = WorkspaceReader(root, loaded)
        session = self._shell.session
        self._shell.loaded = session.loaded = loaded
        session.root, session.has_workspace = root, True
        self._shell.tell(f"Made a workspace in {root}.")
        await self._open(None, False)
