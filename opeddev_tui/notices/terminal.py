"""Notices in a terminal: the bell, a desktop notification if the terminal understands one, the window's title.

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
    """Return the control sequence of a notice: a bell, and OSC 777 or OSC 9 by the kind of terminal."""
    if not _understands(environment):
        return _BELL
    term = environment["TERM"]
    title = clean_line(notice.title, max_chars=120)
    body = clean_line(notice.body, max_chars=240)
    if term.startswith(("rxvt", "foot")) or "VTE_VERSION" in environment:
        # a semicolon ends the title
        notification = f"\x1b]777;notify;{title.replace(';', ',')};{body}{_BELL}"
    else:
        notification = f"\x1b]9;{title}: {body}{_BELL}"
    if "TMUX" in environment:
        # tmux passes it on if allow-passthrough is on, and drops it otherwise
        doubled = notification.replace("\x1b", "\x1b\x1b")
        notification = f"\x1bPtmux;{doubled}\x1b\\"
    return notification + _BELL


def title_sequence(title: str, environment: Mapping[str, str]) -> str:
    """Return the sequence that sets the window's title (tmux: the pane's), empty if the terminal would print it."""
    return f"\x1b]2;{clean_line(title, max_chars=120)}\x1b\\" if _understands(environment) else ""


def _understands(environment: Mapping[str, str]) -> bool:
    term = environment.get("TERM", "")
    return bool(term) and not term.startswith(_NO_SEQUENCES)


def terminal(environment: Mapping[str, str] | None = None) -> Callable[[Notice], str | None] | None:
    """Return the function that delivers notices to the terminal (``delivery.Deliver``), None without a terminal."""
    variables = os.environ if environment is None else environment
    writer = _terminal_writer()
    if writer is None:
        return None

    def deliver(notice: Notice) -> str | None:
        try:
            writer(sequence(notice, variables))
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
            # looked at again: a terminal that has gone may have been replaced by a log
            return lambda text: os.isatty(descriptor) and os.write(descriptor, text.encode("utf-8", errors="replace"))
    return None
