"""The screens that the app switches between, by the name of their mode.

A screen's module is imported when the screen is first shown: the first frame loads one of them only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from textual.screen import Screen


def _monitor() -> Screen[Any]:
    from opeddev_tui.ui.screens.monitor.screen import MonitorScreen

    return MonitorScreen()


def _generations() -> Screen[Any]:
    from opeddev_tui.ui.screens.generations.screen import GenerationsScreen

    return GenerationsScreen()


def _checkpoints() -> Screen[Any]:
    from opeddev_tui.ui.screens.checkpoints.screen import CheckpointsScreen

    return CheckpointsScreen()


def _log() -> Screen[Any]:
    from opeddev_tui.ui.screens.log import LogScreen

    return LogScreen()


def _settings() -> Screen[Any]:
    from opeddev_tui.ui.screens.settings import SettingsScreen

    return SettingsScreen()


def _runs() -> Screen[Any]:
    from opeddev_tui.ui.screens.runs import RunsScreen

    return RunsScreen()


SCREENS: Mapping[str, Callable[[], Screen[Any]]] = {
    "monitor": _monitor,
    "generations": _generations,
    "checkpoints": _checkpoints,
    "log": _log,
    "settings": _settings,
    "runs": _runs,
}
