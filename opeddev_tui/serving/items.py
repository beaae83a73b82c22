"""Submissions as they lie in files, before any model is asked: their fields, their place, what is wrong with them.

Bytes become text here. Must not raise for one bad file: it becomes a submission that says why.
"""

from collections import Counter
from typing import Any

from msgspec import Struct, field

from opeddev_tui.data.byte_order import is_unmarked_wide, marked_text, wide_encoding

# what a text file may hold besides printable characters: tab, line ends, form feed
_PLAIN_CONTROLS = frozenset(b"\t\n\r\f")
# more control bytes than this share: no text
_MOST_CONTROLS = 0.02
NO_TEXT = "it is no text, but binary data."
_NO_MARK = "it looks like UTF-16 without a byte order mark: save it as UTF-8."


class Item(Struct, frozen=True):
    """One submission: its ``fields`` as of a grading row, and the place for messages.

    ``name`` is its file's name, from which the kind is guessed; ``problem`` says why it cannot be graded, ``doubts``
    why a person should look at its grade.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    file: str = ""
    name: str = ""
    problem: str = ""
    doubts: tuple[str, ...] = ()


class Skipped(Struct):
    """What was left out on purpose, counted by reason."""

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, reason: str, count: int = 1) -> None:
        """Count ``count`` more that were left out because of ``reason``."""
        if count:
            self.counts[reason] += count

    @property
    def words(self) -> str:
        """All reasons with their counts, empty where nothing was left out."""
        return ", ".join(f"{reason} ({count})" for reason, count in self.counts.items())


def is_binary(content: bytes) -> bool:
    """Return whether ``content`` is no text in any encoding that is read here."""
    if wide_encoding(content):
        return False
    controls = sum(content.count(byte) for byte in range(32) if byte not in _PLAIN_CONTROLS)
    return b"\0" in content or controls > _MOST_CONTROLS * len(content)


def text_of(content: bytes) -> tuple[str, str, tuple[str, ...]]:
    """Return the text of a file, or why it has none, and what to doubt: (text, problem, doubts)."""
    if is_binary(content):
        return "", _NO_MARK if is_unmarked_wide(content) else NO_TEXT, ()
    try:
        return marked_text(content), "", ()
    except UnicodeDecodeError as error:
        if wide := wide_encoding(content):
            return "", f"it is damaged {wide.upper()} text.", ()
        where = error.start
    try:
        doubt = f"it is not UTF-8 (byte {where}) and was read as Windows-1252."
        return content.decode("cp1252"), "", (doubt,)
    except UnicodeDecodeError:
        return "", f"its encoding is not known: byte {where} is not UTF-8.", ()


def item_of(content: bytes, file: str, most: int, *, doubts: tuple[str, ...] = ()) -> Item:
    """Return the submission that the bytes of ``file`` are; ``content`` may be one byte longer than ``most``."""
    if len(content) > most:
        return Item({}, file, file, f"it is longer than {most} bytes (data.max_line_bytes).")
    text, problem, more = text_of(content)
    return Item({"submission": text}, file, file, problem, (*doubts, *more))


def together(parts: list[tuple[str, Item]], file: str, most: int) -> Item:
    """Return several files as one submission, each under a line with its name."""
    good = [(name, item) for name, item in parts if not item.problem and item.fields["submission"].strip()]
    doubts = [f"{name}: {item.problem}" for name, item in parts if item.problem]
    doubts += [f"{name}: {doubt}" for name, item in parts for doubt in item.doubts]
    text = "\n".join(f"=== {name} ===\n{item.fields['submission']}" for name, item in good)
    if len(text.encode("utf-8", "replace")) > most:
        return Item({}, file, "", f"its files together are longer than {most} bytes (data.max_line_bytes).")
    kinds = {name.rpartition(".")[2] for name, _ in good}
    guess = good[0][0] if len(kinds) == 1 else ""
    return Item({"submission": text}, file, guess, doubts=tuple(doubts))
