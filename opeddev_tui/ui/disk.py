"""Owns the app's work that touches a disk: each piece reads in a thread and hands plain data to the session."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from opeddev_tui import config
from opeddev_tui.control import AnyCommand, StepRequest
from opeddev_tui.errors import Problem
from opeddev_tui.journal import JournalReader
from opeddev_tui.ui.live import in_words, traceback_text
from opeddev_tui.ui.provider import Provider
from opeddev_tui.ui.scan import scan_data
from opeddev_tui.ui.view import RunRow

if TYPE_CHECKING:
    from opeddev_tui.recovery import Recovery
    from opeddev_tui.ui.app import OpeddevApp

T = TypeVar("T")
# seconds between two looks at what other processes do, and at the data folders
FOLLOW_EVERY = 0.25
WATCH_EVERY = 3.0


class DiskWork:
    """What the app does in threads. All assignments to the session happen on the event loop."""

    def __init__(self, app: OpeddevApp) -> None:
        self._app = app
        self._following = False
        self.opened = False

    @property
    def _provider(self) -> Provider:
        return self._app.provider

    def _go(self, work: Coroutine[Any, Any, None], group: str) -> None:
        self._app.run_worker(self._guarded(work), group=group, exclusive=group != "send")

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """Tell a problem with the disk instead of ending the app."""
        try:
            await work
        except Problem as problem:
            self._app.tell(str(problem), severity="error")
        except OSError as error:
            self._app.tell(f"{error.filename or 'A file'}: {error.strerror or error}", severity="error")

    # --- opening

    def open(self, run: str | None, start: bool | StepRequest) -> None:
        """Read the workspace: the run on show first, then everything else; then start if asked to."""
        self._go(self._open(run, start), "open")

    async def _open(self, run: str | None, start: bool | StepRequest) -> None:
        session, provider = self._app.session, self._provider
        if session.root is None or not await asyncio.to_thread(provider.exists):
            session.has_workspace = session.root is not None and bool(start)
            if not session.has_workspace:
                self.opened = True
                self._app.show_now()
                return
        latest = await asyncio.to_thread(provider.latest_run)
        if latest:
            await self._open_latest(latest)
        if run and run != latest:
            await self._show_old(run)
        self._app.show_now()
        found = None if isinstance(start, StepRequest) or self._app.live.running else await self._find_crash()
        if found is not None:
            from opeddev_tui.ui.screens.recovery import ask

            ask(self._app, found)
        elif start and not self._app.live.running:
            self._app.start_training(start if isinstance(start, StepRequest) else None)
        self.refresh()
        self._go(self._watch(), "watch")

    async def _find_crash(self) -> Recovery | None:
        """Look what a run that ended without a word left behind; reads every byte of its newest checkpoint."""
        session = self._app.session
        if session.read_only or session.current.started is None:
            return None
        recovery = await asyncio.to_thread(importlib.import_module, "opeddev_tui.recovery")
        if not recovery.crashed(session.current, alive=session.whose != "none"):
            return None
        self._app.tell("The last run did not end well: reading its newest checkpoint …", severity="warning")
        workspace = self._provider.workspace
        found = await asyncio.to_thread(recovery.examine, workspace, session.current_run, session.current)
        return cast("Recovery", found)

    async def _open_latest(self, run: str) -> None:
        session = self._app.session
        state, reader = await asyncio.to_thread(self._provider.open_run, run)
        session.current, session.current_run = state, run
        session.whose = await asyncio.to_thread(self._provider.trained_by, state)
        if session.whose == "other":
            self._go(self._follow(reader), "follow")

    async def _show_old(self, run: str) -> None:
        if not (await asyncio.to_thread(self._provider.workspace.run_folder(run).is_dir)):
            self._app.tell(f"There is no run {run} here.", severity="error")
            return
        state, _ = await asyncio.to_thread(self._provider.open_run, run)
        self._app.session.old = RunRow(run, state, state.status)

    def show_run(self, row: RunRow) -> None:
        """Show a run in the monitor: the newest one live, another one as it was."""
        session = self._app.session
        session.old = None if row.run == session.current_run else row
        self._app.action_go("monitor")
        self._app.show_now()

    # --- following

    async def _follow(self, reader: JournalReader) -> None:
        """Take the events of a run in another process, as long as it is on show as the newest."""
        session = self._app.session
        while not self._app.live.running:
            events = await asyncio.to_thread(reader.read_new)
            if events:
                session.apply(events)
                self._app.show_now()
            session.whose = await asyncio.to_thread(self._provider.trained_by, session.current)
            if session.whose != "other":
                session.apply(await asyncio.to_thread(reader.read_new))
                self.refresh()
                return
            await asyncio.sleep(FOLLOW_EVERY)

    def follow_instead_of_queue(self) -> None:
        """The queue dropped events: read the run from its journal from now on, where nothing is missing."""
        if not self._following:
            self._following = True
            self._go(self._follow_own(), "follow")

    async def _follow_own(self) -> None:
        session, queue = self._app.session, self._app.live.queue
        run = await asyncio.to_thread(self._provider.latest_run)
        if not run:
            return
        state, reader = await asyncio.to_thread(self._provider.open_run, run)
        session.current, session.current_run, session.starting = state, run, False
        while self._app.live.running and self._app.live.queue is queue:
            await asyncio.sleep(FOLLOW_EVERY)
            events = await asyncio.to_thread(reader.read_new)
            session.apply(events)
            self._app.announcer.tell(events)
        session.apply(await asyncio.to_thread(reader.read_new))
        self._following = False

    async def _watch(self) -> None:
        """Look for new batch folders, and for a training that another process starts."""
        while True:
            await asyncio.sleep(WATCH_EVERY)
            await self._scan()
            session = self._app.session
            if self._app.live.running or session.whose == "other":
                continue
            latest = await asyncio.to_thread(self._provider.latest_run)
            if latest and latest != session.current_run:
                await self._open_latest(latest)
                self.refresh()

    # --- reading

    def refresh(self) -> None:
        """Read the list of runs and the data folders again."""
        self._go(self._refresh(), "refresh")

    async def _refresh(self) -> None:
        await self._scan()
        rows = await asyncio.to_thread(self._provider.runs)
        self._app.session.rows = tuple(rows)
        self.opened = True
        self._app.show_now()

    async def _scan(self) -> None:
        session = self._app.session
        found = await asyncio.to_thread(scan_data, self._provider.root, session.loaded.settings, session.scan)
        if found is not session.scan:
            session.scan = found
            self._app.show_now()

    def read_log(self, done: Callable[[list[str]], None]) -> None:
        """Hand the last lines of the log to ``done``."""
        self._go(self._hand(self._provider.log_tail, done), "log")

    async def _hand(self, read: Callable[[], T], done: Callable[[T], None]) -> None:
        done(await asyncio.to_thread(read))

    # --- writing

    def send(self, run: str, command: AnyCommand) -> None:
        """Leave a command for a training in another process."""
        self._go(self._call(self._provider.send, run, command), "send")

    async def _call(self, do: Callable[..., object], *arguments: object) -> None:
        await asyncio.to_thread(do, *arguments)

    def log_failure(self, error: BaseException) -> None:
        """Put a failed training's traceback into the log; the cause is on the screen."""
        self._app.tell(in_words(error), severity="error")
        self._go(self._call(self._provider.append_log, traceback_text(error)), "send")
        self.refresh()

    def save_settings(self, changes: Mapping[str, Any], failed: Callable[[str], None] | None = None,
                      saved: Callable[[], None] | None = None) -> None:  # fmt: skip
        """Save settings to the app's own file; a value that is not allowed is told by ``failed``."""
        self._go(self._save(changes, failed or self._tell_error, saved), "save")

    def _tell_error(self, text: str) -> None:
        self._app.tell(text, severity="error")

    async def _save(
        self, changes: Mapping[str, Any], failed: Callable[[str], None], saved: Callable[[], None] | None
    ) -> None:
        try:
            loaded = await asyncio.to_thread(self._provider.save, changes)
        except Problem as problem:
            failed(str(problem))
            return
        self._app.loaded = self._app.session.loaded = loaded
        if saved is not None:
            saved()

    def make_workspace(self) -> None:
        """Make a workspace where the app was started, and open it."""
        self._go(self._make_workspace(), "open")

    async def _make_workspace(self) -> None:
        root: Path = self._provider.root
        await asyncio.to_thread(self._provider.make_workspace)
        loaded = await asyncio.to_thread(config.load, root)
        self._app.provider = Provider(root, loaded)
        session = self._app.session
        self._app.loaded = session.loaded = loaded
        session.root, session.has_workspace = root, True
        self._app.tell(f"Made a workspace in {root}.")
        await self._open(None, False)
