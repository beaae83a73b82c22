"""Data at a path: what kind it is, which splits it has, and its rows as plain fields with their place.

Text formats are parsed by the standard library under limits, because one hostile row (20,000 brackets)
crashes the fast parsers and the training with them. Nothing here writes, and nothing asks a network.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from opeddev_tui.config import settings
from opeddev_tui.data import folder_files, split_names
from opeddev_tui.data.arrow_files import read_parquet, read_saved, saved_splits
from opeddev_tui.data.csv_rows import read_csv
from opeddev_tui.data.decoding import BOM, bad, open_data
from opeddev_tui.data.folder_files import data_files, is_folder, read_clearly
from opeddev_tui.data.parsing import is_one_per_line, read_json, read_jsonl
from opeddev_tui.data.raw_rows import FileRows, RawRow
from opeddev_tui.errors import DataProblem, Problems
from opeddev_tui.text import clean_line

_FIRST_BYTES = 4096
_READERS: Mapping[str, Callable[[Path, settings.Data], FileRows]] = {
    "jsonl": read_jsonl,
    "json": read_json,
    "csv": read_csv,
    "parquet": read_parquet,
}
# kinds that may stand beside each other in a folder
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
    """Return the splits at ``path``: train, validation, test, holdout or a name of its own; none where it has none."""
    found = _sources(path)
    named = any(split_names.split_of(name) for _, names in found.values() for name in names)
    return list(found) if len(found) > 1 or named else []


def split_files(path: Path) -> dict[str, list[str]]:
    """Return the names of the files or folders of every split at ``path``."""
    return {split: names for split, (_, names) in _sources(path).items()}


def _sources(path: Path) -> dict[str, tuple[list[Path], list[str]]]:
    """Return the places of each split, and the names that say which split they are."""
    kind = detect_kind(path)
    if kind == "saved" or not path.is_dir():
        return {split_names.TRAIN: ([path], [])}
    if kind == "saved_splits":
        with read_clearly(path / "dataset_dict.json"):
            named = [(split_names.split_of(name) or name, path / name, name) for name in saved_splits(path)]
    else:
        places = [(file, file.relative_to(path)) for file in data_files(path)]
        named = [
            (split_names.split_of_path(_stems(name)) or split_names.TRAIN, file, str(name)) for file, name in places
        ]
    found: dict[str, tuple[list[Path], list[str]]] = {}
    for split, place, name in named:
        places_of, names_of = found.setdefault(split, ([], []))
        places_of.append(place)
        names_of.append(name)
    return found


def _stems(name: Path) -> Sequence[str]:
    """Return the parts of a relative path without the ending of the file."""
    return [*name.parts[:-1], name.name.removesuffix(folder_files.data_suffix(name))]


def read_rows(path: Path, settings: settings.Data, *, split: str | None = None) -> list[RawRow]:
    """Return all rows at ``path`` (of ``split``, else of train or the only one); raise everything that is wrong."""
    found = read_split(path, settings, split=split)
    if found.problems:
        raise found.problems[0] if len(found.problems) == 1 else Problems(found.problems)
    return found.rows


def read_split(path: Path, settings: settings.Data, *, split: str | None = None) -> FileRows:
    """Return the rows at ``path`` with all problems of its files; raise ``DataProblem`` where none can be read."""
    kind = detect_kind(path)
    sources = _sources(path)
    chosen = _choose(path, list(sources), split)
    places, others = _for_fine_tuning(sources[chosen][0])
    found = FileRows(notes=[f"{place}: is not read: it is no set to fine-tune on." for place in others])
    for place in places:
        read = _read_place(place, kind, settings)
        found.rows += read.rows
        found.problems += read.problems
        found.notes += read.notes
        if not read.rows and not read.problems:
            found.problems.append(bad(place, "holds no rows.", "Put rows into it, or take it away."))
    return found


def _for_fine_tuning(places: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    kept, _ = split_names.for_fine_tuning([place.name for place in places])
    return [place for place in places if place.name in kept], [place for place in places if place.name not in kept]


def _read_place(place: Path, kind: str, settings: settings.Data) -> FileRows:
    try:
        if kind.startswith("saved"):
            return read_saved(place)
        with read_clearly(place):
            return _READERS[_file_kind(place)](place, settings)
    except DataProblem as problem:
        return FileRows(problems=[problem])


def _choose(path: Path, available: list[str], split: str | None) -> str:
    names = clean_line(", ".join(available))
    wanted = split or split_names.TRAIN
    if wanted in available:
        return wanted
    if split is None and len(available) == 1 and available[0] not in split_names.HELD_OUT:
        return available[0]
    cure = f"It has: {names or 'no splits at all'}."
    if split is None and set(available) <= set(split_names.HELD_OUT):
        cure += " Their rows are not trained on: rename what you do want to train on."
    raise bad(path, f"has no split {wanted}.", cure)
