"""Background tasks of the app on its workspace: open it, follow a training, read and save.

Each reads or writes in a thread; the session is changed on the event loop only.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from opeddev_tui.config import loading
from opeddev_tui.errors import Problem
from opeddev_tui.runs.control import AnyCommand, Record, StepRequest, command_words, send
from opeddev_tui.runs.events import AnyEvent, CommandTaken
from opeddev_tui.runs.history import status_of
from opeddev_tui.runs.journal import JournalReader
from opeddev_tui.runs.mailbox import withdraw
from opeddev_tui.ui.shell import Shell
from opeddev_tui.ui.state.data_scan import scan_data
from opeddev_tui.ui.state.reader import WorkspaceReader
from opeddev_tui.ui.state.training_thread import RUNS_ALREADY, in_words, traceback_text
from opeddev_tui.ui.state.view import Refused, RunRow, Watched
from opeddev_tui.ui.tasks.base import TaskBase
from opeddev_tui.ui.tasks.recovery import CrashFound, find_interrupted, refusals, told_of
from opeddev_tui.ui.tasks.settings import SettingsWatch
from opeddev_tui.workspace.setup import make_workspace

# seconds between two readings of another process's journal, and of the data folders
FOLLOW_EVERY = 0.25
WATCH_EVERY = 3.0

# a run with such a status is being trained
IN_PROGRESS = ("starting", "training", "paused", "awaiting")


class WorkspaceTasks(TaskBase):
    """What the app does in threads. ``opened`` is True once the workspace has been read."""

    def __init__(self, shell: Shell) -> None:
        super().__init__(shell)
        self._following = False
        # files of commands that a training in another process has not settled yet
        self._sent: dict[Path, str] = {}
        self.opened = False
        self._settings = SettingsWatch(shell)
        # settings and rows that the outlook is about
        self._looked_at: object = None
        # run, rows and settings of which it is known whether a training would go on with that run
        self._asked: object = None

    @property
    def settings_known(self) -> bool:
        """True once the files of the settings are watched."""
        return self._settings.known

    @property
    def _provider(self) -> WorkspaceReader:
        return self._shell.provider

    # --- opening

    def open(self, run: str | None, start: bool | StepRequest) -> None:
        """Read the workspace, the run on show first; then train if ``start`` asks for it (True: the next step)."""
        self._go(partial(self._open, run, start), "open", exclusive=True)

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
            if await asyncio.to_thread(self._provider.lives, run):
                await self._open_latest(run)
            else:
                await self._show_old(run)
        self._shell.show_now()
        asks_nothing = isinstance(start, StepRequest) or self._shell.live.running
        recovery = None if asks_nothing else await find_interrupted(self._shell)
        if recovery is not None:
            self._shell.post_message(CrashFound(recovery))
        elif start and not self._shell.live.running:
            self._shell.start_training(start if isinstance(start, StepRequest) else None)
        self.refresh()
        self._go(self._watch, "watch", exclusive=True)

    async def _open_latest(self, run: str) -> None:
        """Show the newest run ("": there is none yet), and follow another process that trains it or is about to."""
        session = self._shell.session
        state, reader = await asyncio.to_thread(self._provider.open_run, run)
        watched = await asyncio.to_thread(self._provider.watched, state)
        if self._shell.live.running:
            return  # a training was started here meanwhile: it is the one on show
        session.current, session.current_run = state, run
        session.watch(watched)
        if session.trained_by == "other":
            self._go(partial(self._follow, reader), "follow", exclusive=True)

    async def _show_old(self, run: str) -> None:
        if not (await asyncio.to_thread(self._provider.workspace.run_folder(run).is_dir)):
            self._shell.tell(f"There is no run {run} here.", severity="error")
            return
        state, _ = await asyncio.to_thread(self._provider.open_run, run)
        self._shell.session.old = RunRow(run, state, status_of(state, alive=False))

    def show_run(self, row: RunRow) -> None:
        """Show a run in the monitor: the newest one live, and a seed that is being trained; another one as it was."""
        session = self._shell.session
        if row.run != session.current_run and row.status in IN_PROGRESS and session.trained_by == "other":
            session.old = None
            self._go(partial(self._begin_run, row.run), "follow", exclusive=True)
            self._shell.action_go("monitor")
            return
        session.old = None if row.run == session.current_run else row
        self._shell.action_go("monitor")
        self._shell.show_now()

    # --- following

    async def _follow(self, reader: JournalReader) -> None:
        """Apply what a training in another process records, as long as its run is the newest."""
        session = self._shell.session
        while not self._shell.live.running:
            # before the journal: texts that are being written are complete once the journal says so
            watched = await asyncio.to_thread(self._provider.watched, session.current)
            self._take(watched, await asyncio.to_thread(reader.read_new))
            if session.trained_by != "other":
                self._take(watched, await asyncio.to_thread(reader.read_new))
                self.refresh()
                return
            if session.starting:
                latest = await asyncio.to_thread(self._provider.latest_run)
                if latest != session.current_run:
                    self._go(partial(self._begin_run, latest), "follow", exclusive=True)
                    return
            await asyncio.sleep(FOLLOW_EVERY)

    def _take(self, watched: Watched, events: list[AnyEvent]) -> None:
        if self._shell.session.watch(watched, events):
            self._shell.announce(events)
            self._shell.show_now()
        self._look_after_sent(events)

    async def _begin_run(self, run: str) -> None:
        """Follow a run that another process has just begun."""
        await self._open_latest(run)
        self._shell.show_now()
        self.refresh()

    def follow_instead_of_start(self, busy: BaseException) -> None:
        """Show the training because of which a start was refused; say why it was, where it cannot be followed yet."""
        self._go(partial(self._follow_busy, in_words(busy)), "busy", exclusive=True)

    async def _follow_busy(self, refused: str) -> None:
        await self._begin_run(await asyncio.to_thread(self._provider.latest_run))
        followed = self._shell.session.trained_by == "other"
        self._shell.tell(RUNS_ALREADY if followed else refused, severity="information" if followed else "warning")

    def follow_instead_of_queue(self) -> None:
        """Read the run from its journal from now on: the queue dropped events, the journal has all of them."""
        if not self._following:
            self._following = True
            self._go(self._follow_own, "follow", exclusive=True)

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
                # a key is meant for what is on the screen
                self._shell.show_now()
        session.apply(await asyncio.to_thread(reader.read_new))
        self._following = False

    async def _watch(self) -> None:
        """Look for new batch folders, and for a training that another process starts."""
        while True:
            await self._settings.look()
            await self._scan()
            await self._look_whether_refused()
            await asyncio.sleep(WATCH_EVERY)
            session = self._shell.session
            if self._shell.live.running or session.trained_by == "other":
                continue
            latest = await asyncio.to_thread(self._provider.latest_run)
            watched = await asyncio.to_thread(self._provider.watched, session.current)
            if latest != session.current_run or watched.trained_by == "other":
                await self._begin_run(latest)

    # --- reading

    def refresh(self) -> None:
        """Read the list of runs and the data folders again."""
        self._go(self._refresh, "refresh", exclusive=True)

    async def _refresh(self) -> None:
        await self._scan()
        session, provider = self._shell.session, self._provider
        session.rows = tuple(await asyncio.to_thread(provider.runs))
        session.undecided = await asyncio.to_thread(provider.undecided)
        newest = next((row.state for row in session.rows if row.run == session.current_run), session.current)
        if session.trained_by == "none" and newest.events > session.current.events:
            # a seed that was taken, or a note of another process: nobody follows a run that is over
            session.current = newest
        await self._look_whether_refused()
        self.opened = True
        self._shell.show_now()

    async def _scan(self) -> None:
        session = self._shell.session
        scan = await asyncio.to_thread(scan_data, self._provider.root, session.loaded.settings, session.scan)
        if scan is not session.scan:
            session.scan = scan
            self._shell.show_now()
        await self._look_ahead()

    async def _look_ahead(self) -> None:
        """Look at the model that would be trained, again only where a setting has changed."""
        session = self._shell.session
        settings = session.loaded.settings
        rows = sum(row.rows or 0 for row in session.scan.rows[:1]) if session.scan is not None else 0
        about = (settings, rows)
        if about == self._looked_at or self._shell.live.running or session.trained_by == "other":
            return
        self._looked_at = about
        module = await asyncio.to_thread(importlib.import_module, "opeddev_tui.models.outlook")
        session.outlook = await asyncio.to_thread(module.outlook, self._provider.root, settings, rows)
        self._shell.show_now()

    async def _look_whether_refused(self) -> None:
        """Find out whether a training would go on with its run; again only where that, a row or a setting changed."""
        session = self._shell.session
        following = session.view().following
        run = following.resumes if following is not None else ""
        about = (run, session.scan.stamp if session.scan is not None else (), session.loaded.settings)
        if about == self._asked or self._shell.live.running or session.trained_by == "other":
            return
        found = Refused()
        if run:
            found = told_of(run, await refusals(self._provider.workspace, session.loaded.settings, run))
        # only now: what looks may be replaced while it reads
        self._asked = about
        if session.refused != found:
            session.refused = found
            self._shell.show_now()

    def read_log(self, done: Callable[[list[str]], None]) -> None:
        """Hand the last lines of the log to ``done``."""
        self._in_thread("log", self._provider.log_tail, done, exclusive=True)

    # --- writing

    def send(self, run: str, command: AnyCommand) -> None:
        """Leave a command for a training in another process; what became of it is shown, unless it was carried out."""

        def sent(path: Path) -> None:
            # a fact has a recorder that waits for it
            if not isinstance(command, Record):
                self._sent[path] = type(command).__name__

        self._in_thread("send", partial(send, self._provider.workspace.run_folder(run), command), sent)

    def _look_after_sent(self, events: list[AnyEvent]) -> None:
        """Forget commands that the training settled; take back what it can no longer take, and say so."""
        settled = {event.id for event in events if isinstance(event, CommandTaken)}
        self._sent = {path: name for path, name in self._sent.items() if path.stem not in settled}
        session = self._shell.session
        if self._sent and (session.trained_by != "other" or session.current.over):
            left, self._sent = self._sent, {}
            self._in_thread("send", partial(_taken_back, left), self._tell_untaken)

    def _tell_untaken(self, names: list[str]) -> None:
        self._shell.session.requested.clear()
        for name in names:
            self._shell.tell(f"{command_words(name)}: not taken. The training ended first.", severity="warning")
        self._shell.show_now()

    def log_failure(self, error: BaseException) -> None:
        """Write the traceback of a failed training to the log and show its cause."""
        self._shell.tell(in_words(error), severity="error")
        self._in_thread("send", partial(self._provider.append_log, traceback_text(error)))
        self.refresh()

    def save_settings(
        self,
        changes: Mapping[str, Any],
        failed: Callable[[str], None] | None = None,
        saved: Callable[[], None] | None = None,
    ) -> None:
        """Save settings to the app's own file; ``failed`` gets the reason where a value is not allowed."""

        async def work() -> None:
            try:
                before = await asyncio.to_thread(self._provider.saved, changes)
                loaded = await asyncio.to_thread(self._provider.save, changes)
            except Problem as problem:
                if failed is None:
                    raise
                failed(str(problem))
                return
            # what changed nothing takes no undo away
            self._shell.session.saved_before = before if before != changes else self._shell.session.saved_before
            self._settings.own_change()
            self._shell.use_settings(loaded)
            if saved is not None:
                saved()

        self._go(work, "save", exclusive=True)

    def make_workspace(self) -> None:
        """Make a workspace where the app was started, and open it."""
        self._go(self._make_workspace, "open", exclusive=True)

    async def _make_workspace(self) -> None:
        root = self._provider.root
        await asyncio.to_thread(make_workspace, root)
        loaded = await asyncio.to_thread(loading.load, root)
        self._shell.provider = WorkspaceReader(root, loaded)
        session = self._shell.session
        self._shell.loaded = session.loaded = loaded
        session.root, session.has_workspace = root, True
        self._shell.tell(f"Made a workspace in {root}.")
        await self._open(None, False)


def _taken_back(sent: dict[Path, str]) -> list[str]:
    """Take back what nobody claimed, and return it; a claimed command is in the journal or reported by a resume."""
    return [name for path, name in sent.items() if withdraw(path)]
