"""Owns notices in a terminal: the bell, the sequence for a desktop notification where one is understood, the title.

Only text that passed ``clean_line`` is written, and only to a real terminal.
"""

import os
import sys
from collections.abc import Callable, Mapping

from opeddev_tui.notices.rules import Notice
from opeddev_tui.text import clean_line

_BELL = "\a"
_NO_SEQUENCES = ("linux", "dumb", "vt")


def sequence(notice: Notice, environment: Mapping[str, str]) -> str:
    """Return what to write: a bell, and OSC 777 or OSC 9 by the kind of terminal (unknown ones ignore it)."""
    if not _understands(environment):
        return _BELL
    term = environment["TERM"]
    title = clean_line(notice.title, max_chars=120)
    body = clean_line(notice.body, max_chars=240)
    if term.startswith(("rxvt", "foot")) or "VTE_VERSION" in environment:
        # a semicolon ends the title
        told = f"\x1b]777;notify;{title.replace(';', ',')};{body}{_BELL}"
    else:
        told = f"\x1b]9;{title}: {body}{_BELL}"
    if "TMUX" in environment:
        # tmux hands it on where allow-passthrough is on, and drops it where not
        doubled = told.replace("\x1b", "\x1b\x1b")
        told = f"\x1bPtmux;{doubled}\x1b\\"
    return told + _BELL


def title_sequence(title: str, environment: Mapping[str, str]) -> str:
    """Return what makes ``title`` the window's title (tmux: the pane's), empty where it would be printed instead."""
    return f"\x1b]2;{clean_line(title, max_chars=120)}\x1b\\" if _understands(environment) else ""


def _understands(environment: Mapping[str, str]) -> bool:
    term = environment.get("TERM", "")
    return bool(term) and not term.startswith(_NO_SEQUENCES)


def terminal(
    write: Callable[[str], object] | None = None, environment: Mapping[str, str] | None = None
) -> Callable[[Notice], str | None] | None:
    """Return the way to the terminal, None where there is none.

    ``write`` is for an app that owns the terminal and must not be written across.
    """
    known = os.environ if environment is None else environment
    writer = write or _terminal_writer()
    if writer is None:
        return None

    def deliver(notice: Notice) -> str | None:
        try:
            writer(sequence(notice, known))
        except (OSError, ValueError) as error:
            return type(error).__name__
        return None

    return deliver


def _terminal_writer() -> Callable[[str], object] | None:
    for stream in (sys.stderr, sys.stdout):
        try:
            descriptor = stream.fileno()
        except (OSError, ValueError, AttributeError):
            continue
        if os.isatty(descriptor):
            return lambda text: os.write(descriptor, text.encode("utf-8", errors="replace"))
    return None
