"""The app's process: its terminal, its log, its signals, and the training that goes on when the screen is closed.

The training is one thread of the process. A screen that is left, lost or fails is closed for good: whoever wants to
see the training again opens another app, which follows the journal and sends its commands through the mailbox.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from pathlib import Path
from typing import Any

from opeddev_tui import launch
from opeddev_tui.config.loading import LoadedSettings
from opeddev_tui.demo.about import about, is_demo
from opeddev_tui.errors import Problem
from opeddev_tui.launch import Runner
from opeddev_tui.runs import log as logs
from opeddev_tui.runs.control import StepRequest
from opeddev_tui.terminal.event_loop import new_event_loop
from opeddev_tui.terminal.output import OutputGuard, output_guard
from opeddev_tui.terminal.own_session import Owner, first_terminal
from opeddev_tui.terminal.signals import Received, received
from opeddev_tui.terminal.textual_private import HangupDriver
from opeddev_tui.text import clean_line
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.state.leaving_text import after_leaving
from opeddev_tui.ui.state.training_thread import TrainingThread, traceback_text
from opeddev_tui.ui.state.view import TrainedBy
from opeddev_tui.workspace.lock import who_trains
from opeddev_tui.workspace.paths import Workspace
from opeddev_tui.workspace.typed_commands import reopening

_LOG = logging.getLogger(__name__)
# how the app was left for the demo
DEMO = "demo"
# seconds between two looks at whether a signal arrived and the training has ended since
_LOOK = 0.25
_HUNG_UP = 128 + signal.SIGHUP


def run_app(
    root: Path | None,
    loaded: LoadedSettings,
    owner: Owner | None = None,
    *,
    run: str | None = None,
    start: bool | StepRequest = False,
    read_only: bool = False,
    runner: Runner = launch.train,
) -> int | str:
    """Show the app until it is left and nothing is trained here any more; return the exit code.

    Where there is no workspace yet: ``DEMO``, or the path of the workspace to open, where it was left for that.
    ``owner`` is the process that owns the terminal; None where this one does.
    """
    if first_terminal() is None:
        raise Problem(
            "the app needs a terminal.", cure="Without one: opeddev-tui train, or opeddev-tui train --detach."
        )
    if root is None:
        alone = OpeddevApp(None, loaded, driver_class=HangupDriver, owner=owner)
        result = alone.run()
        if alone.failure is not None:
            raise alone.failure
        opens = str(alone.opens) if alone.opens is not None else ""
        return DEMO if result == "demo" else opens or alone.return_code or 0
    process = AppProcess(Workspace(root, loaded.settings.paths), loaded, TrainingThread(runner), owner)
    return process.run(run=run, start=start, read_only=read_only)


class LastingApp(OpeddevApp):
    """The app with what its process knows: the signals that came."""

    def __init__(self, process: AppProcess, **arguments: Any) -> None:
        super().__init__(
            process.workspace.root,
            process.loaded,
            live=process.live,
            driver_class=HangupDriver,
            owner=process.owner,
            **arguments,
        )
        self._own_process = process
        self._signal_told = False

    def on_mount(self) -> None:
        """Look now and then whether a signal came."""
        self.set_interval(_LOOK, self._look)

    def _look(self) -> None:
        received = self._own_process.signals
        if received is None or received.number is None:
            return
        if not self._own_process.live.running:
            self.exit("quit")
        elif not self._signal_told:
            self._signal_told = True
            self.tell(f"{received.name}: saving, then leaving; a second one leaves at once.")


class AppProcess:
    """One process on one workspace: its training, and the screen for as long as there is one."""

    def __init__(self, workspace: Workspace, loaded: LoadedSettings, live: TrainingThread, owner: Owner | None) -> None:
        self.workspace, self.loaded, self.live, self.owner = workspace, loaded, live, owner
        self.signals: Received | None = None
        self._app: LastingApp | None = None

    def run(self, *, run: str | None, start: bool | StepRequest, read_only: bool) -> int | str:
        """Run the app, then the training to its end; return the exit code, or ``DEMO``."""
        with output_guard(self.workspace.log) as guard:
            logs.to_file(self.workspace.log)
            if is_demo(self.loaded.settings):
                _LOG.info("%s", about(self.workspace.root))
            with received(self.live.stop, self._restore) as self.signals:
                self._app = LastingApp(
                    self, run=run, start=start, read_only=read_only, on_ready=guard.redirect_python_output
                )
                with asyncio.Runner(loop_factory=new_event_loop) as runner:
                    code = runner.run(self._show(self._app, guard))
                self.live.wait()
                return code if self.signals.exit_code is None else self.signals.exit_code

    async def _show(self, app: LastingApp, guard: OutputGuard) -> int | str:
        """Run the app; once it is left, let go of the terminal at once if the training goes on."""
        result = await app.run_async()
        goes_on = self.live.running
        code = 1 if app.failure is not None else _HUNG_UP if result == "lost" else app.return_code or 0
        again = clean_line(reopening(self.workspace.root))
        if app.failure is not None:
            _LOG.error("the screen failed\n%s", traceback_text(app.failure))
            told = f" {self._of_the_training(app, again)}" if goes_on else ""
            guard.tell(f"The screen failed; the traceback is in {self.workspace.log}.{told}\n")
        elif told := self._of_the_training(app, again):
            guard.tell(f"{told}\n")
        if goes_on:
            self.live.queue.abandon()
            guard.leave_terminal()
            if self.owner is not None:
                self.owner.let_go(code)
        return DEMO if result == "demo" else code

    def _of_the_training(self, app: LastingApp, again: str) -> str:
        """Return what becomes of the training that the app showed, in this process or in another one."""
        session, pid = app.session, os.getpid()
        by: TrainedBy = "mine" if self.live.running else "none"
        if by == "none" and session.trained_by == "other" and (holder := who_trains(self.workspace)) is not None:
            by, pid = "other", holder.pid
        # of a run that was stopped in another process, or long ago, nobody asked
        if by == "none" and not session.started_at:
            return ""
        told = after_leaving(
            session.current, by, pid, again, starting=session.starting and by != "none", answered=session.answer_given
        )
        return session.keymap.text(told)

    def _restore(self) -> None:
        if self._app is not None:
            self._app.give_terminal_back()
