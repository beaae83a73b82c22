"""The palette finds the commands of the other screens and every setting, and goes there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from scenes import make, opened, settle, until
from textual.pilot import Pilot

from opeddev_tui.config import described
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.keys import PLACES
from opeddev_tui.ui.palette import Entry, elsewhere
from opeddev_tui.ui.screens.settings import SettingsScreen


@asynccontextmanager
async def searched(folder: Path) -> AsyncIterator[tuple[OpeddevApp, Pilot[str], list[Entry]]]:
    """Open the app on a finished training; give it with all that a search finds beside the screen's own."""
    app = make(folder, "finished")
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        await settle(app, "finished")
        yield app, pilot, list(elsewhere(app, app.screen))


async def test_every_setting_is_found_and_reached(tmp_path: Path) -> None:
    async with searched(tmp_path) as (app, pilot, found):
        for name in described.known_keys():
            assert any(f"({name})" in entry.title for entry in found)
        for name in ("training.learning_rate", described.known_keys()[-1]):
            next(entry for entry in found if f"({name})" in entry.title).do()
            await until(pilot, lambda: isinstance(app.screen, SettingsScreen) and app.screen.query("#settings"))
            screen = app.screen
            assert isinstance(screen, SettingsScreen)
            await until(pilot, lambda screen=screen, name=name: screen.selected == name)


async def test_the_commands_of_every_other_screen_are_found_and_say_their_key(tmp_path: Path) -> None:
    async with searched(tmp_path) as (app, pilot, found):
        for _, _, place in PLACES[1:]:
            assert any(entry.title.startswith(f"{place}: ") for entry in found)
        next(entry for entry in found if entry.title.startswith("Runs: Compare")).do()
        await until(pilot, lambda: app.current_mode == "runs")
