"""Owns text files of rows: JSONL, JSON arrays and CSV, parsed by the standard library under limits.

One hostile row (20,000 brackets) crashes the fast parsers and the training with them, so depth, line length,
numbers and duplicate keys are checked here. Nothing here writes.
"""

import csv
import io
import json
import math
import re
from pathlib import Path
from typing import Any

from msgspec import Struct

from opeddev_tui import settings
from opeddev_tui.errors import DataProblem
from opeddev_tui.text import clean_line

# an unclosed string runs to the end, so the scan stays linear on any input
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.?)*+(?:"|\Z)|[\[{]|[\]}]', re.DOTALL)
_SPACE = re.compile(r"[ \t\r\n]*")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
BOM = b"\xef\xbb\xbf"
_ONE_A_LINE = "Write one JSON object a line (.jsonl), or one array of objects (.json)."


class RawRow(Struct, frozen=True):
    """One row as it stands in a file; ``where`` is file:line, or file and row number."""

    fields: dict[str, Any]
    where: str


def bad(where: Path | str, message: str, cure: str) -> DataProblem:
    return DataProblem(message, where=str(where), cure=cure)


def _decode(raw: bytes, path: Path, line: int = 1, offset: int = 0) -> str:
    """Return ``raw``, which begins at ``line`` and byte ``offset`` of the file, as text."""
    start = len(BOM) if offset == 0 and raw.startswith(BOM) else 0
    if offset == 0 and raw.startswith(_UTF16):
        raise bad(f"{path}:1", "is UTF-16 text.", "Save it as UTF-8: iconv -f utf-16 -t utf-8.")
    message, cure = "NUL byte", "Save the file as UTF-8 text (it may be UTF-16 or damaged)."
    if (position := raw.find(0)) < 0:
        try:
            return raw[start:].decode("utf-8")
        except UnicodeDecodeError as error:
            position = start + error.start
            message, cure = f"byte 0x{raw[position]:02x}, not UTF-8,", "Convert it: iconv -f latin1 -t utf-8."
    place = line + raw.count(b"\n", 0, position)
    raise bad(f"{path}:{place}", f"{message} at byte offset {offset + position}.", cure)


class _RefusedError(ValueError):
    """Valid for Python's parser, but nothing to train on."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key, value in pairs:
        if key in fields:
            raise _RefusedError(f'the key "{clean_line(key, max_chars=60)}" stands twice in one object.')
        fields[key] = value
    return fields


def _finite(text: str) -> float:
    if math.isfinite(number := float(text)):
        return number
    raise _RefusedError(f"{text[:40]} is not a finite number.")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_finite, parse_float=_finite)


def _limited(text: str, path: Path, line: int, limit: int) -> str:
    """Return ``text`` if brackets outside strings nest at most ``limit`` deep; counted, not recursed."""
    if text.count("[") + text.count("{") <= limit:
        return text
    depth = 0
    for match in _TOKEN.finditer(text):
        first = text[match.start()]
        depth += 1 if first in "[{" else -1 if first in "]}" else 0
        if depth > limit:
            place = line + text.count("\n", 0, match.start())
            cure = "Flatten the row, or raise data.max_depth."
            raise bad(f"{path}:{place}", f"is nested deeper than {limit} levels.", cure)
    return text


def _parse(text: str, index: int, path: Path, line: int) -> tuple[dict[str, Any], int]:
    """Return the object at ``index``, which lies on ``line``, and the index behind it."""
    where = f"{path}:{line}"
    try:
        value, end = _DECODER.raw_decode(text, index)
    except json.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated"):
            message = "the row is cut off: a quote or bracket is never closed."
            raise bad(where, message, "Finish the row, or remove it.") from None
        where = f"{path}:{line + text.count(chr(10), index, error.pos)}"
        message = f"is not valid JSON: {error.msg[0].lower()}{error.msg[1:]} (column {error.colno})."
        raise bad(where, message, _ONE_A_LINE) from None
    except _RefusedError as error:
        raise bad(where, str(error), "Correct the row.") from None
    except ValueError:  # Python refuses to convert numbers of thousands of digits
        raise bad(where, "a number has too many digits.", "Correct the row.") from None
    if not isinstance(value, dict):
        start = clean_line(text[index : index + 40])
        raise bad(where, f"the row is not an object; it begins {start}", _ONE_A_LINE)
    if "\\ud" in text[index:end].lower():
        _refuse_surrogates(value, where)
    return value, end


def _refuse_surrogates(fields: dict[str, Any], where: str) -> None:
    for key, value in fields.items():
        try:
            json.dumps([key, value], ensure_ascii=False).encode()
        except UnicodeEncodeError:
            message = f'"{clean_line(key, max_chars=60)}" holds half a character (a lone surrogate).'
            raise bad(where, message, "Write the whole pair, or U+FFFD in its place.") from None


def _too_long(where: str, limit: int) -> DataProblem:
    return bad(where, f"the row is longer than {limit} bytes.", "Shorten it, or raise data.max_line_bytes.")


def read_jsonl(path: Path, settings: settings.Data) -> list[RawRow]:
    rows: list[RawRow] = []
    line = offset = 0
    with path.open("rb") as file:
        # never more than the limit in memory, however long the line
        while raw := file.readline(settings.max_line_bytes + 2):
            line += 1
            where = f"{path}:{line}"
            if len(raw.rstrip(b"\r\n")) > settings.max_line_bytes:
                raise _too_long(where, settings.max_line_bytes)
            text = _limited(_decode(raw, path, line, offset), path, line, settings.max_depth)
            offset += len(raw)
            if not text.strip():
                continue
            fields, end = _parse(text, _after_space(text, 0), path, line)
            if text[end:].strip():
                raise bad(where, f"has more after the row (column {end + 1}).", _ONE_A_LINE)
            rows.append(RawRow(fields, where))
    return rows


def _after_space(text: str, index: int) -> int:
    match = _SPACE.match(text, index)
    return match.end() if match else index


def read_json_array(path: Path, settings: settings.Data) -> list[RawRow]:
    text = _limited(_decode(path.read_bytes(), path), path, 1, settings.max_depth + 1)
    rows: list[RawRow] = []
    end = _after_space(text, 0) + 1  # behind the bracket that made it an array
    line = 1 + text.count("\n", 0, end)
    while not text.startswith("]", index := _after_space(text, end)):
        if rows and index < len(text):
            if text[index] != ",":
                place = line + text.count("\n", end, index)
                raise bad(f"{path}:{place}", f"has no comma before row {len(rows) + 1}.", _ONE_A_LINE)
            index = _after_space(text, index + 1)
        line += text.count("\n", end, index)
        fields, behind = _parse(text, index, path, line)
        where = f"{path}:{line} (row {len(rows) + 1})"
        if behind - index > settings.max_line_bytes:
            raise _too_long(where, settings.max_line_bytes)
        rows.append(RawRow(fields, where))
        line, end = line + text.count("\n", index, behind), behind
    if text[index + 1 :].strip():
        raise bad(f"{path}:{line}", "has more after the array.", _ONE_A_LINE)
    return rows


def read_csv(path: Path, settings: settings.Data) -> list[RawRow]:
    """Return rows whose values are all texts: 007, NA and None stay what was written."""
    # the module's own limit is 131,072 characters a value, less than one style sheet
    csv.field_size_limit(settings.max_line_bytes)
    reader = csv.reader(io.StringIO(_decode(path.read_bytes(), path), newline=""), strict=True)
    header: list[str] = []
    rows: list[RawRow] = []
    line = 1
    try:
        for values in reader:
            where, line = f"{path}:{line}", reader.line_num + 1
            if not header:
                header = _header(values, where)
            elif values and len(values) != len(header):
                message = f"the row has {len(values)} values, the header {len(header)}."
                raise bad(where, message, "Quote values that hold commas or line breaks.")
            elif values:
                rows.append(RawRow(dict(zip(header, values, strict=True)), where))
    except csv.Error as error:
        cure = "Close the quote, or double quotes inside a value."
        if "field limit" in str(error):
            raise _too_long(f"{path}:{line}", settings.max_line_bytes) from None
        raise bad(f"{path}:{line}", f"is not valid CSV: {error}.", cure) from None
    return rows


def _header(values: list[str], where: str) -> list[str]:
    names = [value.strip() for value in values]
    cure = "Put the column names in line 1, such as task,submission,rubric,grade,feedback."
    if not names or not all(re.fullmatch(r"[^\W\d][\w .-]{0,63}", name) for name in names):
        raise bad(where, "has no header of column names.", cure)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise bad(where, f'the header names "{clean_line(twice)}" twice.', "Give every column its own name.")
    return names
