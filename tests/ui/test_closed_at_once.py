"""What closes as it opens: a dialog whose parts are never made, and keys of an app that has no screen any more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scenes import make as make_scene
from scenes import until
from textual.events import Key
from tour import STOPS, fake_graders, make, tour

from opeddev_tui.terminal.textual_private import Dialog

# dialogs that look for their parts once they are mounted, and one that does not
DIALOGS = ("note", "blind", "try", "help")


async def test_a_dialog_that_closes_before_its_parts_are_there_fails_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, walked, compose = make(tmp_path), [], Dialog._compose

    async def closing(dialog: Dialog[Any]) -> None:
        dialog._pruning = True
        await compose(dialog)

    async with fake_graders(), app.run_test(size=(80, 24)) as pilot:
        async for name in tour(app, pilot, DIALOGS, but_last=True):
            with monkeypatch.context() as closed:
                closed.setattr(Dialog, "_compose", closing)
                await pilot.press(STOPS[name].keys[-1])
                await until(pilot, lambda name=name: type(app.screen) is STOPS[name].shown and app.screen.is_running)
                await pilot.pause()
            assert not app.screen.children, name
            walked.append(name)
    assert sorted(walked) == sorted(DIALOGS)


async def test_keys_that_come_while_the_app_closes_are_for_nobody(tmp_path: Path) -> None:
    app = make_scene(tmp_path, "finished")
    async with app.run_test() as pilot:
        await pilot.pause()
        stack, app._screen_stacks[app.current_mode] = app._screen_stack, []
        try:
            await app.on_event(Key("x", "x"))
            assert not app._keys
        finally:
            app._screen_stacks[app.current_mode] = stack
