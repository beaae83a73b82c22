"""Bytes of a data file as text: gzip unpacked under a limit, UTF-16 read, everything else told with its cure."""

import io
import zlib
from pathlib import Path
from typing import BinaryIO

from opeddev_tui.errors import DataProblem

BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
_WIDE = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_CHUNK = 1 << 20
# rows are kept in memory: more than this is a mistake or a trap, in bytes
MOST_UNPACKED = 1 << 30
# text packs 3 to 20 times; a file that packs 300 times and more is a trap, in times and bytes
_TRAP_RATIO, _TRAP_FROM = 300, 64 << 20


def bad(where: Path | str, message: str, cure: str) -> DataProblem:
    """Return a problem with its place and cure."""
    return DataProblem(message, where=str(where), cure=cure)


def open_data(path: Path) -> BinaryIO:
    """Open ``path`` for reading bytes: of UTF-8 where it is UTF-16 or UTF-32, unpacked where it is gzip.

    What the file holds counts, not its name. Raises ``DataProblem``, or ``OSError`` where it cannot be opened.
    """
    file = path.open("rb")
    start = file.read(4)
    file.seek(0)
    if start.startswith(_GZIP):
        with file:
            content = _unpacked(path, file)
        start, packed = content[:4], io.BytesIO(content)
        return _as_utf8(path, start, packed)
    return _as_utf8(path, start, file)


def _as_utf8(path: Path, start: bytes, file: BinaryIO) -> BinaryIO:
    wide = next((name for mark, name in _WIDE if start.startswith(mark)), None)
    if wide is None:
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
    """Return ``raw``, which begins at ``line`` and byte ``offset`` of the file, as text; raise ``DataProblem``."""
    start = len(BOM) if offset == 0 and raw.startswith(BOM) else 0
    message, cure = "NUL byte", "Save the file as UTF-8 text (it may be UTF-16 or damaged)."
    if (position := raw.find(0)) < 0:
        try:
            return raw[start:].decode("utf-8")
        except UnicodeDecodeError as error:
            position = start + error.start
            message, cure = f"byte 0x{raw[position]:02x}, not UTF-8,", _encoding_cure(raw[position], path)
    place = line + raw.count(b"\n", 0, position)
    raise bad(f"{path}:{place}", f"{message} at byte offset {offset + position}.", cure)


def _encoding_cure(byte: int, path: Path) -> str:
    """Name the encoding that is likeliest, and what the byte is there; Windows' own differs from Latin-1."""
    try:
        character = bytes([byte]).decode("cp1252")
    except UnicodeDecodeError:
        return "Save it as UTF-8; if you know its encoding: iconv -f ENCODING -t utf-8."
    return (
        f"In Windows-1252, which Excel writes, it is {character}: convert it with "
        f"iconv -f cp1252 -t utf-8 {path.name} > new-{path.name}, or save it as CSV UTF-8 or JSON in UTF-8."
    )
