"""Read JSON files: one object per line, arrays, objects one after the other, and the usual wrappers.

One hostile row (20,000 brackets) crashes the fast parsers and the training with them. So files are parsed by the
standard library, with limits on depth and length, and without duplicate keys and numbers that are not finite.
"""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from opeddev_tui.config import settings
from opeddev_tui.data.byte_order import BOM
from opeddev_tui.data.decoding import decode, open_data
from opeddev_tui.data.json_wrappers import unwrapped
from opeddev_tui.data.raw_rows import FileRows, RawRow, bad
from opeddev_tui.errors import DataProblem
from opeddev_tui.text import clean_line

# an unclosed string ends with the text, so that the scan takes linear time on any input
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.?)*+(?:"|\Z)|[\[{]|[\]}]', re.DOTALL)
_SPACE = re.compile(r"[ \t\r\n]*")
_ONE_PER_LINE = "Write one JSON object per line (.jsonl), or one array of objects (.json)."
_TEXT_DEPTH = 32


class _RefusedError(ValueError):
    """Valid for Python's parser, but not to be trained on."""


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
    """Return ``text``; raises ``DataProblem`` if its brackets outside strings nest deeper than ``limit``."""
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
    """Return the object at ``index``, on ``line``, and the index behind it; raises ``DataProblem``."""
    where = f"{path}:{line}"
    try:
        value, end = _DECODER.raw_decode(text, index)
    except json.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated"):
            message = "the row is cut off: a quote or bracket is never closed."
            raise bad(where, message, "Finish the row, or remove it.") from None
        where = f"{path}:{line + text.count(chr(10), index, error.pos)}"
        message = f"is not valid JSON: {error.msg[0].lower()}{error.msg[1:]} (column {error.colno})."
        raise bad(where, message, _ONE_PER_LINE) from None
    except _RefusedError as error:
        raise bad(where, str(error), "Correct the row.") from None
    except ValueError:  # Python refuses to convert numbers of thousands of digits
        raise bad(where, "a number has too many digits.", "Correct the row.") from None
    if not isinstance(value, dict):
        start = clean_line(text[index : index + 40])
        raise bad(where, f"the row is not an object; it begins {start}", _ONE_PER_LINE)
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


def too_long(where: str, limit: int) -> DataProblem:
    """Return the problem of a row that is longer than ``limit`` bytes."""
    return bad(where, f"the row is longer than {limit} bytes.", "Shorten it, or raise data.max_line_bytes.")


class _Undecoded(DataProblem):
    """A line that is not UTF-8; usually most lines of such a file are not."""


def read_jsonl(path: Path, settings: settings.Data) -> FileRows:
    """Return the rows of a file with one object per line; each wrong line is a problem of its own."""
    found = FileRows()
    undecoded: list[DataProblem] = []
    with open_data(path) as file:
        for row in jsonl_rows(file, path, settings):
            if isinstance(row, RawRow):
                found.rows.append(row)
            else:
                (undecoded if isinstance(row, _Undecoded) else found.problems).append(row)
    if undecoded:
        # one problem for the whole file: the cure is the same
        first, more = undecoded[0], len(undecoded) - 1
        words = f" {more} more lines are like this." if more else ""
        found.problems.insert(0, bad(first.where, f"{first.message}{words}", first.cure))
    if len(found.rows) == 1 and not found.problems:
        found.rows = unwrapped(found.rows[0], path)
    return found


def jsonl_rows(file: BinaryIO, path: Path, settings: settings.Data) -> Iterator[RawRow | DataProblem]:
    """Yield the row of each line of ``file``, or what is wrong with it; one line at a time is in memory.

    ``path`` names the place.
    """
    line = offset = 0
    # never more than the limit in memory, however long the line
    while raw := file.readline(settings.max_line_bytes + 2):
        line += 1
        if len(raw.rstrip(b"\r\n")) > settings.max_line_bytes:
            yield too_long(f"{path}:{line}", settings.max_line_bytes)
            offset += len(raw) + _rest_of_line(raw, file, settings.max_line_bytes)
            continue
        start, offset = offset, offset + len(raw)
        try:
            text = decode(raw, path, line, start)
        except DataProblem as problem:
            yield _Undecoded(problem.message, where=problem.where, cure=problem.cure)
            continue
        try:
            row = _row_of_line(text, path, line, settings.max_depth)
        except DataProblem as problem:
            yield problem
        else:
            if row is not None:
                yield row


def is_one_per_line(path: Path, limit: int, *, unless_sure: bool) -> bool:
    """True if a file has one object per line, judged by its first two lines; ``unless_sure`` if these do not tell."""
    with open_data(path) as file:
        first, after = b"", b""
        while not first and (raw := file.readline(limit)):
            first = raw.removeprefix(BOM).strip()
        while not after and (raw := file.readline(limit)):
            after = raw.strip()
    if first.startswith(b"[") or first == b"{":
        return False
    return unless_sure or (first.endswith(b"}") and bool(after))


def _rest_of_line(raw: bytes, file: BinaryIO, size: int) -> int:
    """Read to the end of the line that ``raw`` begins; return how many bytes that were."""
    skipped = 0
    while raw and not raw.endswith(b"\n"):
        raw = file.readline(size)
        skipped += len(raw)
    return skipped


def _row_of_line(text: str, path: Path, line: int, max_depth: int) -> RawRow | None:
    where = f"{path}:{line}"
    # a byte-order mark inside the file comes from joining files
    text = text.removeprefix("\ufeff")
    if not _limited(text, path, line, max_depth).strip():
        return None
    fields, end = _parse(text, _after_space(text, 0), path, line)
    if text[end:].strip():
        raise bad(where, f"has more after the row (column {end + 1}).", _ONE_PER_LINE)
    return RawRow(fields, where)


def _after_space(text: str, index: int) -> int:
    match = _SPACE.match(text, index)
    return match.end() if match else index


def read_json(path: Path, settings: settings.Data) -> FileRows:
    """Return the rows of an array, or of objects one after the other, over any number of lines."""
    with open_data(path) as file:
        text = decode(file.read(), path)
    found = FileRows()
    try:
        is_array = text.startswith("[", start := _after_space(text, 0))
        # the array around the rows, or the wrapper and its list, do not count as depth of a row
        _limited(text, path, 1, settings.max_depth + (1 if is_array else 2))
        if is_array:
            _read_array(text, start + 1, path, settings, found)
        else:
            _read_objects(text, path, settings, found)
    except DataProblem as problem:
        found.problems.append(problem)
    return found


def _read_objects(text: str, path: Path, settings: settings.Data, found: FileRows) -> None:
    """Read objects one after the other; a single object may be a wrapper around the rows."""
    end, line = 0, 1
    while (index := _after_space(text, end)) < len(text):
        line += text.count("\n", end, index)
        fields, behind = _parse(text, index, path, line)
        found.rows.append(RawRow(fields, f"{path}:{line}"))
        line, end = line + text.count("\n", index, behind), behind
    if len(found.rows) == 1:
        found.rows = unwrapped(found.rows[0], path)
    for row in found.rows:
        if len(json.dumps(row.fields, ensure_ascii=False).encode()) > settings.max_line_bytes:
            found.problems.append(too_long(row.where, settings.max_line_bytes))


def _read_array(text: str, end: int, path: Path, settings: settings.Data, found: FileRows) -> None:
    line = 1 + text.count("\n", 0, end)
    number = 0
    while not text.startswith("]", index := _after_space(text, end)):
        if number and index < len(text):
            if text[index] != ",":
                place = line + text.count("\n", end, index)
                raise bad(f"{path}:{place}", f"has no comma before row {number + 1}.", _ONE_PER_LINE)
            index = _after_space(text, index + 1)
        line += text.count("\n", end, index)
        number += 1
        where = f"{path}:{line} (row {number})"
        try:
            fields, behind = _parse(text, index, path, line)
        except DataProblem as problem:
            # the end of refused but valid JSON is known, so the rows behind it are read too
            try:
                behind = json.JSONDecoder().raw_decode(text, index)[1]
            except ValueError:
                raise problem from None
            found.problems.append(problem)
        else:
            if behind - index > settings.max_line_bytes:
                found.problems.append(too_long(where, settings.max_line_bytes))
            else:
                found.rows.append(RawRow(fields, where))
        line, end = line + text.count("\n", index, behind), behind
    if text[index + 1 :].strip():
        raise bad(f"{path}:{line}", "has more after the array.", _ONE_PER_LINE)


def parse_json_text(text: str, where: str) -> Any:
    """Return the value of JSON that is written as a text in a column; raises ``ValueError`` if it is not valid."""
    try:
        _limited(text, Path(where), 1, _TEXT_DEPTH)
        value, end = _DECODER.raw_decode(text, _after_space(text, 0))
    except (DataProblem, RecursionError):
        raise ValueError("nested too deep") from None
    if text[end:].strip():
        raise ValueError("more after the value")
    return value
