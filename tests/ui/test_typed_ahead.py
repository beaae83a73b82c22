"""Keys of one burst act in the order in which they were pressed: in every text of the app, and on a real terminal.

A slow line, a busy machine and a program that types hand over several keys at once.
"""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
import tour
from pty_tools import PYTHON, Terminal, end
from pty_tools import until as wait_until
from scenes import make, opened, run_id, settle, trained, until, write
from textual.events import Key, Paste
from textual.pilot import Pilot
from textual.screen import ModalScreen, Screen
from textual.widgets import Input, TextArea

from opeddev_tui.config import loading
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.screens.generations.grades import GradesScreen
from opeddev_tui.ui.screens.generations.grades import RowScreen as GradedRow
from opeddev_tui.ui.screens.grader.screen import GraderScreen
from opeddev_tui.ui.tasks.grader import GraderTasks
from opeddev_tui.ui.widgets.grid import Grid
from opeddev_tui.workspace.paths import Workspace

# each is a command somewhere below a text
LETTERS = "lqjs1:?"
TEXTS = {name: stop for name, stop in tour.STOPS.items() if stop.text}


def text_in(field: object) -> str:
    """Return the text of a field, none of anything else."""
    if isinstance(field, Input | TextArea):
        return field.value if isinstance(field, Input) else field.text
    return ""


def press_at_once(app: OpeddevApp, *keys: str) -> None:
    """Hand over keys as a terminal does that has read all of them at once."""
    for key in keys:
        if len(key) == 1:
            names = {":": "colon", "?": "question_mark"}
            app.post_message(Key(names.get(key, key), key))
        else:
            app.simulate_key(key)


async def test_what_is_typed_behind_the_key_that_opens_a_text_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[tuple[Screen[Any], list[str]]] = []
    dismiss = Screen.dismiss

    def dismissed(screen: Screen[Any], result: Any = None) -> Any:
        left.append((screen, [text_in(field) for field in screen.query("Input, TextArea")]))
        return dismiss(screen, result)

    monkeypatch.setattr(Screen, "dismiss", dismissed)
    app = tour.make(tmp_path)
    async with tour.fake_graders(), app.run_test(size=(80, 24)) as pilot:
        async for name in tour.tour(app, pilot, TEXTS, but_last=True):
            press_at_once(app, TEXTS[name].keys[-1], *LETTERS)
            try:
                # a text that was open before may hold the letters of the stop before: what is typed stays
                await until(pilot, lambda name=name: type(app.screen) is TEXTS[name].shown)
                await until(
                    pilot, lambda: isinstance(app.focused, Input | TextArea) and LETTERS in text_in(app.focused)
                )
            except AssertionError:
                shown = f"{app.screen!r}, focus {app.focused!r}, keys that wait: {app._keys}, mark at {app._mark_at!r}"
                raise AssertionError(f"{name}: {shown}") from None
            screen = app.screen
            if isinstance(screen, ModalScreen) and name != "palette":
                press_at_once(app, "x", "y", "escape")
                await until(pilot, lambda screen=screen: app.screen is not screen)
                assert any(LETTERS + "xy" in text for gone, texts in left for text in texts if gone is screen), name


async def note(app: OpeddevApp, pilot: Pilot[str]) -> TextArea:
    await opened(pilot)
    await settle(app, "finished")
    await pilot.press("o")
    await until(pilot, lambda: isinstance(app.focused, TextArea))
    assert isinstance(app.focused, TextArea)
    return app.focused


async def test_a_slow_text_is_waited_for_however_long_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app, go = make(tmp_path, "finished"), asyncio.Event()
    take = TextArea._on_key

    async def slow(area: TextArea, event: Key) -> None:
        await go.wait()
        await take(area, event)

    async with app.run_test() as pilot:
        await note(app, pilot)
        dialog = app.screen
        monkeypatch.setattr(TextArea, "_on_key", slow)
        press_at_once(app, "l", "a", "t", "e", "ctrl+s", "2")
        # all but the first letter, which the text has not dealt with
        while len(app._keys) < 5:
            await asyncio.sleep(0)
        assert app.screen is dialog
        go.set()
        await until(pilot, lambda: app.current_mode == "generations")
        # the disk is written in a thread
        await until(pilot, lambda: [found.note for found in app.session.state.notes] == ["late"])


