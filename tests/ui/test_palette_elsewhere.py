"""The palette finds the commands of the other screens and every setting, and goes there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from evidence import notices
from scenes import make, opened, settle, until
from store import make_store
from textual.command import CommandList, CommandPalette
from textual.pilot import Pilot
from tour import STOPS, fake_graders, tour
from tour import make as make_tour

from opeddev_tui.config import described
from opeddev_tui.runs import events as ev
from opeddev_tui.ui import palette
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.keys import PLACES, TABLES
from opeddev_tui.ui.palette import Entry, elsewhere, entries, kept
from opeddev_tui.ui.screens.checkpoints.screen import CheckpointsScreen
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
        next(entry for entry in found if entry.title.startswith("Runs: Compare the marked runs")).do()
        await until(pilot, lambda: app.current_mode == "runs")


async def test_no_two_entries_of_the_palette_share_a_name(tmp_path: Path) -> None:
    """Over every screen: neither the screen before a name nor the key behind it is needed to tell two apart."""
    app, walked = make_tour(tmp_path), set[str]()
    async with fake_graders(), app.run_test(size=(200, 60)) as pilot:
        async for stop in tour(app, pilot, [name for name, item in STOPS.items() if not item.text]):
            found = [*entries(app, app.screen, app.choose_theme), *elsewhere(app, app.screen)]
            names = [_PLACE.sub("", entry.title.rpartition("  (")[0] or entry.title) for entry in found]
            assert not [name for name, times in Counter(map(str.casefold, names)).items() if times > 1], stop
            # a run and a checkpoint are called by their ids
            titles = [entry.title for entry in kept(app, app.screen)]
            assert len(titles) == len(set(titles))
            walked |= {app.current_mode} if found else set()
    assert walked == {mode for _, mode, _ in PLACES}


_PLACE = re.compile(rf"^(?:{'|'.join(place for _, _, place in PLACES)}): ")


def test_what_the_palette_calls_a_key_is_of_a_key_that_there_is() -> None:
    known = {key.name for keys in TABLES.values() for key in keys}
    assert set(palette._CALLED) <= known


async def test_runs_and_checkpoints_are_found_by_name_and_reached(tmp_path: Path) -> None:
    app = make_store(tmp_path)
    # the runs of the store record no checkpoints: the newest gets one that is there and one that is gone
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        await until(pilot, lambda: len(app.session.all_runs()) == 3)
        row = app.session.all_runs()[0]
        for name in ("checkpoint-100", "checkpoint-999999"):
            row.state.checkpoints[name] = ev.CheckpointSaved(path=name, global_step=100, epoch=2, size=1, digest="")
        found = {entry.title: entry for entry in kept(app, app.screen)}
        assert [title for title in found if title.startswith("Run: ")] == [
            f"Run: step {row.state.begun.step} {row.state.begun.batch}, finished  ({row.run})"
            for row in app.session.all_runs()
        ]
        here, gone = (entry for title, entry in found.items() if title.startswith("Checkpoint: "))
        assert "epoch 2" in here.title
        here.do()
        await until(pilot, lambda: isinstance(app.screen, CheckpointsScreen) and app.screen.current is not None)
        screen = app.screen
        assert isinstance(screen, CheckpointsScreen)
        await until(pilot, lambda: screen.current is not None and screen.current.folder.name == "checkpoint-100")
        assert screen.current is not None
        assert screen.current.run == row.run
        gone.do()
        await until(pilot, lambda: "is no longer here" in notices(app))
        other = app.session.all_runs()[-1]
        next(entry for title, entry in found.items() if other.run in title).do()
        await until(pilot, lambda: app.session.run == other.run)


async def test_a_search_makes_its_entries_once_per_opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with searched(tmp_path) as (app, pilot, _):
        made: list[str] = []
        for name in ("entries", "elsewhere", "kept"):
            real = getattr(palette, name)
            monkeypatch.setattr(palette, name, lambda *given, name=name, real=real: made.append(name) or real(*given))
        for times in (1, 2):
            await pilot.press("ctrl+p")
            await until(pilot, lambda: isinstance(app.screen, CommandPalette))
            await pilot.press(*"run", "backspace")
            lines = app.screen.query_one(CommandList)
            await until(pilot, lambda lines=lines: any("Run: " in str(line.prompt) for line in lines.options))
            assert sorted(made) == sorted(["entries", "elsewhere", "kept"] * times)
            await pilot.press("escape")
            await until(pilot, lambda: not isinstance(app.screen, CommandPalette))
