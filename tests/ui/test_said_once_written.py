"""That something is kept is said once the disk has it; where that takes nothing, the problem, and the text stays."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from pathlib import Path

import pytest
from msgspec import Struct
from scenes import until
from screen_text import words_of
from textual.widgets import Input, TextArea
from tour import AT_REST, fake_graders, go, make, tour

from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.keys import TABLES
from opeddev_tui.ui.screens.command_line.typed import WORDS


class Saver(Struct, frozen=True):
    """A key or a command that writes a person's work: the stop of the tour where it is, the keys, and what is told.

    ``text``, which was typed, is in the dialog still, or there again at the stop ``again``.
    """

    stop: str
    keys: tuple[str, ...]
    told: str
    text: str = ""
    again: str = ""


# by the key's name, or the word of the command line
SAVERS = {
    "monitor.observation": Saver("note", (*"seen", "ctrl+s"), "Observation kept.", "seen", "note"),
    "note": Saver("command-line", (*"note seen", "enter"), "Observation kept.", "seen", "note"),
    "generations.own-prompt": Saver("own-prompt", (*"seen", "ctrl+s"), "Kept: it is", "seen", "own-prompt"),
    "generations.pin": Saver("generations", ("f",), "Pinned: "),
    "checkpoints.pin": Saver("checkpoints", ("p",), ""),
    "checkpoints.note": Saver("checkpoint-note", (*"seen", "enter"), "", "seen", "checkpoint-note"),
    "settings.change": Saver("setting", ("ctrl+u", *"0.5", "enter"), "Saved training.", "0.5"),
    "settings.reset": Saver("settings-filter", (*"training.seed", "enter", "x"), "saved no value of training.seed"),
    "regrade.note": Saver("regrade-note", (*"seen", "enter", "4", "enter"), "the grade", "seen", "regrade-note"),
    "grader.correct": Saver("correct", ("2", "ctrl+s"), "in batch_corrections_01", "2"),
    "set": Saver("command-line", (*"set training.seed=43", "enter"), "Saved training.seed", "training.seed=43"),
    "unset": Saver("command-line", (*"unset training.seed", "enter"), "no longer set", "training.seed"),
    "key": Saver("command-line", (*"key monitor.pause Y", "enter"), "has the key Y now", "monitor.pause Y"),
    "write": Saver("runs", ("colon", *"write lists/runs.csv", "enter"), "Wrote ", "write lists/runs.csv"),
}
# what the help of a key or a command says of what it writes, and those of which it says something else
_WRITES = re.compile(r"(?i)\b(kept|saved|write|pin)\b")
_OTHERS = {
    *("generations.observation", "grading.observation"),  # the dialog of the monitor
    *("grader.code", "grader.feedback", "note.editor", "checkpoints.mark", "checkpoints.export"),
}


def test_every_key_and_command_that_keeps_something_is_walked() -> None:
    keys = {key.name: key.help for table in TABLES.values() for key in table}
    told = keys | {word.name: word.help for word in WORDS}
    assert {name for name, help_text in told.items() if _WRITES.search(help_text)} - _OTHERS <= set(SAVERS)
    assert set(SAVERS) | _OTHERS <= set(told)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the app says, in order."""
    found: list[str] = []
    tell = OpeddevApp.tell

    def telling(app: OpeddevApp, text: str, *, severity: str = "information") -> None:
        found.append(text)
        tell(app, text, severity=severity)

    monkeypatch.setattr(OpeddevApp, "tell", telling)
    return found


def typed(app: OpeddevApp) -> str:
    field = app.focused
    assert isinstance(field, Input | TextArea)
    return field.value if isinstance(field, Input) else field.text


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("name", SAVERS)
async def test_nothing_is_said_to_be_kept_that_the_disk_does_not_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str], name: str
) -> None:
    saver, app = SAVERS[name], make(tmp_path)
    async with fake_graders(), app.run_test(size=(120, 40)) as pilot:
        async for _ in tour(app, pilot, (saver.stop,)):
            with monkeypatch.context() as patch:
                patch.setattr(os, "write", full)
                patch.setattr(tempfile, "mkstemp", full)
                await pilot.press(*saver.keys)
                await until(pilot, lambda: "no space left" in f"{said} {words_of(app.screen)}".lower())
            assert not [words for words in said if saver.told and saver.told in words]
            assert not re.search(r"\{\w+\.[\w-]+\}", app.session.keymap.text(" ".join(said)))
            if saver.again:
                await go(app, pilot, AT_REST[saver.again])
            if saver.text:
                assert saver.text in typed(app)


@pytest.mark.parametrize("name", [name for name, saver in SAVERS.items() if saver.told])
async def test_what_the_disk_has_taken_is_said(tmp_path: Path, said: list[str], name: str) -> None:
    saver, app = SAVERS[name], make(tmp_path)
    async with fake_graders(), app.run_test(size=(120, 40)) as pilot:
        async for _ in tour(app, pilot, (saver.stop,)):
            await pilot.press(*saver.keys)
            await until(pilot, lambda: any(saver.told in words for words in said))
            if saver.again:
                await go(app, pilot, AT_REST[saver.again])
                assert saver.text not in typed(app)


async def test_an_observation_that_the_journal_alone_took_reaches_its_file_too(tmp_path: Path, said: list[str]) -> None:
    app, path = make(tmp_path), tmp_path / "logs/observations.md"
    path.mkdir(parents=True)
    async with fake_graders(), app.run_test(size=(120, 40)) as pilot:
        async for _ in tour(app, pilot, ("note",)):
            await pilot.press(*"seen", "ctrl+s")
            await until(pilot, lambda: any("it is a folder" in words for words in said))
            assert "Observation kept." not in said
            path.rmdir()
            await go(app, pilot, AT_REST["note"])
            assert typed(app) == "seen"
            await pilot.press("ctrl+s")
            await until(pilot, lambda: "Observation kept." in said)
    assert path.read_text().count("seen") == 1
    assert [note.note for note in app.session.current.notes] == ["seen"]