async def test_a_pasted_text_keeps_its_place_among_keys(tmp_path: Path) -> None:
    app = make(tmp_path, "finished")
    async with app.run_test() as pilot:
        area = await note(app, pilot)
        press_at_once(app, "a", "b")
        app.post_message(Paste("[pasted]"))
        press_at_once(app, "c")
        await until(pilot, lambda: area.text.endswith("c"))
        assert area.text == "ab[pasted]c"


async def test_keys_go_on_where_what_had_the_focus_is_removed(tmp_path: Path) -> None:
    app = make(tmp_path, "finished")
    async with app.run_test() as pilot:
        area = await note(app, pilot)
        press_at_once(app, "a")
        # Textual would draw a text that is gone, were it to draw before it has laid the rest out anew
        with app.batch_update():
            await area.remove()
        await pilot.pause()
        await pilot.press("escape", "5")
        await until(pilot, lambda: app.current_mode == "settings")


def test_bytes_of_one_write_are_all_taken_in_order(tmp_path: Path) -> None:
    (tmp_path / "config.toml").touch()
    workspace = Workspace(tmp_path, loading.load(tmp_path).settings.paths)
    write(workspace, run_id(0), trained(0, 1_700_000_000.0))
    journal = workspace.run_folder(run_id(0)) / "events.jsonl"
    terminal = Terminal(100, 30)
    process = terminal.spawn([PYTHON, "-m", "opeddev_tui", str(tmp_path)])
    try:
        wait_until(lambda: terminal.shows("is trained"), 20, "the workspace is read")
        terminal.press("oshorter answers, quicker\x13:note a second one\r5")
        wait_until(lambda: terminal.shows("model.name"), 20, "the settings")
        wait_until(lambda: '"note":"a second one"' in journal.read_text(), 10, "the second note")
        assert '"note":"shorter answers, quicker"' in journal.read_text()
    finally:
        end(process)
        terminal.close()


async def test_what_is_typed_behind_enter_goes_to_the_row_that_is_still_being_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row opens before the hold-out is read: "escape" leaves it, and the letter behind acts on the list."""
    go = threading.Event()
    read = GradesScreen._holdout

    def slow(screen: GradesScreen, fingerprint: str) -> object:
        go.wait(30)
        return read(screen, fingerprint)

    monkeypatch.setattr(GradesScreen, "_holdout", slow)
    app = tour.make(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        try:
            async for _ in tour.tour(app, pilot, {"grades": tour.STOPS["grades"]}):
                press_at_once(app, "enter", "j", "q", "enter")
                await until(pilot, lambda: isinstance(app.screen, GradedRow) and not app._keys)
                assert app._exit is False
                press_at_once(app, "escape", "escape", "3")
                await until(pilot, lambda: app.current_mode == "checkpoints")
        finally:
            go.set()


async def test_what_is_typed_behind_the_key_that_asks_for_a_checkpoint_goes_to_the_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question opens before the list is read; what needs no reading can be chosen at once."""
    go = threading.Event()
    read = GraderTasks._checkpoints

    def slow(tasks: GraderTasks) -> object:
        go.wait(30)
        return read(tasks)

    monkeypatch.setattr(GraderTasks, "_checkpoints", slow)
    app = tour.make(tmp_path)
    async with tour.fake_graders(), app.run_test(size=(80, 24)) as pilot:
        try:
            async for _ in tour.tour(app, pilot, {"grader": tour.STOPS["grader"]}):
                pass
            screen = app.screen
            assert isinstance(screen, GraderScreen)
            press_at_once(app, "f", "j", "enter")
            await until(pilot, lambda: screen.desk.sides[0].source == "latest")
            press_at_once(app, "f", "3", "q", "f")
            await until(pilot, lambda: len(app.screen.query("#choices")) == 1 and not app._keys)
            rows = app.screen.query_one("#choices", Grid)
            await until(pilot, lambda: rows.row_count == 3)
            go.set()
            await until(pilot, lambda: rows.row_count > 3)
            # the app draws whatever is on top, again and again
            app.show_now()
            assert app.current_mode == "grader"
        finally:
            go.set()
