"""Every key that is bound arrives as what it is bound by, from the bytes that ordinary terminals send for it."""

from __future__ import annotations

import pytest
from textual.events import Key as KeyEvent
from textual.keys import key_to_character

from opeddev_tui.terminal.textual_private import KeyParser
from opeddev_tui.ui.keys import TABLES

# as xterm, tmux, screen and the Linux console send them
SENT = {
    "enter": "\r", "escape": "\x1b", "tab": "\t", "shift+tab": "\x1b[Z", "space": " ", "up": "\x1b[A", "down": "\x1b[B",
    "right": "\x1b[C", "left": "\x1b[D", "pageup": "\x1b[5~", "pagedown": "\x1b[6~", "home": "\x1b[H", "end": "\x1b[F",
    "minus": "-", "plus": "+", "slash": "/", "delete": "\x1b[3~", "f1": "\x1bOP", "backspace": "\x7f",
}  # fmt: skip
KEYS = sorted({key for table in TABLES.values() for row in table for key in row.keys.split(",")})


def sent(key: str) -> str:
    """Return what a terminal sends for a key of Textual's name."""
    if key in SENT:
        return SENT[key]
    *held, last = key.split("+")
    char = key_to_character(last) or last
    assert len(char) == 1, f"how is {key} sent?"
    if held == ["ctrl"]:
        return chr(ord(char.upper()) ^ 0x40)
    assert held in ([], ["alt"]), f"how is {key} sent?"
    return f"\x1b{char}" if held else char


@pytest.mark.parametrize("key", KEYS)
def test_a_key_arrives_as_it_is_bound(key: str) -> None:
    parser = KeyParser(False)
    events = [*parser.feed(sent(key)), *parser.feed("")]
    assert [event.key for event in events if isinstance(event, KeyEvent)] == [key]


@pytest.mark.parametrize("digit", "0123456789")
def test_alt_and_a_digit_is_no_other_character(digit: str) -> None:
    parser = KeyParser(False)
    events = [event for event in parser.feed(f"\x1b{digit}") if isinstance(event, KeyEvent)]
    assert [(event.key, event.character) for event in events] == [(f"alt+{digit}", None)]
