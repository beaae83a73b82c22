"""Tell whether the terminal shows only ASCII, and which ASCII character then stands for the text of a cell.

The one table for that: it is used where cells are sent (``cells``), so nothing that draws needs one of its own.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

_PAIRS = (
    ("─━═╌┄┈╴╶╸╺–—−‒―▔▁", "-"),
    ("│┃║╎┆┊╵╷╹╻▏▎▍▌▕▐▊▋▉", "|"),
    ("█▇▆■▓◼◆", "#"),
    ("▅▄▃", "="),
    ("▂", "_"),
    ("░·‥…⋯∙⠒", "."),
    ("▒", ":"),
    ("●", "@"),
    ("•★⚑", "*"),
    ("○◌◦", "o"),
    ("✓✔", "+"),
    ("✗✘×", "x"),
    ("▶▸►→›»", ">"),
    ("≠", "!"),
    ("◀◂◄←‹«", "<"),
    ("↑▲", "^"),
    ("↓▼", "v"),
    ("‖", "="),
    ("±", "+"),
    ("Δ", "d"),
    ("“”„", '"'),
    ("‘’", "'"),
    ("⏎", "|"),
    ("°\u00a0\u2800", " "),
)
_TABLE = {char: shown for chars, shown in _PAIRS for char in chars}


def ascii_only(environment: Mapping[str, str] | None = None) -> bool:
    """True where the locale names a character set that is not UTF-8. One that names nothing is taken for UTF-8."""
    found = _own_environment() if environment is None else environment
    named = next((found[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if found.get(name)), "")
    return bool(named) and "utf" not in named.lower()


def _own_environment() -> dict[str, str]:
    """Return the environment this process was given: Python changes LC_CTYPE where it is plain C."""
    try:
        raw = Path("/proc/self/environ").read_bytes().decode(errors="replace")
    except OSError:
        return dict(os.environ)
    given = dict(pair.partition("=")[::2] for pair in raw.split("\0") if pair)
    # what a test or a wrapper set later counts more, but for the one that Python itself sets
    return given | {name: value for name, value in os.environ.items() if name != "LC_CTYPE"}


@lru_cache(maxsize=4096)
def as_ascii(char: str) -> str:
    """Return the ASCII character that stands for the text of one cell."""
    if char.isascii():
        return char
    found = _TABLE.get(char)
    if found is not None:
        return found
    code = ord(char[0])
    if 0x2500 <= code < 0x2580:
        return "+"  # corners and crossings of lines
    if 0x2580 <= code < 0x25A0:
        return "#"
    if 0x2800 < code < 0x2900:
        return "*"
    plain = unicodedata.normalize("NFKD", char)[0]
    return plain if plain.isascii() and plain.isprintable() else "?"
