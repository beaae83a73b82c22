"""The line for commands, and the palette: what they complete, refuse and do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import screen_text
from engine import ScriptedEngine
from scenes import BATCHES, make, opened, settle, until
from textual.pilot import Pilot
from textual.widgets import Input

from opeddev_tui.config import loading
from opeddev_tui.runs.control import Adjust, Decide
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.palette import THEME, entries
from opeddev_tui.ui.screens.command_line.screen import CommandLine
from opeddev_tui.ui.screens.command_line.typed import WORDS, Known, completions, explained, full_name
from opeddev_tui.ui.state.data_scan import Scan

KNOWN = Known(
    themes=("nord", "opeddev-dark"), steps=("next", "all", "1", "2"), screens=("log", "monitor"), panes=("1", "2"),
    actions={"pause": "Pause.", "log.raw": "Raw lines."}, values={"training.learning_rate": "2e-05"},
)  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "first"),
    [("se", "set "), ("set learn", "set training.learning_rate="), ("set ui.theme=no", "set ui.theme=nord"),
     ("theme no", "theme nord"), ("step a", "step all"), ("pau", "pause"), ("raw", "log.raw"), ("go l", "go log"),
     ("set lora.enabled=", "set lora.enabled=true"), ("next b", "next batch=")],
)  # fmt: skip
def test_a_line_is_completed(typed: str, first: str) -> None:
    assert completions(typed, KNOWN)[0] == first


def test_what_is_typed_is_explained() -> None:
    assert "training.learning_rate, now 2e-05" in explained("set learning_rate=1", KNOWN)
    assert explained("pause", KNOWN) == "Pause."
    assert all(explained(word.name, KNOWN) for word in WORDS)
    assert (full_name("learning_rate", lora=True), full_name("r", lora=False)) == ("lora.learning_rate", "lora.r")
    assert full_name("max_new_tokens", lora=False) is None


@asynccontextmanager
async def scene(
    folder: Path, name: str, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[OpeddevApp, Pilot[str]]]:
    app = make(folder, name)
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await settle(app, name)
        yield app, pilot


async def say(pilot: Pilot[str], text: str) -> None:
    """Type a command into a new line and press Enter."""
    if not isinstance(pilot.app.screen, CommandLine):
        await pilot.press("colon")
    pilot.app.screen.query_one("#line", Input).value = text
    await pilot.press("enter")
    await pilot.pause()


def shown(app: OpeddevApp) -> str:
    return screen_text.text_of(app.screen)


async def test_commands_do_what_keys_do_and_errors_stand_under_the_line(tmp_path: Path) -> None:
    async with scene(tmp_path, "finished") as (app, pilot):
        for typed, told in [
            ("sett x", "There is no command sett. Did you mean set?"),
            ("set training.learning_rat=1", "there is no setting training.learning_rat. Did you mean"),
            ("set max_new_tokens=9", "Write generation.max_new_tokens or grading.max_new_tokens."),
            ("set learning_rate=9", "learning_rate = 9 is not allowed. It takes a number above 0"),
            ("theme nordd", "there is no theme nordd"),
            ("step 99", "There is no step 99."),
            ("run nothing", "There is no run nothing."),
            ("pane 9", "There is no pane 9 here."),
            ("continue", "No question is open"),
            ("next learning_rate=2e-5", "No question is open"),
            ("next learning_rate=nan", "A learning rate is above 0 and at most 1."),
            ("key contine Y", "Did you mean monitor.continue?"),
            ("key monitor.continue s", "s would be both"),
            ("pause now", "pause takes nothing after it."),
        ]:
            await say(pilot, typed)
            await until(pilot, lambda told=told: told in " ".join(shown(app).split()))  # type: ignore[misc]
            assert isinstance(app.screen, CommandLine)
        await say(pilot, "set learning_rate=3e-5")
        await until(pilot, lambda: app.loaded.settings.training.learning_rate == 3e-5)
        await until(pilot, lambda: not isinstance(app.screen, CommandLine))
        await say(pilot, "key monitor.continue Y")
        await until(pilot, lambda: app.session.keymap.first("monitor.continue") == "Y")
        assert loading.load(tmp_path).keys["monitor.continue"].keys == ("Y",)
        await say(pilot, "pane 3")
        await until(pilot, lambda: app.focused is not None and app.focused.id == "epochs")
        await say(pilot, "log.raw")
        await until(pilot, lambda: app.current_mode == "log")
        await say(pilot, "theme nord")
        assert app.theme == "nord"


async def test_earlier_lines_come_back(tmp_path: Path) -> None:
    async with scene(tmp_path, "finished") as (app, pilot):
        await say(pilot, "go log")
        await until(pilot, lambda: app.current_mode == "log")
        await say(pilot, "go runs")
        await until(pilot, lambda: app.current_mode == "runs")
        await pilot.press("colon", "up", "up")
        line = app.screen.query_one("#line", Input)
        assert line.value == "go log"
        await pilot.press("down")
        assert line.value == "go runs"
        await pilot.press("escape")
        assert app.current_mode == "runs"


@asynccontextmanager
async def live(folder: Path, engine: ScriptedEngine) -> AsyncIterator[tuple[OpeddevApp, Pilot[str]]]:
    """An app at the open question of a scripted training."""
    loaded = loading.resolve([loading.Layer("test", {"ui": {"guard_ms": 0, "undo_seconds": 0.0}})])
    (folder / "config.toml").touch()
    app = OpeddevApp(folder, loaded, runner=engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        app.session.scan = Scan(BATCHES)
        app.start_training()
        await until(pilot, lambda: app.session.current.status == "awaiting")
        app.session.scan = Scan(BATCHES)
        app.show_now()
        await pilot.pause()
        try:
            yield app, pilot
        finally:
            app.live.stop("the test is over")
            await until(pilot, lambda: not app.live.running)


async def test_more_is_chosen_at_the_question_with_three_keys(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    async with live(tmp_path, engine) as (app, pilot):
        await pilot.press("e")
        await until(pilot, lambda: "(resume_learning_rate: later steps)" in shown(app), seconds=20)
        await pilot.press("l")
        await pilot.pause()
        line = app.screen.query_one("#text", Input)
        line.value = "seven"
        await pilot.press("enter")
        assert "seven is no number" in shown(app)
        line.value = "4e-6"
        await pilot.press("enter")
        await until(pilot, lambda: Adjust(epoch=1, learning_rate=4e-6) in engine.commands)
        await pilot.press("e", "b", "1")
        await until(pilot, lambda: any(isinstance(item, Adjust) and item.batch for item in engine.commands))
        await say(pilot, "next learning_rate=5e-6")
        await until(pilot, lambda: Adjust(epoch=1, learning_rate=5e-6) in engine.commands)
        await say(pilot, "stop it has learnt enough")
        await until(pilot, lambda: Decide(epoch=1, choice="stop", note="it has learnt enough") in engine.commands)


async def test_the_palette_begins_with_what_is_possible_and_hides_what_only_moves(tmp_path: Path) -> None:
    async with scene(tmp_path, "awaiting") as (app, _):
        titles = [entry.title for entry in entries(app, app.screen, app.choose_theme)]
        assert titles[:5] == ["Continue  (c)", "Stop  (s)", "More  (e)", "Why  (i)", "Sample now  (g)"]
        assert not any(title.startswith(("Scroll", "Next pane", "Pan ", "Down", "Pause", "Pane 1")) for title in titles)
        assert titles[-1].startswith(THEME)


async def test_a_theme_is_previewed_restored_and_kept(tmp_path: Path) -> None:
    async with scene(tmp_path, "finished") as (app, pilot):
        before = app.theme
        await pilot.press("ctrl+p")
        await pilot.press(*"nord")
        await until(pilot, lambda: app.theme == "nord")
        assert loading.load(tmp_path).settings.ui.theme == before
        await pilot.press("escape")
        await until(pilot, lambda: app.theme == before)
        await pilot.press("ctrl+p")
        await pilot.press(*"gruvbox")
        await until(pilot, lambda: app.theme == "gruvbox")
        await pilot.press("enter")
        await until(pilot, lambda: loading.load(tmp_path).settings.ui.theme == "gruvbox")
        assert app.theme == "gruvbox"
