"""Differences between two texts, word by word."""

import difflib
import re
from typing import Literal

from msgspec import Struct

from opeddev_tui.text import clean

_WORD = re.compile(r"\s+|\w+|[^\w\s]")
# longer texts are not compared: the time grows with the square of this
_MOST_WORDS = 3000

Kind = Literal["same", "removed", "added"]


class Piece(Struct, frozen=True):
    """A part of a text that is in both texts, only in the earlier or only in the later one."""

    kind: Kind
    text: str


def word_differences(before: str, after: str) -> tuple[list[Piece], list[Piece]]:
    """Return the pieces of ``before`` and of ``after``; joined, they are the cleaned texts."""
    old, new = _WORD.findall(clean(before)), _WORD.findall(clean(after))
    if len(old) > _MOST_WORDS or len(new) > _MOST_WORDS:
        return [Piece("removed", "".join(old))], [Piece("added", "".join(new))]
    left: list[Piece] = []
    right: list[Piece] = []
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if i2 > i1:
            left.append(Piece("same" if tag == "equal" else "removed", "".join(old[i1:i2])))
        if j2 > j1:
            right.append(Piece("same" if tag == "equal" else "added", "".join(new[j1:j2])))
    return left, right
