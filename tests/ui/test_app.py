# ruff: noqa: E501 - tables of events read better in one line
"""The app under keys: every key of every screen, decisions, states, hostile text, what is imported."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import screen_text
from engine import ScriptedEngine
from scenes import ALIVE, BATCHES, HOSTILE, SCENES, make, opened, run_id, settle, until
from textual.pilot import Pilot
from textual.widgets import Input

from opeddev_tui.config import described, loading
from opeddev_tui.errors import StorageProblem
from opeddev_tui.runs.control import Decide, Pause, Resume, SampleNow, SaveNow, Stop
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.keys import GLOBAL, PLACES, SCREEN_KEYS
from opeddev_tui.ui.screens.note import NoteScreen
from opeddev_tui.ui.screens.quit import QuitScreen
from opeddev_tui.ui.screens.setting_dialogs import ChoiceScreen
from opeddev_tui.ui.screens.settings import groups
from opeddev_tui.ui.state import situation_text
from opeddev_tui.ui.state.app_state import AppState
from opeddev_tui.ui.state.data_scan import Scan
from opeddev_tui.ui.state.situation import Situation
from opeddev_tui.ui.state.view import BatchRow, View

SMALL, MIDDLE, LARGE = (80, 24), (120, 40), (200, 60)


@asynccontextmanager
async def scene(
    folder: Path, name: str, size: tuple[int, int] = MIDDLE
) -> AsyncIterator[tuple[OpeddevApp, Pilot[str]]]:
    app = make(folder, name)
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await settle(app, name)
        await pilot.pause()
        yield app, pilot


@asynccontextmanager
async def live(
    folder: Path, engine: ScriptedEngine, *, undo: float = 0.0, guard_ms: int = 0
) -> AsyncIterator[tuple[OpeddevApp, Pilot[str]]]:
    """An app whose training is the scripted engine, at the open question."""
    loaded = loading.resolve([loading.Layer("test", {"ui": {"guard_ms": guard_ms, "undo_seconds": undo}})])
    (folder / "config.toml").touch()
    app = OpeddevApp(folder, loaded, runner=engine)
    async with app.run_test(size=MIDDLE) as pilot:
        await opened(pilot)
        app.session.scan = Scan(BATCHES)
        app.show_now()
        await until(pilot, lambda: app.session.guard.accepts(float("inf")))
        app.start_training()
        try:
            yield app, pilot
        finally:
            app.live.stop("the test is over")
            await until(pilot, lambda: not app.live.running)


def text_of(app: OpeddevApp) -> str:
    """Return the screen as text."""
    return screen_text.text_of(app.screen)


# --- keys


@pytest.mark.parametrize(("number", "mode"), [(key, mode) for key, mode, _ in PLACES])
async def test_every_key_of_every_screen_leaves_the_app_whole(tmp_path: Path, number: str, mode: str) -> None:
    keys = [key for _, table in SCREEN_KEYS[mode] for row in table for key in row.keys.split(",")]
    keys += [key for row in GLOBAL for key in row.keys.split(",") if not row.action.startswith("app.go")]
    async with scene(tmp_path, "finished", SMALL) as (app, pilot):
        await pilot.press(number)
        for key in keys:
            if key == "q":
                continue
            await pilot.press(key)
            if app.current_mode != mode:
                await pilot.press(number)
            while len(app.screen_stack) > 1:
                await pilot.press("escape")
            if isinstance(app.focused, Input):
                await pilot.press("escape")
        await pilot.press(number)
        assert app.current_mode == mode
        await pilot.press("q")
    assert app.return_value == "quit"


@pytest.mark.parametrize("mode", [mode for _, mode, _ in PLACES])
async def test_the_help_lists_every_key(tmp_path: Path, mode: str) -> None:
    async with scene(tmp_path, "finished", (120, 70)) as (app, pilot):
        await app.run_action(f"app.go('{mode}')")
        await pilot.press("question_mark")
        await pilot.pause()
        shown = text_of(app)
        for _, table in SCREEN_KEYS[mode]:
            for row in table:
                assert app.session.keymap.text(row.help)[:40] in shown, row
        await pilot.press("escape")
        assert app.current_mode == mode


async def test_a_command_of_the_palette_does_what_its_key_does(tmp_path: Path) -> None:
    async with scene(tmp_path, "finished", SMALL) as (app, pilot):
        assert app.focused is not None
        commands = {command.title: command for command in app.get_system_commands(app.screen)}
        commands["Observation on this run  (o)"].callback()
        await until(pilot, lambda: isinstance(app.screen, NoteScreen))
        await pilot.press("escape")
        commands["Log  (4)"].callback()
        await until(pilot, lambda: app.current_mode == "log")


async def test_no_key_stands_twice_in_a_table() -> None:
    for mode, sections in SCREEN_KEYS.items():
        own = [key for row in sections[0][1] for key in row.keys.split(",")]
        assert len(own) == len(set(own)), mode


# --- layouts and states


@pytest.mark.parametrize(
    ("name", "size"), [*((name, SMALL) for name in SCENES), ("training", LARGE), ("failed", LARGE)]
)
async def test_every_state_says_what_it_is(tmp_path: Path, name: str, size: tuple[int, int]) -> None:
    words = {
        "no-workspace": "No workspace here yet", "empty": "No data yet", "ready": "Ready", "starting": "Loading the model",
        "training": "you decide", "paused": "Waiting at optimizer step 72", "stalled": "No event for 5 min",
        "awaiting": "c  Continue", "chosen": "Takes effect in 3 s",
        "interrupted": "t  Resume", "failed": "no space left", "finished": "t  Next step: train step 2",
        "hostile": "your decision",
    }  # fmt: skip
    async with scene(tmp_path, name, size) as (app, pilot):
        await pilot.pause()
        assert words[name] in text_of(app)


async def test_small_terminals_have_tabs_and_resizing_keeps_the_pane(tmp_path: Path) -> None:
    async with scene(tmp_path, "training", SMALL) as (app, pilot):
        assert "[1 Metrics]" in text_of(app)
        await pilot.press("tab")
        await pilot.pause()
        assert "[2 Curves]" in text_of(app)
        await pilot.resize_terminal(*LARGE)
        await pilot.pause()
        shown = text_of(app)
        assert "Live metrics" in shown
        assert "Batches" in shown
        assert "[2 Curves]" not in shown
        await pilot.resize_terminal(40, 10)
        await pilot.pause()
        await pilot.resize_terminal(*SMALL)
        await pilot.pause()
        assert "[2 Curves]" in text_of(app)


async def test_enter_grows_a_pane_and_escape_shrinks_it(tmp_path: Path) -> None:
    async with scene(tmp_path, "training") as (app, pilot):
        await pilot.press("enter")
        await pilot.pause()
        shown = text_of(app)
        assert "Live metrics" in shown
        assert "Batches" not in shown
        assert "Pause" in shown, "the decision bar stays"
        await pilot.press("escape")
        await pilot.pause()
        assert "Batches" in text_of(app)


# --- decisions


async def test_a_decision_is_counted_down_and_can_be_undone(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    async with live(tmp_path, engine, undo=60) as (app, pilot):
        await until(pilot, lambda: app.session.current.status == "awaiting")
        await pilot.press("c")
        assert app.session.guard.chosen is not None
        assert "train epoch 2" in app.session.guard.chosen.text
        await pilot.press("u")
        assert app.session.guard.chosen is None
        assert engine.commands == []


async def test_whoever_leaves_before_the_count_is_over_has_decided(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    async with live(tmp_path, engine, undo=60) as (app, pilot):
        await until(pilot, lambda: app.session.current.status == "awaiting")
        await pilot.press("c", "q")
        await until(pilot, lambda: isinstance(app.screen, QuitScreen))
        # what was chosen takes effect by leaving: it waits no more
        assert str(app.screen.query_one("#ask").border_title) == "A training is running"
        assert engine.commands == []
        await pilot.press("k")
        await until(pilot, lambda: engine.commands)
        assert engine.commands == [Decide(epoch=1, choice="continue")]


@pytest.mark.parametrize(("key", "choice"), [("c", "continue"), ("s", "stop")])
async def test_one_key_decides(tmp_path: Path, key: str, choice: str) -> None:
    engine = ScriptedEngine()
    async with live(tmp_path, engine) as (app, pilot):
        await until(pilot, lambda: app.session.current.status == "awaiting")
        await pilot.press(key)
        await until(pilot, lambda: engine.commands)
        assert engine.commands == [Decide(epoch=1, choice=choice)]  # type: ignore[arg-type]


async def test_a_key_press_makes_one_view_and_one_situation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bars, the window's title and the key itself read what was computed once."""
    made: list[str] = []
    real_view, real_situation = AppState.view, situation_text.situation

    def view(session: AppState) -> View:
        made.append("view")
        return real_view(session)

    def counted(shown: View) -> Situation:
        made.append("situation")
        return real_situation(shown)

    monkeypatch.setattr("opeddev_tui.ui.app.TICK", 3600)  # only the key draws
    async with scene(tmp_path, "awaiting") as (app, pilot):
        monkeypatch.setattr(AppState, "view", view)
        monkeypatch.setattr("opeddev_tui.ui.state.app_state.situation", counted)
        await pilot.press("c")
        await pilot.pause()
        assert app.session.guard.chosen is not None
    assert made == ["view", "situation"]


