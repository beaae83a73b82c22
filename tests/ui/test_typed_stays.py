"""What a person has typed into a dialog is there again after Esc, until it is kept; Enter in it keeps nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from scenes import until
from textual.pilot import Pilot
from textual.screen import ModalScreen
from textual.widgets import Input, TextArea
from tour import AT_REST, fake_graders, go, make, tour

from opeddev_tui.errors import StorageProblem
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.screens.grading.regrade import RegradeScreen
from opeddev_tui.ui.tasks.ratings import Recorder

# dialogs for a text of a person's own, and the key that keeps it there; None where nothing is ever kept
TEXTS = {
    "note": "ctrl+s",
    "own-prompt": "ctrl+s",
    "checkpoint-note": "enter",
    "try": None,
    "try-template": None,
    "regrade-note": "enter",
    "correct": None,
}
# dialogs that ask for a value or a name, or whose text is part of another one above: Esc drops it
VALUES = {"export", "try-row", "try-file", "setting", "regrade-grade", "palette", "command-line"}


def typed(app: OpeddevApp) -> str:
    field = app.focused
    assert isinstance(field, Input | TextArea)
    return field.value if isinstance(field, Input) else field.text


async def left(app: OpeddevApp, pilot: Pilot[str]) -> None:
    """Press Esc in the dialog on top; it closes."""
    dialog = app.screen
    await pilot.press("escape")
    await until(pilot, lambda: app.screen is not dialog)


def test_every_dialog_that_takes_a_text_is_known_here() -> None:
    dialogs = {name for name, stop in AT_REST.items() if stop.text and stop.keys[-1] != "slash"}
    assert dialogs - {"grader-code", "grader-path"} == set(TEXTS) | VALUES


async def test_what_is_typed_stays_until_it_is_kept(tmp_path: Path) -> None:
    app = make(tmp_path)
    async with fake_graders(), app.run_test(size=(120, 40)) as pilot:
        async for name in tour(app, pilot, TEXTS):
            if name == "correct":
                await pilot.press("tab")
            before = typed(app)
            await pilot.press(*"seen")
            assert typed(app) == f"{before}seen", name
            assert "what is typed stays" in str(app.screen.query_one(".dialog").border_subtitle), name
            await left(app, pilot)
            # another one of the same kind is not concerned
            assert not [about for about, text in app.session.drafts.items() if "seen" not in text], name
            stop = AT_REST["try" if name == "try-template" else name]
            if name == "correct":
                # the answer is still there, and so is its draft
                await pilot.press("c")
                await until(pilot, lambda: type(app.screen) is AT_REST["correct"].shown)
                await pilot.press("tab")
            else:
                await go(app, pilot, stop)
            assert typed(app) == f"{before}seen", name
            assert app.screen.has_class("-template") == (name == "try-template"), name
            key = TEXTS[name]
            if key is not None:
                await pilot.press(key)
                await until(pilot, lambda stop=stop: type(app.screen) is not stop.shown)  # type: ignore[misc]
                assert not [about for about, text in app.session.drafts.items() if "being typed" in about and text]
        # kept: the next text begins anew
        await go(app, pilot, AT_REST["note"])
        assert typed(app) == ""


async def test_a_note_waits_for_the_grade_of_its_row(tmp_path: Path) -> None:
    app = make(tmp_path)
    async with fake_graders(), app.run_test(size=(120, 40)) as pilot:
        async for _ in tour(app, pilot, ("regrade-note",)):
            await pilot.press(*"why", "enter")
            await until(pilot, lambda: isinstance(app.screen, RegradeScreen))
            await left(app, pilot)
            await go(app, pilot, AT_REST["regrade-note"])
            assert typed(app) == "why"


async def test_an_observation_that_the_disk_refused_is_there_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> bool:
        raise StorageProblem("cannot be written: the disk is full.")

    monkeypatch.setattr(Recorder, "_write", refused)
    app = make(tmp_path)
    async with fake_graders(), app.run_test(size=(120, 40)) as pilot:
        async for _ in tour(app, pilot, ("note",)):
            await pilot.press(*"seen", "ctrl+s")
            await until(pilot, lambda: app.session.drafts)
            await go(app, pilot, AT_REST["note"])
            assert typed(app) == "seen"


async def test_enter_goes_to_the_next_field_of_every_dialog_with_several(tmp_path: Path) -> None:
    app, seen = make(tmp_path), set()
    async with fake_graders(), app.run_test(size=(120, 40)) as pilot:
        async for name in tour(app, pilot, [name for name, stop in AT_REST.items() if stop.text]):
            dialog, fields = app.screen, [item for item in app.screen.focus_chain if isinstance(item, Input | TextArea)]
            if not isinstance(dialog, ModalScreen) or len(fields) < 2:
                continue
            seen.add(name)
            for field in [field for field in fields if isinstance(field, Input)]:
                field.focus()
                chain = dialog.focus_chain
                await pilot.press(*"x", "enter")
                assert app.screen is dialog, name
                assert app.focused is chain[(chain.index(field) + 1) % len(chain)], (name, field.id)
    assert seen == {"try-template", "correct"}
