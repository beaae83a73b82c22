"""Entries of the command palette: every key of the screen on top, from the key tables, and the themes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, cast

from textual.app import App, SystemCommand
from textual.screen import Screen

from opeddev_tui.ui.screens.base import BaseScreen
from opeddev_tui.ui.shell import Shell


def commands(app: App[Any], screen: Screen[Any]) -> Iterable[SystemCommand]:
    """Return what the palette offers over ``screen``."""

    def run(action: str) -> None:
        method = f"action_{action.partition('(')[0]}"
        # as for a key: the focused widget comes first, then what it is in
        around = (screen.focused or screen).ancestors_with_self
        target = next((node for node in around if hasattr(node, method)), screen)
        cast("Shell", app).run_worker(partial(app.run_action, action, target), exit_on_error=False)

    for _, keys in screen.help_sections() if isinstance(screen, BaseScreen) else ():
        for key in keys:
            if key.action != "app.command_palette":
                yield SystemCommand(f"{key.label}  ({key.display})", key.help, partial(run, key.action))
    for name in sorted(app.available_themes):
        yield SystemCommand(f"Theme: {name}", "Use this theme from now on.", partial(setattr, app, "theme", name))