async def test_a_key_right_after_the_question_appears_is_ignored(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    async with live(tmp_path, engine, guard_ms=5000) as (app, pilot):
        await until(pilot, lambda: app.session.current.status == "awaiting")
        await pilot.press("c", "s", "p", "g", "w")
        assert app.session.guard.chosen is None
        assert engine.commands == []


async def test_pause_sample_save_and_stop_reach_the_training(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    async with live(tmp_path, engine) as (app, pilot):
        await until(pilot, lambda: app.session.current.status == "awaiting")
        await pilot.press("c")
        await until(pilot, lambda: app.session.current.status == "training")
        for key, done in (("g", SampleNow), ("w", SaveNow), ("p", Pause)):
            await pilot.press(key)
            await until(pilot, lambda done=done: isinstance(engine.commands[-1], done))
        await until(pilot, lambda: app.session.current.status == "paused")
        await pilot.press("p")
        await until(pilot, lambda: app.session.current.status == "training")
        await pilot.press("s")
        await until(pilot, lambda: not app.live.running)
        await until(pilot, lambda: app.session.current.status == "interrupted")
    assert [type(command) for command in engine.commands] == [Decide, SampleNow, SaveNow, Pause, Resume, Stop]


async def test_a_key_that_means_nothing_does_nothing(tmp_path: Path) -> None:
    async with scene(tmp_path, "finished") as (app, pilot):
        await pilot.press("c", "s", "p", "g", "w", "u", "n", "d")
        assert not app.live.running
        assert app.session.guard.chosen is None


@pytest.mark.parametrize("answer", ["k", "s", "escape"])
async def test_quitting_asks_while_a_training_runs(tmp_path: Path, answer: str) -> None:
    engine = ScriptedEngine()
    async with live(tmp_path, engine) as (app, pilot):
        await until(pilot, lambda: app.session.current.status == "awaiting")
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, QuitScreen))
        assert str(app.screen.query_one("#ask").border_title) == "The training waits for your decision"
        await pilot.press(answer)
        if answer == "escape":
            assert app.live.running
            return
        if answer == "s":
            await until(pilot, lambda: not app.live.running)
        await until(pilot, lambda: app.return_value is not None)
    assert app.return_value == {"k": "detach", "s": "quit"}[answer]


