"""Tell by the mark at its beginning which encoding a text has."""

# of UTF-8; editors on Windows write it
BOM = b"\xef\xbb\xbf"
# the mark of UTF-32 begins with that of UTF-16, so it is looked for first
_WIDE = (
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


def wide_encoding(start: bytes) -> str:
    """Return utf-16 or utf-32 where a text that begins with ``start`` is marked as such, empty for any other."""
    return next((name for mark, name in _WIDE if start.startswith(mark)), "")


def marked_text(content: bytes) -> str:
    """Return ``content`` as text without its mark: UTF-8, or what the mark says.

    Raises ``UnicodeDecodeError``; a text in a wide encoding may have NUL bytes, one in UTF-8 with such is returned.
    """
    return content.decode(wide_encoding(content) or "utf-8-sig")
