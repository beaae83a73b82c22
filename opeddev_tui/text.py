"""Make text from outside (models, data sets, files, error messages) safe to show.

A terminal answers some control sequences as if a person had typed, so unfiltered text can press keys, set the
clipboard or hide itself. Everything that is shown passes ``clean`` once.
"""

import unicodedata

_LINE_BREAKS = frozenset("\u2028\u2029\x85\x0b\x0c")
# marks that reorder, join or hide what a person reads
_INVISIBLE = (
    frozenset(range(0x202A, 0x202F))
    | frozenset(range(0x2060, 0x2070))
    | frozenset({0x200B, 0x200C, 0x200E, 0x200F, 0x061C, 0xFEFF, 0x00AD, 0x180E})
    | frozenset(range(0xE0000, 0xE0080))
)
_MOST_COMBINING = 4
_REPLACEMENT = "\ufffd"
# of a text that may have any number of them
_MOST_LINES = 3


def _shown(char: str) -> str:
    """Return what is shown for one character: itself, a picture of it, or a replacement mark."""
    code = ord(char)
    if char in "\n\t":
        return char
    if char in _LINE_BREAKS:
        return "\n"
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if 0x80 <= code < 0xA0 or 0xD800 <= code < 0xE000 or code in _INVISIBLE:
        return _REPLACEMENT
    return char


def clean(text: str, *, max_chars: int = 20_000) -> str:
    """Return ``text`` without control bytes and reordering marks, cut after ``max_chars`` characters.

    Control characters become their visible pictures (``ESC`` is ``␛``), so nothing is hidden; newline and tab are kept.
    More than four combining marks per character are dropped.
    """
    if len(text) <= max_chars and text.isascii() and text.isprintable():
        return text
    shown: list[str] = []
    combining = 0
    for char in text[:max_chars]:
        if unicodedata.combining(char):
            combining += 1
            if combining > _MOST_COMBINING:
                continue
        else:
            combining = 0
        shown.append(_shown(char))
    if len(text) > max_chars:
        shown.append("… [cut]")
    return "".join(shown)


def clean_line(text: str, *, max_chars: int = 500) -> str:
    """Return ``clean(text)`` on one line, line breaks shown as ``⏎`` and tabs as a space."""
    return clean(text, max_chars=max_chars).replace("\n", "⏎").replace("\t", " ")


def clean_lines(text: str, *, max_chars: int = 300) -> list[str]:
    """Return the first three lines of ``text`` that say something, each cleaned; a last one counts the others."""
    # far more than is shown, to count lines
    found = [line for line in clean(text, max_chars=100_000).split("\n") if line.strip()]
    shown = [clean_line(line, max_chars=max_chars) for line in found[:_MOST_LINES]]
    return [*shown, f"… and {len(found) - _MOST_LINES:,} more"] if len(found) > _MOST_LINES else shown


def escaped(text: str) -> str:
    """Return JSON ``text`` with every character that ``clean`` would not show as it is written as an escape.

    Decoded, it is the same value.
    """
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    return "".join(char if _shown(char) == char else _escape(char) for char in text)


def _escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def is_text(name: str) -> bool:
    """False for the name of a file or folder whose bytes are not UTF-8, which no record can hold."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
