"""Read a data file as text: gzip is unpacked under a limit, UTF-16 converted, other kinds are refused."""

import io
import re
import zlib
from pathlib import Path
from typing import BinaryIO

from opeddev_tui.data.byte_order import BOM, wide_encoding
from opeddev_tui.data.raw_rows import bad
from opeddev_tui.errors import DataProblem
from opeddev_tui.text import clean_line

_GZIP = b"\x1f\x8b"
# files without text rows: their first bytes, what they are, and the cure
_NO_ROWS: tuple[tuple[bytes, str, str], ...] = (
    (b"version https://git-lfs", "is only a pointer to the data, left by Git LFS", "Fetch the data: git lfs pull."),
    (b"PK\x03\x04", "is a ZIP or Excel file by its content", "Unpack it, or save the sheet as CSV UTF-8."),
    (b"\xd0\xcf\x11\xe0", "is an old Excel file by its content", "Save the sheet as CSV UTF-8."),
    (b"PAR1", "is a Parquet file by its content", "Name it .parquet."),
    (b"ARROW1", "is an Arrow file by its content", "Save it as Parquet."),
    (b"BZh", "is packed with bzip2", "Unpack it."),
    (b"\xfd7zXZ", "is packed with xz", "Unpack it."),
    (b"\x28\xb5\x2f\xfd", "is packed with zstd", "Unpack it."),
    (b"SQLite format", "is a database by its content", "Write its rows as .jsonl or .csv."),
)
_WEB_PAGE = re.compile(rb"\s*<(?:!doctype html|html)\b", re.IGNORECASE)
_FIRST_BYTES = 256
# bytes shown on each side of one that is not UTF-8
_AROUND = 12
_CHUNK = 1 << 20
# bytes; rows are kept in memory, and more than this is a mistake or an attack
MOST_UNPACKED = 1 << 30
# text packs 3 to 20 times: a file that packs more than 300 times is an attack, from this many bytes on
_TRAP_RATIO, _TRAP_FROM = 300, 64 << 20


def open_data(path: Path) -> BinaryIO:
    """Open ``path`` for reading bytes, converted to UTF-8 if it is UTF-16 or UTF-32, unpacked if it is gzip.

    The content decides, not the name. Raises ``DataProblem``, or ``OSError`` if the file cannot be opened.
    """
    file: BinaryIO = path.open("rb")
    start = file.read(_FIRST_BYTES)
    file.seek(0)
    if start.startswith(_GZIP):
        with file:
            content = _unpacked(path, file)
        start, file = content[:_FIRST_BYTES], io.BytesIO(content)
    try:
        _refuse_by_start(path, start)
        return _as_utf8(path, start, file)
    except DataProblem:
        file.close()
        raise


def refuse_other_files(path: Path, expected: bytes) -> None:
    """Raise ``DataProblem`` if ``path`` begins as another known kind of file does, not with ``expected``."""
    with path.open("rb") as file:
        start = file.read(_FIRST_BYTES)
    if not start.startswith(expected):
        _refuse_by_start(path, start)


def _refuse_by_start(path: Path, start: bytes) -> None:
    for mark, words, cure in _NO_ROWS:
        if start.startswith(mark):
            raise bad(path, f"{words}.", cure)
    if _WEB_PAGE.match(start):
        cure = "Download the file itself (its raw address), not the page that shows it."
        raise bad(path, "is a web page, not data.", cure)


def _as_utf8(path: Path, start: bytes, file: BinaryIO) -> BinaryIO:
    wide = wide_encoding(start)
    if not wide:
        return file
    with file:
        content = file.read()
    try:
        return io.BytesIO(content.decode(wide).encode())
    except UnicodeDecodeError as error:
        message = f"is damaged {wide.upper()} text at byte offset {error.start}."
        raise bad(path, message, "Save it again, as UTF-8.") from None


def _unpacked(path: Path, file: BinaryIO) -> bytes:
    """Return what a gzip file holds; several packed parts may follow each other."""
    content = bytearray()
    packed = 0
    part = zlib.decompressobj(wbits=31)
    try:
        while data := file.read(_CHUNK // 16):
            packed += len(data)
            while data:
                if part.eof:
                    if not data.startswith(_GZIP[:1]):
                        break  # padding after the last part
                    part = zlib.decompressobj(wbits=31)
                content += part.decompress(data, _CHUNK)
                _refuse_traps(path, len(content), packed)
                data = part.unconsumed_tail or part.unused_data
    except zlib.error as error:
        raise bad(path, f"is not a whole gzip file: {error}.", "Pack or copy it again.") from None
    if not part.eof:
        raise bad(path, "is not a whole gzip file: it ends too soon.", "Pack or copy it again.")
    return bytes(content)


def _refuse_traps(path: Path, size: int, packed: int) -> None:
    if size > MOST_UNPACKED or (size > _TRAP_FROM and size > _TRAP_RATIO * packed):
        message = f"unpacks to more than {size >> 20} MiB out of {packed} bytes."
        raise bad(path, message, "Unpack it yourself if you trust it, and split it into smaller files.")


def decode(raw: bytes, path: Path, line: int = 1, offset: int = 0) -> str:
    """Return ``raw``, which begins at ``line`` and byte ``offset`` of the file, as text; raises ``DataProblem``."""
    start = len(BOM) if offset == 0 and raw.startswith(BOM) else 0
    message, cure = "NUL byte", "Save the file as UTF-8 text (it may be UTF-16 or damaged)."
    if (position := raw.find(0)) < 0:
        try:
            return raw[start:].decode("utf-8")
        except UnicodeDecodeError as error:
            position = start + error.start
            message, cure = f"byte 0x{raw[position]:02x}, not UTF-8,", _encoding_cure(raw, position, path)
    place = line + raw.count(b"\n", 0, position)
    raise bad(f"{path}:{place}", f"{message} at byte offset {offset + position}.", cure)


def _encoding_cure(raw: bytes, position: int, path: Path) -> str:
    """Name the likeliest encoding and show the place decoded with it, for a person to judge."""
    around = raw[max(0, position - _AROUND) : position + _AROUND]
    try:
        raw[position : position + 1].decode("cp1252")
    except UnicodeDecodeError:
        return "Save it as UTF-8; if you know its encoding: iconv -f ENCODING -t utf-8."
    shown = clean_line(around.decode("cp1252", "replace")).strip()
    return (
        f"In Windows-1252, which Excel writes, the place reads: {shown} If that is right, convert it with "
        f"iconv -f cp1252 -t utf-8 {path.name} > new-{path.name} (else name its encoding), or save it as CSV UTF-8."
    )
