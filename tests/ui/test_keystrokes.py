"""Twelve tasks, each done with real keys: the table in docs/keystrokes.md has their numbers.

``UPDATE_SNAPSHOTS=1 pytest tests/ui/test_keystrokes.py`` writes the table anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engine import ScriptedEngine
from msgspec import Struct
from scenes import BATCHES, make, opened, settle, until
from store import browser, make_store
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from opeddev_tui.config import loading
from opeddev_tui.data import trial_prompts
from opeddev_tui.data.rows import Example, Message
from opeddev_tui.runs.control import Adjust, Decide
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.screens.checkpoints.try_prompt import TryScreen
from opeddev_tui.ui.state.data_scan import Scan

PAGE = Path(__file__).parent.parent.parent / "docs" / "keystrokes.md"
Done = Callable[[ScriptedEngine], bool]
HEAD = """# Keystrokes

Each task from the monitor, with the keys that ship. A text that is typed counts as one stroke; the keys of a table are
written as on the screen. A dash: version 0.1 could not do it. A test presses them all, and holds this table.

"""


class Task(Struct, frozen=True):
    """A task, its strokes ("type …" for a text), and the number of strokes in version 0.1."""

    name: str
    strokes: tuple[str, ...]
    before: str


TASKS = {
    "start": Task("Start the next step", ("t",), "1"),
    "decide": Task("Answer the question after an epoch", ("c",), "1"),
    "rate": Task("Change the learning rate of the next step", ("e", "l", "type 4e-6", "enter"), "–"),
    "rule": Task("Leave the rest to the rule", ("e", "r"), "–"),
    "note": Task("Write an observation", ("colon", "type note shorter answers", "enter"), "3"),
    "setting": Task("Change a setting", ("colon", "type set learning_rate=3e-5", "enter"), "7"),
    "pane": Task("Go to the batches", ("alt+4",), "3"),
    "theme": Task("Choose a theme", ("colon", "type theme nord", "enter"), "3"),
    "run": Task("Look at an earlier run", ("6", "j", "enter"), "3"),
    "blind": Task("A blind round of six", ("2", "b", "1", "2", "1", "3", "2", "1"), "8"),
    "compare": Task("Compare two checkpoints", ("3", "space", "j", "space"), "4"),
    "try": Task("Try a checkpoint with a row of the hold-out", ("3", "t", "ctrl+r", "enter", "ctrl+s"), "–"),
}


WRITTEN = {"colon": ":", "enter": "Enter", "space": "Space", "ctrl+r": "^r", "ctrl+s": "^s"}


async def do(pilot: Pilot[str], task: Task) -> None:
    """Press the strokes of a task, one after the other."""
    for stroke in task.strokes:
        if not stroke.startswith("type "):
            await pilot.press(stroke)
            await pilot.pause()
            continue
        field = pilot.app.focused
        assert isinstance(field, Input | TextArea)
        # what stands there already is replaced by what is typed, or there is nothing
        assert not field.text if isinstance(field, TextArea) else field.selected_text == field.value
        await pilot.press(*(" " if char == " " else char for char in stroke.removeprefix("type ")))


def rows() -> Iterator[str]:
    """Yield the lines of the table."""
    yield "| task | keys | strokes | in 0.1 |"
    yield "| --- | --- | --- | --- |"
    for task in TASKS.values():
        shown = " ".join(
            f"“{stroke.removeprefix('type ')}”" if stroke.startswith("type ") else WRITTEN.get(stroke, stroke)
            for stroke in task.strokes
        )
        yield f"| {task.name} | {shown} | {len(task.strokes)} | {task.before} |"


def test_the_page_has_the_strokes_that_are_pressed_here() -> None:
    text = HEAD + "\n".join(rows()) + "\n"
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        PAGE.write_text(text, encoding="utf-8")
    assert len(TASKS) == 12
    assert PAGE.read_text(encoding="utf-8") == text


async def at_the_question(
    folder: Path, name: str, done: Callable[[ScriptedEngine], bool], *, started: bool = True
) -> None:
    """Do a task while a scripted training asks (or, where it has not ``started``, before that)."""
    loaded = loading.resolve([loading.Layer("test", {"ui": {"guard_ms": 0, "undo_seconds": 0.0}})])
    (folder / "config.toml").touch()
    engine = ScriptedEngine()
    app = OpeddevApp(folder, loaded, runner=engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        app.session.scan = Scan(BATCHES)
        app.show_now()
        await until(pilot, lambda: app.session.shown.situation.offers_action("start"))
        if started:
            await pilot.press("t")
            await until(pilot, lambda: app.session.shown.situation.offers_action("more"))
        await do(pilot, TASKS[name])
        await until(pilot, lambda: done(engine))
        app.live.stop("the test is over")
        await until(pilot, lambda: not app.live.running)


async def test_start(tmp_path: Path) -> None:
    await at_the_question(tmp_path, "start", lambda engine: bool(engine.starts), started=False)


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("decide", Decide(epoch=1, choice="continue")),
        ("rate", Adjust(epoch=1, learning_rate=4e-6)),
        ("rule", Adjust(epoch=1, policy="rule")),
    ],
)
async def test_at_the_question(tmp_path: Path, name: str, command: object) -> None:
    await at_the_question(tmp_path, name, lambda engine: command in engine.commands)


DONE: dict[str, Callable[[OpeddevApp, Path], object]] = {
    "note": lambda app, _: any(note.note == "shorter answers" for note in app.session.state.notes),
    "setting": lambda app, _: app.loaded.settings.training.learning_rate == 3e-5,
    "pane": lambda app, _: app.focused is not None and app.focused.id == "inventory",
    "theme": lambda _, root: loading.load(root).settings.ui.theme == "nord",
    "run": lambda app, _: app.session.old is not None and app.current_mode == "monitor",
    "blind": lambda app, _: len(app.session.state.ratings) >= 6,
}


@pytest.mark.parametrize("name", DONE)
async def test_on_a_finished_run(tmp_path: Path, name: str) -> None:
    app = make(tmp_path, "finished")
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        await settle(app, "finished")
        await do(pilot, TASKS[name])
        await until(pilot, lambda: DONE[name](app, tmp_path))


async def test_compare_and_try_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = Example(prompt=(Message("user", "asked"),), completion="", grade=3, kind="", where="", id="a", submission="")
    monkeypatch.setattr(trial_prompts, "holdout_row", lambda _root, _settings, _name: row)
    asked: list[object] = []
    app = make_store(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await browser(app, pilot)
        await pilot.press("1")
        await do(pilot, TASKS["compare"])
        assert len(screen.marked) == 2
        await pilot.press("escape", "1")
        monkeypatch.setattr(TryScreen, "action_ask", lambda dialog: asked.append(dialog.messages()))
        *before, last = TASKS["try"].strokes
        await do(pilot, Task("", tuple(before), ""))
        await until(pilot, lambda: isinstance(app.screen, TryScreen) and app.screen.query_one(TextArea).text == "asked")
        await do(pilot, Task("", (last,), ""))
        assert asked == [row.prompt]
