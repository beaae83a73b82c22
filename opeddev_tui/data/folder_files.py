"""List the data files of a folder, and name the files that are not read, with the cure."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from opeddev_tui.data.raw_rows import bad
from opeddev_tui.errors import nearest
from opeddev_tui.text import clean_line

SUFFIXES: Mapping[str, str] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
}
# other endings of the same kinds
_ALSO: Mapping[str, str] = {
    **dict.fromkeys((".jsonlines", ".jl", ".ldjson"), "jsonl"),
    **dict.fromkeys((".tab",), "csv"),
    **dict.fromkeys((".pq", ".parq"), "parquet"),
}
_KINDS = {**SUFFIXES, **_ALSO}
KNOWN = f"Known are {', '.join(SUFFIXES)} (the text ones also as .gz) and folders of save_to_disk."
# levels of folders below a set; published sets have data/train-00000-of-00001.parquet, en/test/0000.parquet
_DEEPEST = 3
# files of other tools that describe the data
_DESCRIPTIONS = frozenset({"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"})
_ABOUT = ("readme", "license", "licence", "citation", "changelog")
_CURES = {
    errno.EACCES: "Give yourself read permission (chmod u+r, on folders also u+x).",
    errno.ELOOP: "It is a link that leads to itself: remove it or point it at the data.",
}
_OTHER_KINDS: Mapping[tuple[str, ...], str] = {
    (".xlsx", ".xls", ".ods", ".numbers"): "Save the sheet as CSV UTF-8.",
    (".zip", ".tar", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".lz4"): "Unpack it.",
    (".gz",): "Name it by what is in it, such as rows.jsonl.gz.",
    (".txt", ".text", ".dat", ".log", ""): "If it holds rows, name it .jsonl, .csv or .tsv.",
    (".arrow", ".feather", ".orc", ".avro", ".h5"): "Save it as Parquet.",
    (".pkl", ".pickle", ".pt", ".bin", ".npy", ".npz"): "It is never loaded, for it can run code: save it as Parquet.",
    (".db", ".sqlite", ".sqlite3", ".duckdb", ".xml", ".yaml", ".yml"): "Write its rows as .jsonl or .csv.",
}


@contextlib.contextmanager
def read_clearly(path: Path) -> Iterator[None]:
    """Raise an ``OSError`` of the block as a ``DataProblem`` about ``path``."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        cure = _CURES.get(error.errno or 0, "Check the disk and the path.")
        raise bad(error.filename or path, f"cannot be read: {reason}.", cure) from error


def is_folder(path: Path) -> bool:
    """Return True for a folder, False for a file; raises ``DataProblem`` for anything else."""
    with read_clearly(path):
        try:
            mode = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            raise bad(path, "does not exist.", _nearby(path)) from None
        except ValueError:  # a NUL in the name
            raise bad(repr(str(path)), "is not a path.", "Correct the path.") from None
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        raise bad(path, "is neither a file nor a folder.", "Point it at a data file or a folder of them.")
    return stat.S_ISDIR(mode)


def _nearby(path: Path) -> str:
    """Return a hint for a missing path: a similar name, else the content of the folder above."""
    missing, folder = path, path.parent
    while not folder.is_dir() and folder != folder.parent:
        missing, folder = folder, folder.parent
    try:
        names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError:
        return f"{folder} cannot be listed."
    if close := nearest(missing.name, names):
        return f"Did you mean {folder / clean_line(close)}?"
    shown = clean_line(", ".join(names[:5])) + (", …" if len(names) > 5 else "")
    place = "This folder" if folder == Path() else folder
    return f"{place} holds {shown}." if names else f"{place} is empty."


def data_suffix(path: Path) -> str:
    """Return the ending of a data file (.jsonl, .csv.gz) as it is written, empty for other files."""
    suffix = path.suffix
    if suffix.lower() == ".gz":
        suffix = "".join(path.suffixes[-2:])
    return suffix if suffix.lower().removesuffix(".gz") in _KINDS else ""


def kind_by_name(path: Path) -> str:
    """Return the kind of a data file by its name; raises ``DataProblem`` for other files."""
    if suffix := data_suffix(path):
        return _KINDS[suffix.lower().removesuffix(".gz")]
    cure = f"{_cure_of(path)} {KNOWN}".strip()
    raise bad(path, f"is not a data file ({clean_line(path.suffix) or 'no extension'}).", cure)


def _cure_of(path: Path) -> str:
    return next((cure for endings, cure in _OTHER_KINDS.items() if path.suffix.lower() in endings), "")


def data_files(folder: Path) -> list[Path]:
    """Return the data files in a folder, else those below it; raises ``DataProblem`` if there are none."""
    with read_clearly(folder):
        if files := _directly_in(folder) or _below(folder, _DEEPEST):
            return files
        found = _listed(folder)
        saved = next((item for item in found if (item / "state.json").is_file()), None)
    if any(item.suffix == ".arrow" for item in found):
        message = "has Arrow files but no state.json: it was not saved to its end."
        raise bad(folder, message, "Save it again with save_to_disk.")
    if saved is not None:
        raise bad(folder, "holds no data file, but a saved data set below it.", f"Point the path at {saved}.")
    names = clean_line(", ".join(item.name for item in found[:5]))
    message = f"holds no data file (only {names})." if names else "is an empty folder."
    raise bad(folder, message, f"Put a file of the kind {', '.join(SUFFIXES)} there.")


def is_empty(place: Path) -> bool:
    """Say whether ``place`` is a folder without anything that could be data: nothing, or a description alone."""
    with read_clearly(place):
        return place.is_dir() and not any(item.is_dir() or not_read(item) for item in _listed(place))


def _listed(folder: Path) -> list[Path]:
    return sorted(item for item in folder.iterdir() if not item.name.startswith("."))


def _directly_in(folder: Path) -> list[Path]:
    named = (item for item in _listed(folder) if data_suffix(item) and item.name not in _DESCRIPTIONS)
    return [item for item in named if not item.is_dir()]


def _below(folder: Path, depth: int) -> list[Path]:
    files: list[Path] = []
    for item in _listed(folder) if depth else []:
        if item.is_dir() and not (item / "state.json").is_file():
            files += _directly_in(item) + _below(item, depth - 1)
    return files


def passed_over(folder: Path) -> list[str]:
    """Return a sentence for everything in ``folder`` that is neither read nor describes the data."""
    with read_clearly(folder):
        used = set(data_files(folder))
        notes = []
        for item in _listed(folder):
            if not item.is_dir():
                notes += [] if item in used else not_read(item)
            elif not any(item in file.parents for file in used) and (
                unread := _below(item, _DEEPEST) + _directly_in(item)
            ):
                cure = "Move them up, or take the files beside the folder away."
                notes.append(f"{item}: its {len(unread)} data files are not read. {cure}")
    return notes


def not_read(file: Path) -> list[str]:
    """Return the sentence that ``file`` is not read, none if it describes the data."""
    if file.name in _DESCRIPTIONS or file.name.lower().startswith(_ABOUT):
        return []
    return [f"{file}: is not read ({clean_line(file.suffix) or 'no extension'}). {_cure_of(file)}".strip()]
