"""The screens that the app switches between, by the name of their mode.

A screen's module is imported when that screen is first shown, so the first frame waits for one of them only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any, cast

from textual.screen import Screen

# module below this package, class
_CLASSES = {
    "monitor": ("monitor.screen", "MonitorScreen"),
    "generations": ("generations.screen", "GenerationsScreen"),
    "checkpoints": ("checkpoints.screen", "CheckpointsScreen"),
    "log": ("log", "LogScreen"),
    "settings": ("settings", "SettingsScreen"),
    "runs": ("runs", "RunsScreen"),
    "grading": ("grading.screen", "GradingScreen"),
    "rows": ("rows.screen", "RowsScreen"),
    "grader": ("grader.screen", "GraderScreen"),
}


def _make(module: str, name: str) -> Screen[Any]:
    screen_class = getattr(import_module(f"{__package__}.{module}"), name)
    return cast("Screen[Any]", screen_class())


SCREENS: Mapping[str, Callable[[], Screen[Any]]] = {mode: partial(_make, *where) for mode, where in _CLASSES.items()}
