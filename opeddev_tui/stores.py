"""Owns which folder of a model store is a workspace's own, also after either was moved or the workspace was copied.

The workspace remembers its folder's name (``.specs/store.json``), the folder remembers whose it is
(``WORKSPACE.json``). A copy of a workspace remembers the same name; while the original still uses that folder the
copy gets one of its own, so that no two workspaces ever write into one. Journals and manifests name folders by
absolute paths: ``located`` finds them where they are now.
"""

import hashlib
import itertools
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from opeddev_tui.storage import told_clearly, write_atomic

RECORD = ".specs/store.json"
OWNER = "WORKSPACE.json"

S = TypeVar("S", bound=Struct)


class Record(Struct, frozen=True):
    """What a workspace remembers: its folder's name, and where that was when it was last written to."""

    folder: str
    path: str = ""


class Owner(Struct, frozen=True):
    """What a folder of the store remembers: the workspace whose it is, and where that was before."""

    root: str
    before: tuple[str, ...] = ()


def _read(path: Path, kind: type[S]) -> S | None:
    """Return the file at ``path``, None where there is none that can be read: then the naming of old decides."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, ValueError):
        return None


def record_of(root: Path) -> Record | None:
    """Return what the workspace at ``root`` remembers; a name that is no plain name is nothing."""
    found = _read(root / RECORD, Record)
    plain = found is not None and found.folder not in ("", ".", "..") and Path(found.folder).name == found.folder
    return found if plain else None


class Home(Struct, frozen=True):
    """A workspace's own folder in a store; ``original`` is whose copy it is, until the copy has a folder recorded."""

    folder: Path
    original: str = ""


def home_of(root: Path, store: Path) -> Home:
    """Return where the workspace at ``root`` keeps its checkpoints in ``store``; nothing is made or written.

    Without a record the folder is named after the workspace and a digest of its path, as all were before there were
    records.
    """
    digest = hashlib.sha256(str(root).encode()).hexdigest()[:8]
    first = f"{root.name}-{digest}"
    known = record_of(root)
    names = itertools.chain(
        [known.folder] if known is not None else [], [first], (f"{first}-{number}" for number in itertools.count(2))
    )
    folder = next(store / name for name in names if not _of_another(root, store / name))
    if known is None or folder.name == known.folder:
        return Home(folder)
    owner = _read(store / known.folder / OWNER, Owner)
    return Home(folder, owner.root if owner is not None else "")


def folder_of(root: Path, store: Path) -> Path:
    """Return the folder in ``store`` that belongs to the workspace at ``root``."""
    return home_of(root, store).folder


def _of_another(root: Path, folder: Path) -> bool:
    """True where another workspace than ``root`` still uses ``folder``."""
    owner = _read(folder / OWNER, Owner)
    if owner is None or _same(Path(owner.root), root):
        return False
    theirs = record_of(Path(owner.root))
    if theirs is None or theirs.folder != folder.name:
        return False
    # a store inside a workspace is copied with it: then theirs is another folder of the same name
    return not Path(theirs.path).is_dir() or _same(Path(theirs.path), folder)


def _same(one: Path, two: Path) -> bool:
    try:
        return one == two or one.samefile(two)
    except OSError:
        return False


def copy_words(root: Path, store: Path) -> str:
    """Return the line for a person that a copy has checkpoints of its own; empty where there is nothing to tell."""
    return _words(home_of(root, store))


def _words(home: Home) -> str:
    if not home.original:
        return ""
    return (
        f"this workspace is a copy of {home.original}, which keeps its checkpoints; those of this one go to "
        f"{home.folder}."
    )


def claim(root: Path, store: Path) -> str:
    """Make the folder of the workspace at ``root`` and write down whose it is, on both sides.

    Returns what ``copy_words`` says, for the last time; raises ``StorageProblem`` if the disk does not take it.
    """
    home = home_of(root, store)
    folder = home.folder
    with told_clearly(folder):
        folder.mkdir(parents=True, exist_ok=True)
    owner = _read(folder / OWNER, Owner)
    past = [
        *(owner.before if owner else ()),
        *([owner.root] if owner else []),
        *([home.original] if home.original else []),
    ]
    now = Owner(str(root), tuple(dict.fromkeys(path for path in past if path != str(root))))
    if now != owner:
        write_atomic(folder / OWNER, msgspec.json.encode(now))
    record = Record(folder.name, str(folder))
    if record != record_of(root):
        write_atomic(root / RECORD, msgspec.json.encode(record))
    return _words(home)


def adopt(root: Path, store: Path) -> None:
    """Write down that the workspace at ``root`` is now where it is, if it has a folder already; a copy has none.

    Raises ``StorageProblem`` if the disk does not take it.
    """
    home = home_of(root, store)
    if home.folder.is_dir() and not home.original:
        claim(root, store)


def located(folder: Path, recorded: str, root: Path | None = None) -> str:
    """Return where the checkpoint or model folder that was once ``recorded`` is now; ``folder`` is the workspace's own.

    A checkpoint is looked for by run and name in ``folder``, anything else below ``root`` (default: where the
    workspace was when it was last written down) as it lay below the places where the workspace was before. What is
    found nowhere stays as it was recorded.
    """
    path = Path(recorded)
    if not path.is_absolute():
        return recorded
    here = folder / path.parent.name / path.name
    if path.name.startswith("checkpoint-") and here.is_dir():
        return str(here)
    owner = _read(folder / OWNER, Owner)
    if path.exists() or owner is None:
        return recorded
    present = root or Path(owner.root)
    moved = (present / path.relative_to(old) for old in (owner.root, *owner.before) if path.is_relative_to(old))
    return next((str(place) for place in moved if place.exists()), recorded)
