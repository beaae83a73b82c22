"""A text that names a key names the one that its action has now: no text has a key of a table written into it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import screen_text
from scenes import until
from textual.pilot import Pilot
from tour import AT_REST, fake_graders, make, tour

import opeddev_tui.ui
from opeddev_tui.config import loading
from opeddev_tui.config.own_keys import OwnKeys
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.keymap import names
from opeddev_tui.ui.keys import SCREEN_KEYS
from opeddev_tui.ui.screens.base import BaseScreen

UI = Path(opeddev_tui.ui.__path__[0])
# a key that has a name, one that is held with Ctrl, an arrow
NAMED = r"Esc|Enter|Tab|Space|PgUp|PgDn|Home|End|Del|\^[a-z]|[←→↑↓]"
LITERAL = re.compile(
    # x counts one grade off; (x: within one grade); press t; Runs (6)
    rf"(?:^(?!:)|(?<=[\s(:;,.·]))(?:[b-zB-HJ-Z/?:+-]|{NAMED}) (?=[a-z]+s\b)|(?<!\w)\((?:\w|{NAMED})[:)]"
    rf"|\b[Pp]ress(?:ing)? (?:\w|{NAMED})\b|(?<!\w)\^[a-z]\b"
)
# dialogs and fields with keys of their own, which no table has and nobody can move: file, what it says
OWN = {
    ("screens/command_line/typed.py", "Tab"), ("screens/command_line/carry_out.py", "Tab"),
    ("screens/command_line/typed.py", "Esc"), ("screens/command_line/typed.py", "↑"),
    ("screens/grader/choose.py", "Enter"), ("screens/grader/choose.py", "Esc"),
    ("screens/grader/correct.py", "^s"), ("screens/grader/correct.py", "Tab"), ("screens/grader/correct.py", "Esc"),
    ("screens/setting_dialogs.py", "Enter"), ("screens/setting_dialogs.py", "Esc"),
    ("screens/setting_dialogs.py", "Space"), ("screens/help.py", "Esc"), ("widgets/dialogs.py", "Esc"),
    ("widgets/dialogs.py", "Enter"),
    # how such keys are written
    ("screens/glossary.py", "^p"), ("screens/glossary.py", "press p"),
}  # fmt: skip


def texts_of(source: str) -> Iterator[str]:
    """Yield all texts of a module but its docstrings."""
    tree = ast.parse(source)
    described = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    about = {id(node.body[0].value) for node in ast.walk(tree)
             if isinstance(node, described) and node.body and isinstance(node.body[0], ast.Expr)}  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in about:
            yield node.value


def test_no_text_has_a_key_of_a_table_written_into_it() -> None:
    found = {
        (str(path.relative_to(UI)), match[0].strip(" (:)"))
        for path in UI.rglob("*.py")
        if path.name not in ("keys.py", "list_keys.py", "key_rows.py", "keymap.py")
        for text in texts_of(path.read_text())
        for match in LITERAL.finditer(text)
    }
    assert found - OWN == set()
    # what is no longer written there is not excused
    assert OWN - found == set()


def test_what_is_looked_for_is_found() -> None:
    for text in ("It is grading: s stops that.", "rows (x: within one grade)", "In Runs (6) are", "press t to begin",
                 "the first are shown: / searches", "^g grades beside it", "Enter opens it"):  # fmt: skip
        assert LITERAL.search(text), text
    for text in ("a person grades all", "{grader.stop} stops that", "the step's run"):
        assert not LITERAL.search(text), text


def moved() -> dict[str, OwnKeys]:
    """Return keys for every action that no other action has, and that no text spells."""
    letters = iter(chr(code) for code in range(0x3B1, 0x3B1 + 600) if chr(code).isalnum())
    return {name: OwnKeys((next(letters),), "test") for name in names()}


async def use(app: OpeddevApp, pilot: Pilot[str], keys: dict[str, OwnKeys]) -> None:
    app.use_settings(loading.LoadedSettings(app.loaded.settings, app.loaded.origins, keys))
    app.show_now()
    for _ in range(4):
        await pilot.pause()


def spelt(screen: BaseScreen) -> set[str]:
    """Return the keys that ship of ``screen`` which can be read there."""
    every = {text for _, keys in SCREEN_KEYS[screen.mode] for key in keys for text in key.display.split(" ")}
    words = "|".join(re.escape(text) for text in every if len(text) > 1)
    letters = "|".join(re.escape(text) for text in every - {"a"} if len(text) == 1 and not text.isdigit())
    shown = screen_text.text_of(screen)
    return {*re.findall(rf"(?<![\w\"'])(?:{words})(?!\w)", shown),
            *re.findall(rf"(?<=[\s(])(?:{letters}) (?=[a-z]+s\b)", shown)}  # fmt: skip


async def test_every_screen_names_the_keys_as_they_are_now(tmp_path: Path) -> None:
    app, walked = make(tmp_path), set()
    stops = [name for name, stop in AT_REST.items() if issubclass(stop.shown, BaseScreen) and not stop.text]
    async with fake_graders(), app.run_test(size=(120, 40)) as pilot:
        async for name in tour(app, pilot, stops):
            if isinstance(app.screen, BaseScreen) and app.screen.mode in SCREEN_KEYS:
                await use(app, pilot, moved())
                assert spelt(app.screen) == set(), name
                await use(app, pilot, {})
                walked.add(app.screen.mode)
    # the blind round is a dialog
    assert walked == set(SCREEN_KEYS) - {"blind"}


async def test_dialogs_with_keys_of_a_table_name_them_as_they_are_now(tmp_path: Path) -> None:
    app = make(tmp_path)
    own = {name: OwnKeys(("f8",), "test") for name in ("note.not-now", "try.close")}
    async with fake_graders(), app.run_test(size=(120, 40)) as pilot:
        async for name in tour(app, pilot, {"note", "own-prompt", "try"}, but_last=True):
            await use(app, pilot, own)
            await pilot.press(AT_REST[name].keys[-1])
            await until(pilot, lambda: "F8 closes; what is typed stays" in screen_text.text_of(app.screen))
            assert "Esc" not in screen_text.text_of(app.screen)
            await use(app, pilot, {})


async def test_the_grader_s_empty_page_names_the_keys_as_they_are_now(tmp_path: Path) -> None:
    app = make(tmp_path)
    async with fake_graders(), app.run_test(size=(120, 40)) as pilot:
        async for _ in tour(app, pilot, {"grader"}):
            await use(app, pilot, {"grader.code": OwnKeys(("ü",), "test"), "grader.grade": OwnKeys(("f7",), "test")})
            await until(pilot, lambda: "ü write or paste code" in screen_text.words_of(app.screen))
            shown = screen_text.words_of(app.screen)
            assert all(text in shown for text in ("F7 grade", "F7 grades it", "F7 Grade"))
            # changed while another screen is on top
            await pilot.press("1")
            await use(app, pilot, {"grader.grade": OwnKeys(("f9",), "test")})
            await pilot.press("9")
            await until(pilot, lambda: "F9 grades it" in screen_text.words_of(app.screen))
            await until(pilot, lambda: "F9 Grade " in screen_text.words_of(app.screen))
            await use(app, pilot, {})
