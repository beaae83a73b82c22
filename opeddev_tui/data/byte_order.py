"""Tell by its beginning which encoding a text has."""

# of UTF-8; editors on Windows write it
BOM = b"\xef\xbb\xbf"
# the mark of UTF-32 begins with that of UTF-16, so it is looked for first
_WIDE = (
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)

# bytes by which a text without a mark is judged: an even number
_LOOKED_AT = 64


def wide_encoding(start: bytes) -> str:
    """Return utf-16 or utf-32 where a text that begins with ``start`` is marked as such, empty for any other."""
    return next((name for mark, name in _WIDE if start.startswith(mark)), "")


def is_cut_mark(start: bytes) -> bool:
    """Return whether ``start`` may be the beginning of a longer mark: what follows tells."""
    return any(mark.startswith(start) and mark != start for mark, _ in _WIDE)


def is_unmarked_wide(content: bytes) -> bool:
    """Return whether ``content`` is probably UTF-16 without a mark: every other byte of its beginning is zero."""
    start = content[:_LOOKED_AT]
    halves = start[::2], start[1::2]
    return len(start) > 3 and any(not any(one) and all(other) for one, other in (halves, halves[::-1]))


def marked_text(content: bytes) -> str:
    """Return ``content`` as text without its mark: UTF-8, or what the mark says.

    Raises ``UnicodeDecodeError``; a text in a wide encoding may have NUL bytes, one in UTF-8 with such is returned.
    """
    return content.decode(wide_encoding(content) or "utf-8-sig")
