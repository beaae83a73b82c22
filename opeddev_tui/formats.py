"""Owns data files: what kind a path is, and its rows as plain fields with their place.

Text formats are parsed by the standard library under limits, because one hostile row (20,000 brackets)
crashes the fast parsers and the training with them. Nothing here writes, and nothing asks a network.
"""

import contextlib
import difflib
import errno
import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from opeddev_tui import settings
from opeddev_tui.parsing import BOM, RawRow, bad, read_csv, read_json_array, read_jsonl
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
_CURES = {
    errno.EACCES: "Give yourself read permission (chmod u+r, on folders also u+x).",
    errno.ELOOP: "It is a link that leads to itself: remove it or point it at the data.",
}


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
        raise bad(path, f"holds files of different kinds: {found}.", "Keep one kind in a folder.")
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
        raise bad(path, "holds no rows.", "Put rows into it, or take it away.")
    return rows


# --- paths


@contextlib.contextmanager
def _read_clearly(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        cure = _CURES.get(error.errno or 0, "Check the disk and the path.")
        raise bad(error.filename or path, f"cannot be read: {reason}.", cure) from error


def _mode(path: Path) -> int:
    with _read_clearly(path):
        try:
            mode = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            raise bad(path, "does not exist.", _nearby(path)) from None
        except ValueError:  # a NUL in the name
            raise bad(repr(str(path)), "is not a path.", "Correct the path.") from None
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        raise bad(path, "is neither a file nor a folder.", "Point it at a data file or a folder of them.")
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
        raise bad(path, f"is not a data file ({clean_line(path.suffix) or 'no extension'}).", known)
    if kind != "json":
        return kind
    with _read_clearly(path), path.open("rb") as file:
        start = file.read(4096).removeprefix(BOM).lstrip()
    return "json" if start.startswith(b"[") else "jsonl"


def _data_files(folder: Path) -> list[Path]:
    with _read_clearly(folder):
        found = sorted(item for item in folder.iterdir() if not item.name.startswith("."))
    files = [item for item in found if item.suffix.lower() in EXTENSIONS and item.name not in _DESCRIPTIONS]
    if files := [file for file in files if not file.is_dir()]:
        return files
    if any(item.suffix == ".arrow" for item in found):
        message = "has Arrow files but no state.json: it was not saved to its end."
        raise bad(folder, message, "Save it again with save_to_disk.")
    names = clean_line(", ".join(item.name for item in found[:5]))
    message = f"holds no data file (only {names})." if names else "is an empty folder."
    raise bad(folder, message, f"Put a file of the kind {', '.join(EXTENSIONS)} there.")


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
        raise bad(path, f"has no split {wanted}.", f"It has: {names or 'no splits at all'}.")
    return wanted


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
        raise bad(path, f"is not a whole Parquet file: {_first_line(error)}.", cure) from None
    if len(set(table.column_names)) < len(table.column_names):
        raise bad(path, "has two columns of the same name.", "Give every column its own name.")
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
    raise bad(file, "does not name splits that are there.", "Save it again with save_to_disk.")


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
        raise bad(folder, message, "It may be half written: save it again with save_to_disk.") from None
    return [RawRow(row, f"{folder} row {number}") for number, row in enumerate(fields, 1)]


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return clean_line(lines[0], max_chars=200).rstrip(".")


_READERS: Mapping[str, Callable[[Path, settings.Data], list[RawRow]]] = {
    "jsonl": read_jsonl,
    "json": read_json_array,
    "csv": read_csv,
    "parquet": _read_parquet,
}
