"""Owns the command palette's entries: every key of the screen on top from the key tables, and the themes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from textual.app import App, SystemCommand
from textual.screen import Screen


def commands(app: App[Any], screen: Screen[Any]) -> Iterable[SystemCommand]:
    """Return what the palette offers over ``screen``."""
    from opeddev_tui.ui.screens.base import BaseScreen

    sections = screen.help_sections() if isinstance(screen, BaseScreen) else ()
    for _, keys in sections:
        for key in keys:
            if key.action == "app.command_palette":
                continue
            yield SystemCommand(f"{key.label}  ({key.display})", key.help, _action(app, screen, key.action))
    for name in sorted(app.available_themes):
        yield SystemCommand(f"Theme: {name}", "Use this theme from now on.", _theme(app, name))


def _action(app: App[Any], screen: Screen[Any], action: str) -> Callable[[], None]:
    def run() -> None:
        app.run_worker(app.run_action(action, screen.focused or screen), exit_on_error=False)

    return run


def _theme(app: App[Any], name: str) -> Callable[[], None]:
    def run() -> None:
        app.theme = name

    return run
