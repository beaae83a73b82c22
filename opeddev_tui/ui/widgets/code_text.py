"""Render prompts and generations: code in colours, differences word by word with marks. Pure.

All text is cleaned here. The marks can be told apart without colour: −‹only left› and +‹only right›.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence

from textual.content import Content
from textual.highlight import highlight

from opeddev_tui.analysis.word_diff import Piece, word_differences
from opeddev_tui.text import clean

_TAB = 4
# colouring takes time in proportion to the length: a longer text stays plain
_MOST_COLOURED = 20_000
_FENCE = re.compile(r"^```([\w+-]*)[^\n]*\n(.*?)(?=^```|\Z)", re.MULTILINE | re.DOTALL)
_LABELLED = re.compile(r"^(?:submission|code|answer|solution)[ \t]*:[ \t]*\n", re.MULTILINE | re.IGNORECASE)
_LANGUAGES = {
    "html": "html", "css": "css", "scss": "scss", "js": "javascript", "javascript": "javascript", "json": "json",
    "ts": "typescript", "typescript": "typescript", "jsx": "jsx", "tsx": "tsx", "react": "jsx", "python": "python",
    "py": "python", "vue": "html", "svelte": "html", "sql": "sql", "sh": "bash", "bash": "bash",
}  # fmt: skip
_MARKS = {"removed": "−", "added": "+", "other": ""}
_STYLES = {"removed": "bold $text-warning", "added": "bold $text-success", "other": "bold $text-accent"}


def shown(text: str) -> str:
    """Return ``text`` cleaned, its tabs as spaces."""
    return clean(text).expandtabs(_TAB)


@functools.lru_cache(maxsize=64)
def coloured(text: str, kind: str = "") -> Content:
    """Return ``text`` with its code in colours; ``kind`` is the language of code that does not name its own."""
    plain = shown(text)
    content = Content(plain)
    if len(plain) > _MOST_COLOURED:
        return content
    for start, end, language in _code(plain, kind.lower()):
        for span in highlight(plain[start:end], language=language).spans:
            if span.style != "$text":
                content = content.stylize(span.style, start + span.start, min(end, start + span.end))
    return content


@functools.lru_cache(maxsize=64)
def code(text: str, kind: str) -> Content:
    """Return a text that is code from its beginning to its end, in colours."""
    plain = shown(text)
    language = _language(plain, kind.lower())
    return highlight(plain, language=language) if language and len(plain) <= _MOST_COLOURED else Content(plain)


def _code(text: str, kind: str) -> Iterator[tuple[int, int, str]]:
    """Yield (start, end, language) of every part of ``text`` that is code."""
    fences = list(_FENCE.finditer(text))
    for fence in fences:
        language = _LANGUAGES.get(fence[1].lower()) or _language(fence[2], kind)
        if language:
            yield fence.start(2), fence.end(2), language
    labelled = _LABELLED.search(text)
    if labelled is not None and not any(fence.end() > labelled.end() for fence in fences):
        language = _language(text[labelled.end() :], kind)
        if language:
            yield labelled.end(), len(text), language


def _language(code: str, kind: str) -> str:
    if re.match(r"\s*<[!a-zA-Z]", code):
        return _LANGUAGES.get(kind, "html") if kind in ("jsx", "tsx", "react") else "html"
    return _LANGUAGES.get(kind, "")


@functools.lru_cache(maxsize=64)
def compared(left: str, right: str, kind: str = "", *, marks: bool = True, blind: bool = False) -> tuple[Content, ...]:
    """Return both texts with their differences marked; ``blind`` marks both alike, so that no mark tells the sides."""
    if left == right or not marks:
        return coloured(left, kind), coloured(right, kind)
    pieces = word_differences(left.expandtabs(_TAB), right.expandtabs(_TAB))
    sides = [_joined(side) for side in pieces]
    return tuple(_marked(side, coloured("".join(piece.text for piece in side), kind), blind) for side in sides)


def _joined(pieces: Sequence[Piece]) -> list[Piece]:
    """Join differences that only blanks keep apart, so that a phrase is marked once."""
    joined: list[Piece] = []
    for at, piece in enumerate(pieces):
        between = 0 < at < len(pieces) - 1 and pieces[at - 1].kind == pieces[at + 1].kind != "same"
        kind = pieces[at - 1].kind if piece.kind == "same" and between and piece.text.isspace() else piece.kind
        if joined and joined[-1].kind == kind:
            joined[-1] = Piece(kind, joined[-1].text + piece.text)
        else:
            joined.append(Piece(kind, piece.text))
    return joined


def _marked(pieces: Sequence[Piece], content: Content, blind: bool) -> Content:
    parts: list[Content] = []
    at = 0
    for piece in pieces:
        part = content[at : at + len(piece.text)]
        at += len(piece.text)
        if piece.kind == "same" or not piece.text.strip():
            parts.append(part)
            continue
        kind = "other" if blind else piece.kind
        start = len(piece.text) - len(piece.text.lstrip())
        end = len(piece.text.rstrip())
        parts += [
            part[:start],
            Content.styled(f"{_MARKS[kind]}‹", _STYLES[kind]),
            part[start:end].stylize("underline"),
            Content.styled("›", _STYLES[kind]),
            part[end:],
        ]
    return Content("").join(parts)
