"""Owns the app's process from the command line: its terminal, its log, its signals, what goes on without a screen.

The training is one thread of the process; screens come and go around it. A terminal that is lost leaves the app
without one (``driver``); an app that fails is replaced by a fresh one that waits for ``attach``.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

from textual.driver import Driver

from opeddev_tui import logs
from opeddev_tui.config import LoadedSettings
from opeddev_tui.control import StepRequest
from opeddev_tui.errors import Problem
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.driver import DetachableDriver, make_driver
from opeddev_tui.ui.live import Live, Runner, engine_runner, traceback_text
from opeddev_tui.ui.presence import Presence, reach
from opeddev_tui.ui.signals import Received, received
from opeddev_tui.ui.terminal import OutputGuard, output_guard
from opeddev_tui.ui.terminal_link import first_terminal
from opeddev_tui.ui.turns import new_event_loop
from opeddev_tui.workspace import Workspace

_LOG = logging.getLogger(__name__)
# seconds between two looks at whether anything is left to stay for
_LOOK = 0.25
# a screen that fails this often is given up; the training goes on without
_MOST_FAILURES = 5


def run_app(
    root: Path | None,
    loaded: LoadedSettings,
    *,
    run: str | None = None,
    start: bool | StepRequest = False,
    read_only: bool = False,
    detached: bool = False,
    runner: Runner = engine_runner,
) -> int:
    """Show the app until it is left and nothing is trained any more; return the exit code.

    ``detached`` begins without a terminal and ends by itself with the training, unless somebody attached.
    """
    if not detached and first_terminal() is None:
        raise Problem(
            "the app needs a terminal.", cure="Without one: opeddev-tui train, or opeddev-tui train --detach."
        )
    if root is None:
        alone = OpeddevApp(None, loaded)
        return _run_demo() if alone.run() == "demo" else alone.return_code or 0
    workspace = Workspace(root, loaded.settings.paths)
    other = reach(workspace)
    viewing = other is not None and other.attachable
    house = House(workspace, loaded, Live(runner), read_only=read_only, viewing=viewing)
    result = house.run(run=run, start=start, detached=detached)
    if result == "demo":
        return _run_demo()
    if result == "attach":
        from opeddev_tui.ui.attach import attach

        return attach(workspace.socket)
    if result == "reopen":
        return run_app(root, loaded)
    return house.exit_code(detached)


class LastingApp(OpeddevApp):
    """The app that stays while there is something to stay for."""

    def __init__(self, house: House, **arguments: Any) -> None:
        super().__init__(house.workspace.root, house.loaded, live=house.live, **arguments)
        self._house = house
        self._signal_told = self._told = False
        self.session.viewing = house.viewing

    @property
    def failure(self) -> Exception | None:
        """What ended the app, None if it was left."""
        return self._exception

    def on_mount(self) -> None:
        """Look now and then whether to stay."""
        self.set_interval(_LOOK, self._look)
        if self._house.presence.record.failure:
            self.call_after_refresh(
                self.tell, f"The screen failed before: {self._house.presence.record.failure}", severity="error"
            )

    def _look(self) -> None:
        house = self._house
        if house.live.running and not self._told:
            self._told = True
            house.presence.tell()
        if house.live.running:
            if house.signals is not None and house.signals.number is not None and not self._signal_told:
                self._signal_told = True
                self.tell(f"{house.signals.name}: saving, then leaving; a second one leaves at once.")
            return
        signalled = house.signals is not None and house.signals.number is not None
        alone = not house.read_only and self.disk.opened and not house.presence.attached
        if signalled or alone:
            self.exit("quit")

    def let_go(self) -> bool:
        """Leave the terminal and go on without one."""
        driver = self._driver
        if not isinstance(driver, DetachableDriver):
            return False
        driver.let_go()
        return True

    def give_terminal_back(self) -> None:
        """Restore the terminal now, from a signal handler."""
        if self._driver is not None:
            self._driver.stop_application_mode()

    def _fatal_error(self) -> None:
        # Textual would print all local variables; the plain traceback goes to the log
        self._close_messages_no_wait()


class House:
    """One process on one workspace: its training, and the apps around it one after the other."""

    def __init__(
        self, workspace: Workspace, loaded: LoadedSettings, live: Live, *, read_only: bool, viewing: bool
    ) -> None:
        self.workspace, self.loaded, self.live = workspace, loaded, live
        self.read_only, self.viewing = read_only or viewing, viewing
        self.presence = Presence(workspace, silent=self.read_only)
        self.signals: Received | None = None
        self._app: LastingApp | None = None
        self._failures = 0

    def run(self, *, run: str | None, start: bool | StepRequest, detached: bool) -> str | None:
        """Run apps until one is left and the training has ended."""
        with output_guard(self.workspace.log) as guard:
            logs.to_file(self.workspace.log)
            try:
                with received(self.live, self._restore) as self.signals:
                    return self._run_apps(guard, run=run, start=start, detached=detached)
            finally:
                self.presence.close()

    def _run_apps(
        self, guard: OutputGuard, *, run: str | None, start: bool | StepRequest, detached: bool
    ) -> str | None:
        while True:
            self._app = LastingApp(
                self,
                run=run,
                start=start,
                read_only=self.read_only,
                driver_class=self._driver(detached),
                on_ready=guard.redirect_python_output,
            )
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                result = runner.run(self._app.run_async())
            failure = self._app.failure
            if failure is not None:
                self._note(failure, guard)
            if failure is None or not self.live.running or self._failures >= _MOST_FAILURES:
                break
            self.live.queue.abandon()
            start, detached = False, True
        self.live.wait()
        return "failed" if failure is not None else result

    def _driver(self, detached: bool) -> type[Driver] | None:
        """Return the driver of an app that may train; a view ends with its terminal, as any program."""
        if self.read_only:
            return None
        return make_driver(self.workspace.socket, self.presence.changed, detached=detached)

    def _note(self, failure: Exception, guard: OutputGuard) -> None:
        """Write the traceback down and tell the terminal in one sentence."""
        self._failures += 1
        _LOG.error("the screen failed\n%s", traceback_text(failure))
        words = f"{type(failure).__name__}: {failure}"[:300]
        self.presence.failed(words)
        goes_on = " The training goes on; see it with: opeddev-tui attach." if self.live.running else ""
        guard.tell(f"The screen failed; the traceback is in {self.workspace.log}.{goes_on}\n")

    def _restore(self) -> None:
        if self._app is not None:
            self._app.give_terminal_back()

    def exit_code(self, detached: bool) -> int:
        """Return that of the signal, else of what failed."""
        if self.signals is not None and self.signals.exit_code is not None:
            return self.signals.exit_code
        if self._app is not None and self._app.failure is not None:
            return 1
        error = self.live.error if detached else None
        if error is not None:
            return error.exit_code if isinstance(error, Problem) else 1
        return (self._app.return_code or 0) if self._app is not None else 0


def _run_demo() -> int:
    """Make the demo's workspace and open it."""
    from opeddev_tui.cli import main

    return main(["demo"])
