"""Owns opening and leaving the app from the command line: its terminal, its log, what goes on without it."""

from __future__ import annotations

import sys
from pathlib import Path

from opeddev_tui.config import LoadedSettings
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.workspace import SPECS, Workspace

SOCKET_NAME = "screen.sock"


def run_app(
    root: Path | None, loaded: LoadedSettings, *, run: str | None = None, start: bool = False, read_only: bool = False
) -> int:
    """Show the app until it is left; return the exit code.

    Left with "keep training", the training goes on in this process and this call waits for it.
    """
    if root is None:
        app = OpeddevApp(None, loaded)
        result = app.run()
    else:
        app, result = _run_guarded(root, loaded, run=run, start=start, read_only=read_only)
    if result == "demo":
        return _run_demo()
    return app.return_code or 0


def socket_path(root: Path) -> Path:
    """Return where an app on the workspace ``root`` can be attached to."""
    return root / SPECS / SOCKET_NAME


def _run_guarded(
    root: Path, loaded: LoadedSettings, *, run: str | None, start: bool, read_only: bool
) -> tuple[OpeddevApp, str | None]:
    """Run with every stray byte of the process in the log, and a terminal that may come and go."""
    from opeddev_tui.ui.driver import make_driver
    from opeddev_tui.ui.terminal import output_guard

    def terminal_changed(news: str) -> None:
        # nobody looks and nothing is trained: nothing to stay for
        if news.startswith("headless") and not app.live.running:
            app.exit("quit")

    socket_path(root).parent.mkdir(parents=True, exist_ok=True)
    driver = make_driver(socket_path(root), terminal_changed)
    with output_guard(Workspace(root, loaded.settings.paths).log) as guard:
        app = OpeddevApp(
            root,
            loaded,
            run=run,
            start=start,
            read_only=read_only,
            driver_class=driver,
            on_ready=guard.redirect_python_output,
        )
        result = app.run()
    if app.live.running:
        print("The training goes on without the screen; see it with: opeddev-tui status.", file=sys.stderr)
        app.live.wait()
        print("The training has ended.", file=sys.stderr)
    return app, result


def _run_demo() -> int:
    """Make the demo's workspace and open it."""
    from opeddev_tui.cli import main

    return main(["demo"])
