"""A letter that acts on a training means nothing harmless elsewhere; one word has one key on every screen."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import opeddev_tui.ui
from opeddev_tui.ui.keys import TABLES, Key
from opeddev_tui.ui.screens import quit as quitting
from opeddev_tui.ui.screens import recovery
from opeddev_tui.ui.screens.glossary import WORDS
from opeddev_tui.ui.widgets.dialogs import CANCEL

ROWS = [key for table in TABLES.values() for key in table]
# on the monitor these letters answer the question, or end the training; elsewhere they may only act as well
DECISIVE = {
    "c": {"monitor.continue", "grader.correct"},
    "s": {"monitor.stop", "grader.stop", "checkpoints.score", "runs.other-seeds"},
}
# a word in the footer and the keys that it has on every screen that has the word
SAME = {
    "Compare": "C", "Undo": "u", "Observation": "o", "Order": "o", "Sort": "o", "Details": "i", "Filter": "slash",
    "Search": "slash", "Mark": "space", "Reload": "r", "Values": "v", "All charts": "a", "Smoothing": "m",
    "X axis": "x", "Log scale": "l", "Next chart": "n", "Stop": "s", "Grow": "enter", "Help": "question_mark",
    "Open": "enter", "Read": "enter",
}  # fmt: skip


@pytest.mark.parametrize("letter", list(DECISIVE))
def test_a_letter_that_decides_does_nothing_harmless_elsewhere(letter: str) -> None:
    assert {key.name for key in ROWS if letter in key.keys.split(",")} == DECISIVE[letter]


@pytest.mark.parametrize("label", list(SAME))
def test_one_word_has_one_key(label: str) -> None:
    holders = [key for key in ROWS if key.label == label]
    assert holders
    assert {key.name for key in holders if SAME[label] not in key.keys.split(",")} == set()


def test_whatever_closes_without_doing_anything_is_no_letter_but_q_and_the_key_that_opened_it() -> None:
    closing = [key for key in ROWS if key.label in ("Back", "Close", "Leave", "Not now", "Clear")]
    letters = {one for key in closing for one in key.keys.split(",") if len(one) == 1}
    assert letters == {"q", "m", "t"}  # m: grades and back, t: the table of prompts and back


def test_the_answer_that_does_nothing_is_esc_in_every_dialog() -> None:
    named = [CANCEL, quitting.STOP, quitting.STAY, recovery.RESUME, recovery.NEW, recovery.LOOK]
    assert [key for key, result, _ in named if not result] == ["escape"] * 3
    texts = "\n".join(path.read_text() for path in Path(opeddev_tui.ui.__path__[0]).rglob("*.py"))
    assert re.findall(r'\(\s*"(\w)", ""', texts) == []


@pytest.mark.parametrize("key", ROWS, ids=lambda key: key.name)
def test_every_key_is_written_with_characters_that_can_be_seen(key: Key) -> None:
    assert key.display.isprintable()
    assert all(part for part in key.display.split(" "))


def test_a_key_that_is_held_with_ctrl_is_written_one_way() -> None:
    assert {key.name for key in ROWS if re.search(r"(?i)ctrl\+", key.display + key.help)} == set()
    sources = {path: path.read_text() for path in Path(opeddev_tui.ui.__path__[0]).rglob("*.py")}
    described = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    spelt = []
    for path, source in sources.items():
        nodes = list(ast.walk(ast.parse(source)))
        about = {ast.get_docstring(node, clean=False) for node in nodes if isinstance(node, described)}
        texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
        spelt += [(path.name, text) for text in texts if re.search(r"Ctrl\+[A-Z]", text) and text not in about]
    assert spelt == []
    assert any(word == "^p" for word, _ in WORDS)
