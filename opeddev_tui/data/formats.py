"""Read the data at a path: its kind, its splits, and its rows as plain fields with their place.

Nothing here writes or uses the network.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from opeddev_tui.config import settings
from opeddev_tui.data import folder_files, split_names
from opeddev_tui.data.arrow_files import read_parquet, read_saved, saved_splits
from opeddev_tui.data.byte_order import BOM
from opeddev_tui.data.csv_rows import read_csv
from opeddev_tui.data.decoding import open_data
from opeddev_tui.data.folder_files import data_files, is_folder, read_clearly
from opeddev_tui.data.parsing import is_one_per_line, read_json, read_jsonl
from opeddev_tui.data.raw_rows import FileRows, bad
from opeddev_tui.errors import DataProblem
from opeddev_tui.text import clean_line

_FIRST_BYTES = 4096
_READERS: Mapping[str, Callable[[Path, settings.Data], FileRows]] = {
    "jsonl": read_jsonl,
    "json": read_json,
    "csv": read_csv,
    "parquet": read_parquet,
}
# kinds that may be beside each other in a folder
_FAMILIES = {"jsonl": "json"}


def detect_kind(path: Path) -> str:
    """Return jsonl, json (one document), csv, parquet, saved (save_to_disk) or saved_splits (a DatasetDict)."""
    if not is_folder(path):
        return _file_kind(path)
    with read_clearly(path):
        if (path / "dataset_dict.json").is_file():
            return "saved_splits"
        if (path / "state.json").is_file():
            return "saved"
    kinds = {_file_kind(file): file.name for file in data_files(path)}
    if len({_FAMILIES.get(kind, kind) for kind in kinds}) > 1:
        found = clean_line(", ".join(f"{name} ({kind})" for kind, name in sorted(kinds.items())))
        raise bad(path, f"holds files of different kinds: {found}.", "Keep one kind in a folder.")
    return next(iter(kinds))


def _file_kind(path: Path) -> str:
    is_folder(path)
    kind = folder_files.kind_by_name(path)
    if kind not in ("json", "jsonl"):
        return kind
    with read_clearly(path):
        with open_data(path) as file:
            start = file.read(_FIRST_BYTES).removeprefix(BOM).lstrip()
        if start.startswith(b"["):
            return "json"
        return "jsonl" if is_one_per_line(path, _FIRST_BYTES * 256, unless_sure=kind == "jsonl") else "json"


def splits(path: Path) -> list[str]:
    """Return the splits at ``path``: train, validation, test, holdout or its own names; empty if it has none."""
    sources = _sources(path)
    is_named = any(split_names.split_of(name) for _, names in sources.values() for name in names)
    return list(sources) if len(sources) > 1 or is_named else []


def split_files(path: Path) -> dict[str, list[str]]:
    """Return the names of the files or folders per split at ``path``."""
    return {split: names for split, (_, names) in _sources(path).items()}


def _sources(path: Path) -> dict[str, tuple[list[Path], list[str]]]:
    """Return the places of each split, and the names that its split was read from."""
    kind = detect_kind(path)
    if kind == "saved" or not path.is_dir():
        return {split_names.TRAIN: ([path], [])}
    if kind == "saved_splits":
        with read_clearly(path / "dataset_dict.json"):
            named = [(split_names.split_of(name) or name, path / name, name) for name in saved_splits(path)]
    else:
        named = []
        for file in data_files(path):
            name = str(file.relative_to(path))
            parts = name.removesuffix(folder_files.data_suffix(file)).split("/")
            named.append((split_names.split_of_path(parts) or split_names.TRAIN, file, name))
    sources: dict[str, tuple[list[Path], list[str]]] = {}
    for split, place, name in named:
        places, names = sources.setdefault(split, ([], []))
        places.append(place)
        names.append(name)
    return sources


def read_split(path: Path, settings: settings.Data, *, split: str | None = None) -> FileRows:
    """Return the rows of ``split`` (default: train, or the only one) at ``path``, with all problems of its files.

    Raises ``DataProblem`` if there is nothing to read.
    """
    kind = detect_kind(path)
    sources = _sources(path)
    places = sources[_choose(path, list(sources), split)][0]
    kept = split_names.for_fine_tuning(place.name for place in places)
    every = FileRows()
    for place in places:
        if place.name not in kept:
            every.notes.append(f"{place}: is not read: it is no set to fine-tune on.")
            continue
        read = _read_place(place, kind, settings)
        every.rows += read.rows
        every.problems += read.problems
        every.notes += read.notes
        if not read.rows and not read.problems:
            every.problems.append(bad(place, "holds no rows.", "Put rows into it, or take it away."))
    return every


def _read_place(place: Path, kind: str, settings: settings.Data) -> FileRows:
    try:
        if kind.startswith("saved"):
            return read_saved(place)
        with read_clearly(place):
            return _READERS[_file_kind(place)](place, settings)
    except DataProblem as problem:
        return FileRows(problems=[problem])


def _choose(path: Path, available: list[str], split: str | None) -> str:
    chosen = split or split_names.TRAIN
    if chosen in available:
        return chosen
    if split is None and len(available) == 1 and available[0] not in split_names.HELD_OUT:
        return available[0]
    cure = f"It has: {clean_line(', '.join(available)) or 'no splits at all'}."
    if split is None and set(available) <= set(split_names.HELD_OUT):
        cure += " Their rows are not trained on: rename what you do want to train on."
    raise bad(path, f"has no split {chosen}.", cure)
