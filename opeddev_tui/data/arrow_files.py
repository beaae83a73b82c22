"""Read Parquet files and folders written by ``save_to_disk``; a class (``ClassLabel``) becomes its name."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opeddev_tui.config import settings
from opeddev_tui.data.decoding import refuse_other_files
from opeddev_tui.data.grade_scale import LabelName
from opeddev_tui.data.raw_rows import FileRows, RawRow, bad
from opeddev_tui.text import clean_line


def read_parquet(path: Path, _: settings.Data) -> FileRows:
    """Return the rows of a Parquet file; raise ``DataProblem`` if it is not whole."""
    from pyarrow import ArrowException, parquet  # type: ignore[import-untyped]  # it has no types

    if path.stat().st_size == 0:
        return FileRows()
    refuse_other_files(path, b"PAR1")
    try:
        table = parquet.ParquetFile(path).read()
        fields = table.to_pylist()
    except PermissionError:
        raise
    except (OSError, ValueError, ArrowException) as error:
        message = f"is not a whole Parquet file: {first_line(error)}."
        raise bad(path, message, "It may be half written: write or copy it again.") from None
    if len(set(table.column_names)) < len(table.column_names):
        raise bad(path, "has two columns of the same name.", "Give every column its own name.")
    return FileRows(_numbered(fields, path, _names_in_metadata(table.schema.metadata)))


def read_saved(folder: Path) -> FileRows:
    """Return the rows of a folder of ``save_to_disk``; raise ``DataProblem`` if it cannot be loaded."""
    import datasets
    from pyarrow import ArrowException

    broken = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, ArrowException)
    try:
        # in memory: a mapped file that shrinks while training would end the process
        table = datasets.load_from_disk(str(folder), keep_in_memory=True).with_format(None)
        fields = table.to_list()
        names = {name: item.names for name, item in table.features.items() if isinstance(item, datasets.ClassLabel)}
    except broken as error:
        message = f"cannot be loaded as a saved data set: {first_line(error)}."
        raise bad(folder, message, "It may be half written: save it again with save_to_disk.") from None
    return FileRows(_numbered(fields, folder, names))


def saved_splits(path: Path) -> list[str]:
    """Return the names of the splits of a saved DatasetDict, as they were given."""
    file = path / "dataset_dict.json"
    try:
        names = json.loads(file.read_bytes())["splits"]
    except (ValueError, KeyError, TypeError, RecursionError):
        names = None
    if isinstance(names, list) and all(isinstance(name, str) and (path / name).is_dir() for name in names):
        return names
    raise bad(file, "does not name splits that are there.", "Save it again with save_to_disk.")


def _numbered(rows: Sequence[dict[str, Any]], path: Path, names: Mapping[str, Sequence[str]]) -> list[RawRow]:
    for row in rows:
        for column, classes in names.items():
            number = row.get(column)
            if isinstance(number, int) and 0 <= number < len(classes):
                row[column] = LabelName(classes[number], number)
    return [RawRow(_with_texts(row), f"{path} row {number}") for number, row in enumerate(rows, 1)]


def _with_texts(row: dict[str, Any]) -> dict[str, Any]:
    """Return ``row`` with texts where a column holds the bytes of texts, as some writers of Parquet leave them."""
    return {name: _as_text(value) if isinstance(value, bytes) else value for name, value in row.items()}


def _as_text(value: bytes) -> str | bytes:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value  # a picture, say: told as no text


def _names_in_metadata(metadata: Mapping[bytes, bytes] | None) -> dict[str, Sequence[str]]:
    """Return the class names that ``datasets`` writes beside the columns of a Parquet file."""
    try:
        features = json.loads((metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        found = {name: item["names"] for name, item in features.items() if item.get("_type") == "ClassLabel"}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
    return {name: names for name, names in found.items() if all(isinstance(one, str) for one in names)}


def first_line(error: Exception) -> str:
    """Return the first line of a library's message, safe to show."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return clean_line(lines[0], max_chars=200).rstrip(".")
