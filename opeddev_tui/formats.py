"""Owns data files: what kind a path is, and its rows as plain fields with their place.

Text formats are parsed by the standard library under limits, because one hostile row (20,000 brackets)
crashes the fast parsers and the training with them. Nothing here writes, and nothing asks a network.
"""

import contextlib
import csv
import difflib
import errno
import io
import json
import math
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from opeddev_tui import settings
from opeddev_tui.errors import DataProblem
from opeddev_tui.text import clean_line

EXTENSIONS: Mapping[str, str] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".parquet": "parquet",
}
_SPLIT_NAME = re.compile(r"(train|validation|test|hold_?out)|(?:valid|val|dev|eval)(?![a-z])")
# what other tools leave beside their data files
_DESCRIPTIONS = frozenset({"dataset_info.json", "dataset_infos.json"})
# an unclosed string runs to the end, so the scan stays linear on any input
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.?)*+(?:"|\Z)|[\[{]|[\]}]', re.DOTALL)
_SPACE = re.compile(r"[ \t\r\n]*")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_BOM = b"\xef\xbb\xbf"
_ONE_A_LINE = "Write one JSON object a line (.jsonl), or one array of objects (.json)."
_CURES = {
    errno.EACCES: "Give yourself read permission (chmod u+r, on folders also u+x).",
    errno.ELOOP: "It is a link that leads to itself: remove it or point it at the data.",
}


class RawRow(Struct, frozen=True):
    """One row as it stands in a file; ``where`` is file:line, or file and row number."""

    fields: dict[str, Any]
    where: str


def detect_kind(path: Path) -> str:
    """Return jsonl, json (an array), csv, parquet, saved (save_to_disk) or saved_splits (a DatasetDict)."""
    if not stat.S_ISDIR(_mode(path)):
        return _file_kind(path)
    with _read_clearly(path):
        if (path / "dataset_dict.json").is_file():
            return "saved_splits"
        if (path / "state.json").is_file():
            return "saved"
    kinds = {_file_kind(file): file.name for file in _data_files(path)}
    if len(kinds) > 1:
        found = clean_line(", ".join(f"{name} ({kind})" for kind, name in sorted(kinds.items())))
        raise _bad(path, f"holds files of different kinds: {found}.", "Keep one kind in a folder.")
    return next(iter(kinds))


def splits(path: Path) -> list[str]:
    """Return the names of the splits at ``path``; an empty list where it has none."""
    kind = detect_kind(path)
    if kind == "saved_splits":
        return _saved_splits(path)
    if kind == "saved" or not path.is_dir():
        return []
    named = any(_SPLIT_NAME.match(file.stem.lower()) for file in _data_files(path))
    return list(_by_split(path)) if named else []


def read_rows(path: Path, settings: settings.Data, *, split: str | None = None) -> list[RawRow]:
    """Return all rows at ``path`` (of ``split``, else of train or the only one) or raise ``DataProblem``."""
    kind = detect_kind(path)
    if kind.startswith("saved"):
        folder = path / _choose(path, _saved_splits(path), split) if kind == "saved_splits" else path
        return _filled(_read_saved(folder), folder)
    groups = _by_split(path) if path.is_dir() else {"train": [path]}
    rows: list[RawRow] = []
    for file in groups[_choose(path, list(groups), split)]:
        with _read_clearly(file):
            rows += _filled(_READERS[kind](file, settings), file)
    return rows


def _filled(rows: list[RawRow], path: Path) -> list[RawRow]:
    if not rows:
        raise _bad(path, "holds no rows.", "Put rows into it, or take it away.")
    return rows


def _bad(where: Path | str, message: str, cure: str) -> DataProblem:
    return DataProblem(message, where=str(where), cure=cure)


# --- paths


@contextlib.contextmanager
def _read_clearly(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        cure = _CURES.get(error.errno or 0, "Check the disk and the path.")
        raise _bad(error.filename or path, f"cannot be read: {reason}.", cure) from error


def _mode(path: Path) -> int:
    with _read_clearly(path):
        try:
            mode = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            raise _bad(path, "does not exist.", _nearby(path)) from None
        except ValueError:  # a NUL in the name
            raise _bad(repr(str(path)), "is not a path.", "Correct the path.") from None
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        raise _bad(path, "is neither a file nor a folder.", "Point it at a data file or a folder of them.")
    return mode


def _nearby(path: Path) -> str:
    """Say what exists near a missing path: a name much like it, else what the folder above holds."""
    missing, folder = path, path.parent
    while not folder.is_dir() and folder != folder.parent:
        missing, folder = folder, folder.parent
    try:
        names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError:
        return f"{folder} cannot be listed."
    if close := difflib.get_close_matches(missing.name, names, n=1, cutoff=0.5):
        return f"Did you mean {folder / clean_line(close[0])}?"
    shown = clean_line(", ".join(names[:5])) + (", …" if len(names) > 5 else "")
    return f"{folder} holds {shown}." if names else f"{folder} is empty."


def _file_kind(path: Path) -> str:
    _mode(path)
    kind = EXTENSIONS.get(path.suffix.lower())
    if kind is None:
        known = f"Known are {', '.join(EXTENSIONS)} and folders of save_to_disk."
        raise _bad(path, f"is not a data file ({clean_line(path.suffix) or 'no extension'}).", known)
    if kind != "json":
        return kind
    with _read_clearly(path), path.open("rb") as file:
        start = file.read(4096).removeprefix(_BOM).lstrip()
    return "json" if start.startswith(b"[") else "jsonl"


def _data_files(folder: Path) -> list[Path]:
    with _read_clearly(folder):
        found = sorted(item for item in folder.iterdir() if not item.name.startswith("."))
    files = [item for item in found if item.suffix.lower() in EXTENSIONS and item.name not in _DESCRIPTIONS]
    if files := [file for file in files if not file.is_dir()]:
        return files
    if any(item.suffix == ".arrow" for item in found):
        message = "has Arrow files but no state.json: it was not saved to its end."
        raise _bad(folder, message, "Save it again with save_to_disk.")
    names = clean_line(", ".join(item.name for item in found[:5]))
    message = f"holds no data file (only {names})." if names else "is an empty folder."
    raise _bad(folder, message, f"Put a file of the kind {', '.join(EXTENSIONS)} there.")


def _by_split(folder: Path) -> dict[str, list[Path]]:
    """Group the files of a folder; a file not named like a split is training data."""
    groups: dict[str, list[Path]] = {}
    for file in _data_files(folder):
        match = _SPLIT_NAME.match(file.stem.lower())
        name = "train" if match is None else (match[1] or "validation").replace("_", "")
        groups.setdefault(name, []).append(file)
    return groups


def _choose(path: Path, available: list[str], split: str | None) -> str:
    if split is None and len(available) == 1:
        return available[0]
    wanted = split or "train"
    if wanted not in available:
        names = clean_line(", ".join(available))
        raise _bad(path, f"has no split {wanted}.", f"It has: {names or 'no splits at all'}.")
    return wanted


# --- text: JSON and CSV


def _decode(raw: bytes, path: Path, line: int = 1, offset: int = 0) -> str:
    """Return ``raw``, which begins at ``line`` and byte ``offset`` of the file, as text."""
    start = len(_BOM) if offset == 0 and raw.startswith(_BOM) else 0
    if offset == 0 and raw.startswith(_UTF16):
        raise _bad(f"{path}:1", "is UTF-16 text.", "Save it as UTF-8: iconv -f utf-16 -t utf-8.")
    message, cure = "NUL byte", "Save the file as UTF-8 text (it may be UTF-16 or damaged)."
    if (position := raw.find(0)) < 0:
        try:
            return raw[start:].decode("utf-8")
        except UnicodeDecodeError as error:
            position = start + error.start
            message, cure = f"byte 0x{raw[position]:02x}, not UTF-8,", "Convert it: iconv -f latin1 -t utf-8."
    place = line + raw.count(b"\n", 0, position)
    raise _bad(f"{path}:{place}", f"{message} at byte offset {offset + position}.", cure)


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
            raise _bad(f"{path}:{place}", f"is nested deeper than {limit} levels.", cure)
    return text


def _parse(text: str, index: int, path: Path, line: int) -> tuple[dict[str, Any], int]:
    """Return the object at ``index``, which lies on ``line``, and the index behind it."""
    where = f"{path}:{line}"
    try:
        value, end = _DECODER.raw_decode(text, index)
    except json.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated"):
            message = "the row is cut off: a quote or bracket is never closed."
            raise _bad(where, message, "Finish the row, or remove it.") from None
        where = f"{path}:{line + text.count(chr(10), index, error.pos)}"
        message = f"is not valid JSON: {error.msg[0].lower()}{error.msg[1:]} (column {error.colno})."
        raise _bad(where, message, _ONE_A_LINE) from None
    except _RefusedError as error:
        raise _bad(where, str(error), "Correct the row.") from None
    except ValueError:  # Python refuses to convert numbers of thousands of digits
        raise _bad(where, "a number has too many digits.", "Correct the row.") from None
    if not isinstance(value, dict):
        start = clean_line(text[index : index + 40])
        raise _bad(where, f"the row is not an object; it begins {start}", _ONE_A_LINE)
    if "\\ud" in text[index:end].lower():
        _refuse_surrogates(value, where)
    return value, end


def _refuse_surrogates(fields: dict[str, Any], where: str) -> None:
    for key, value in fields.items():
        try:
            json.dumps([key, value], ensure_ascii=False).encode()
        except UnicodeEncodeError:
            message = f'"{clean_line(key, max_chars=60)}" holds half a character (a lone surrogate).'
            raise _bad(where, message, "Write the whole pair, or U+FFFD in its place.") from None


def _too_long(where: str, limit: int) -> DataProblem:
    return _bad(where, f"the row is longer than {limit} bytes.", "Shorten it, or raise data.max_line_bytes.")


def _read_jsonl(path: Path, settings: settings.Data) -> list[RawRow]:
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
                raise _bad(where, f"has more after the row (column {end + 1}).", _ONE_A_LINE)
            rows.append(RawRow(fields, where))
    return rows


def _after_space(text: str, index: int) -> int:
    match = _SPACE.match(text, index)
    return match.end() if match else index


def _read_json_array(path: Path, settings: settings.Data) -> list[RawRow]:
    text = _limited(_decode(path.read_bytes(), path), path, 1, settings.max_depth + 1)
    rows: list[RawRow] = []
    end = _after_space(text, 0) + 1  # behind the bracket that made it an array
    line = 1 + text.count("\n", 0, end)
    while not text.startswith("]", index := _after_space(text, end)):
        if rows and index < len(text):
            if text[index] != ",":
                place = line + text.count("\n", end, index)
                raise _bad(f"{path}:{place}", f"has no comma before row {len(rows) + 1}.", _ONE_A_LINE)
            index = _after_space(text, index + 1)
        line += text.count("\n", end, index)
        fields, behind = _parse(text, index, path, line)
        where = f"{path}:{line} (row {len(rows) + 1})"
        if behind - index > settings.max_line_bytes:
            raise _too_long(where, settings.max_line_bytes)
        rows.append(RawRow(fields, where))
        line, end = line + text.count("\n", index, behind), behind
    if text[index + 1 :].strip():
        raise _bad(f"{path}:{line}", "has more after the array.", _ONE_A_LINE)
    return rows


def _read_csv(path: Path, settings: settings.Data) -> list[RawRow]:
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
                raise _bad(where, message, "Quote values that hold commas or line breaks.")
            elif values:
                rows.append(RawRow(dict(zip(header, values, strict=True)), where))
    except csv.Error as error:
        cure = "Close the quote, or double quotes inside a value."
        if "field limit" in str(error):
            raise _too_long(f"{path}:{line}", settings.max_line_bytes) from None
        raise _bad(f"{path}:{line}", f"is not valid CSV: {error}.", cure) from None
    return rows


def _header(values: list[str], where: str) -> list[str]:
    names = [value.strip() for value in values]
    cure = "Put the column names in line 1, such as task,submission,rubric,grade,feedback."
    if not names or not all(re.fullmatch(r"[^\W\d][\w .-]{0,63}", name) for name in names):
        raise _bad(where, "has no header of column names.", cure)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise _bad(where, f'the header names "{clean_line(twice)}" twice.', "Give every column its own name.")
    return names


# --- Arrow


def _read_parquet(path: Path, _: settings.Data) -> list[RawRow]:
    from pyarrow import ArrowException, parquet  # type: ignore[import-untyped]  # it has no types

    cure = "It may be half written: write or copy it again."
    if path.stat().st_size == 0:
        return []
    try:
        table = parquet.ParquetFile(path).read()
        fields = table.to_pylist()
    except PermissionError:
        raise
    except (OSError, ValueError, ArrowException) as error:
        raise _bad(path, f"is not a whole Parquet file: {_first_line(error)}.", cure) from None
    if len(set(table.column_names)) < len(table.column_names):
        raise _bad(path, "has two columns of the same name.", "Give every column its own name.")
    return [RawRow(row, f"{path} row {number}") for number, row in enumerate(fields, 1)]


def _saved_splits(path: Path) -> list[str]:
    file = path / "dataset_dict.json"
    try:
        with _read_clearly(file):
            names = json.loads(file.read_bytes())["splits"]
    except (ValueError, KeyError, TypeError, RecursionError):
        names = None
    if isinstance(names, list) and all(isinstance(name, str) and (path / name).is_dir() for name in names):
        return names
    raise _bad(file, "does not name splits that are there.", "Save it again with save_to_disk.")


def _read_saved(folder: Path) -> list[RawRow]:
    import datasets
    from pyarrow import ArrowException

    broken = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, ArrowException)
    try:
        # in memory: a mapped file that shrinks while training would end the process
        table = datasets.load_from_disk(str(folder), keep_in_memory=True).with_format(None)
        fields = table.to_list()
    except broken as error:
        message = f"cannot be loaded as a saved data set: {_first_line(error)}."
        raise _bad(folder, message, "It may be half written: save it again with save_to_disk.") from None
    return [RawRow(row, f"{folder} row {number}") for number, row in enumerate(fields, 1)]


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return clean_line(lines[0], max_chars=200).rstrip(".")


_READERS: Mapping[str, Callable[[Path, settings.Data], list[RawRow]]] = {
    "jsonl": _read_jsonl,
    "json": _read_json_array,
    "csv": _read_csv,
    "parquet": _read_parquet,
}