# --- failures


@pytest.mark.parametrize("error", [StorageProblem("cannot be written: disk full.", where="/x"), ValueError(HOSTILE)])
async def test_a_failing_training_is_told_and_the_app_lives(tmp_path: Path, error: BaseException) -> None:
    async with live(tmp_path, ScriptedEngine(error=error)) as (app, pilot):
        await until(pilot, lambda: app.session.trouble)
        await pilot.pause()
        shown = text_of(app)
        assert "The training failed" in shown
        assert "disk full" in shown or "ValueError" in shown
        log = tmp_path / "logs" / "train.log"
        await until(pilot, lambda: log.exists() and type(error).__name__ in log.read_text())
        await pilot.press("2", "1")
        assert app.current_mode == "monitor"


async def test_a_flooded_queue_loses_nothing(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    loaded = loading.resolve([loading.Layer("test", {"ui": {"guard_ms": 0, "undo_seconds": 0.0}})])
    (tmp_path / "config.toml").touch()
    app = OpeddevApp(tmp_path, loaded, runner=engine)
    async with app.run_test(size=SMALL) as pilot:
        await opened(pilot)
        app.start_training()
        app.live.queue._limit = 5
        await until(pilot, lambda: app.session.current.status == "awaiting")
        assert len(app.session.current.curves.loss) == 50
        await pilot.press("s")
        await until(pilot, lambda: app.session.current.status == "finished")


# --- screens


async def test_a_run_is_replayed_and_left_again(tmp_path: Path) -> None:
    async with scene(tmp_path, "finished") as (app, pilot):
        await pilot.press("6", "j", "enter")
        await until(pilot, lambda: app.session.old is not None)
        await pilot.pause()
        assert app.session.run == run_id(0)
        assert "REPLAY" in text_of(app)
        await pilot.press("t", "c", "s")
        assert not app.live.running
        await pilot.press("r")
        assert app.session.old is None


async def test_settings_are_saved_checked_and_reset(tmp_path: Path) -> None:
    async with scene(tmp_path, "ready") as (app, pilot):
        await pilot.press("5", "slash", *"num_train_epochs", "enter", "enter")
        await pilot.pause()
        await pilot.press("backspace", "x", "enter")
        await until(pilot, lambda: "not allowed" in text_of(app))
        await pilot.press("backspace", "4", "enter")
        await until(pilot, lambda: app.loaded.settings.training.num_train_epochs == 4)
        assert "num_train_epochs = 4" in (tmp_path / ".specs" / "settings.toml").read_text()
        await until(pilot, lambda: len(app.screen_stack) == 1)
        await pilot.press("x")
        await until(pilot, lambda: app.loaded.settings.training.num_train_epochs == 3)


async def test_a_setting_of_few_values_is_chosen_from_a_list(tmp_path: Path) -> None:
    async with scene(tmp_path, "ready") as (app, pilot):
        await pilot.press("5", "slash", *"model.precision", "enter", "enter")
        await until(pilot, lambda: isinstance(app.screen, ChoiceScreen))
        text = text_of(app)
        assert "● fp16  (now, default)" in text
        assert "float32 everywhere, slower" in text
        await pilot.press("down", "down", "enter")
        await until(pilot, lambda: app.loaded.settings.model.precision == "fp32")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        assert "Changed" in text_of(app)
        assert "Saved model.precision" in text_of(app)


def test_changed_settings_come_first_then_groups_in_order_of_use() -> None:
    loaded = loading.resolve([loading.Layer("config.toml", {"ui": {"theme": "nord"}, "training": {"seed": 7}})])
    found = dict(groups(loaded, ""))
    assert list(found)[:3] == ["Changed", "Model", "Training"]
    assert found["Changed"] == ["training.seed", "ui.theme"]
    assert sorted(name for title, names in found.items() if title != "Changed" for name in names) == sorted(
        described.known_keys()
    )
    assert dict(groups(loaded, "warmup_steps")) == {"Training": ["training.warmup_steps"]}


async def test_the_theme_is_remembered(tmp_path: Path) -> None:
    async with scene(tmp_path, "ready") as (app, pilot):
        app.theme = "opeddev-light"
        saved = tmp_path / ".specs" / "settings.toml"
        await until(pilot, lambda: saved.exists() and "opeddev-light" in saved.read_text())


async def test_the_log_is_filtered_and_sorted(tmp_path: Path) -> None:
    async with scene(tmp_path, "training") as (app, pilot):
        await pilot.press("4")
        await until(pilot, lambda: "RuntimeError" in text_of(app))
        await pilot.press("e")
        await pilot.pause()
        shown = text_of(app)
        assert shown.index("✗ Traceback") < shown.index("loading shard 0")
        await pilot.press("slash", *"shard 7", "enter")
        await pilot.pause()
        shown = text_of(app)
        assert "loading shard 7" in shown
        assert "loading shard 8" not in shown


async def test_generations_go_through_prompts_and_epochs(tmp_path: Path) -> None:
    async with scene(tmp_path, "finished") as (app, pilot):
        await pilot.press("2")
        await pilot.pause()
        assert "R▸ step 1 epoch 3" in text_of(app)
        await pilot.press("left_square_bracket", "n")
        await pilot.pause()
        shown = text_of(app)
        assert "R▸ step 1 epoch 2" in shown
        assert "Prompt 2 of 6" in shown


async def test_a_click_on_an_offer_is_its_key(tmp_path: Path) -> None:
    async with scene(tmp_path, "chosen") as (app, pilot):
        assert app.session.guard.chosen is not None
        await pilot.click("#offers", offset=(2, 0))
        await until(pilot, lambda: app.session.guard.chosen is None)
        await pilot.click("#places", offset=(16, 0))
        await until(pilot, lambda: app.current_mode == "generations")


async def test_copying_goes_to_the_terminals_clipboard(tmp_path: Path) -> None:
    async with scene(tmp_path, "training") as (app, pilot):
        await pilot.press("y")
        assert "batch_100_01" in app.clipboard


async def test_a_workspace_is_made_on_request(tmp_path: Path) -> None:
    async with scene(tmp_path, "no-workspace") as (app, pilot):
        await pilot.press("n")
        await until(pilot, lambda: app.session.has_workspace)
        await until(pilot, lambda: (tmp_path / "config.toml").exists())


# --- hostile text


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_text_from_outside_is_only_ever_text(tmp_path: Path, size: tuple[int, int]) -> None:
    async with scene(tmp_path, "hostile", size) as (app, pilot):
        for number, mode, _ in PLACES:
            await pilot.press(number)
            await pilot.pause()
            for _ in range(5):
                if mode == "monitor":
                    await pilot.press("tab")
                await pilot.pause()
                shown = text_of(app)
                assert not any(ord(char) < 32 and char != "\n" for char in shown), mode
                assert "\u202e" not in shown
        app.tell(HOSTILE)
        await pilot.pause()
        await pilot.click(offset=(10, 5))
        assert app.is_running


# --- what is imported


def test_the_screen_imports_no_training_stack() -> None:
    code = (
        "import sys, opeddev_tui.ui.app, opeddev_tui.ui.screens.monitor.screen, opeddev_tui.ui.process, opeddev_tui.ui.state.data_scan\n"
        "import opeddev_tui.data.batches\n"
        "heavy = {'torch', 'transformers', 'datasets', 'peft', 'accelerate', 'sklearn', 'plotext', 'numpy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_every_state_that_trains_is_a_scene() -> None:
    assert set(SCENES) >= ALIVE


async def test_where_the_data_is_wrong_it_is_not_ready_and_the_key_says_why(tmp_path: Path) -> None:
    async with scene(tmp_path, "ready") as (app, pilot):
        app.session.scan = Scan((BatchRow("base", 0, problem="rows.jsonl:9: the row is cut off."),))
        app.show_now()
        await until(pilot, lambda: "Cannot train yet" in text_of(app))
        assert "rows.jsonl:9: the row is cut off." in text_of(app)
        assert "Ready" not in text_of(app)
        await pilot.press("t")
        await until(pilot, lambda: any("Cannot train yet" in notice.message for notice in app._notifications))
        assert not app.live.running
