"""Find or make a workspace's own folder in a shared model store, and find what was recorded of both.

The workspace keeps its id and its folder's name (``.specs/workspace.json``), the folder the id and place of its
workspace (``WORKSPACE.json``). A copy of a workspace has the same id; while the original still uses that folder the
copy gets an id and a folder of its own, so that no two workspaces ever write into one.

Journals and manifests name a checkpoint "run/checkpoint-75", a model folder by its path in the workspace, and anything
else by its absolute path or hub name. ``located`` finds all of these, and the absolute paths that version 0.1 recorded.
"""

import hashlib
import itertools
import re
import secrets
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from opeddev_tui.storage import told_clearly, write_atomic

RECORD = ".specs/workspace.json"
# what version 0.1 wrote instead
OLD_RECORD = ".specs/store.json"
OWNER = "WORKSPACE.json"
_CHECKPOINT = re.compile(r"checkpoint-\d+")

S = TypeVar("S", bound=Struct)


class Record(Struct, frozen=True):
    """What a workspace keeps: its id, its folder's name, where that was last written to, and where before that."""

    folder: str
    path: str = ""
    id: str = ""
    earlier: tuple[str, ...] = ()


class Owner(Struct, frozen=True):
    """What a folder of the store keeps: the id and place of its workspace.

    ``before`` are places that the workspace had under version 0.1, whose journals name models by absolute paths.
    """

    root: str
    id: str = ""
    before: tuple[str, ...] = ()


def _read(path: Path, kind: type[S]) -> S | None:
    """Return the file at ``path``, None where there is none that can be read: then the naming of old decides."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, ValueError):
        return None


def record_of(root: Path) -> Record | None:
    """Return what the workspace at ``root`` keeps; a name that is no plain name is nothing."""
    found = _read(root / RECORD, Record) or _read(root / OLD_RECORD, Record)
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
    folder = next(store / name for name in names if not _of_another(root, known, store / name))
    if known is None or folder.name == known.folder:
        return Home(folder)
    owner = _read(store / known.folder / OWNER, Owner)
    return Home(folder, owner.root if owner is not None and owner.id == known.id else "")


def folder_of(root: Path, store: Path) -> Path:
    """Return the folder in ``store`` that belongs to the workspace at ``root``."""
    return home_of(root, store).folder


def _of_another(root: Path, known: Record | None, folder: Path) -> bool:
    """True where ``folder`` belongs to another workspace than the one at ``root``, whose record is ``known``."""
    owner = _read(folder / OWNER, Owner)
    if owner is None:
        return False
    if owner.id and known is not None and known.id and owner.id != known.id:
        # also where another machine that shares the store has a workspace at the same path
        return True
    if _same(Path(owner.root), root):
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
    home, known = home_of(root, store), record_of(root)
    folder = home.folder
    with told_clearly(folder):
        folder.mkdir(parents=True, exist_ok=True)
    owner = _read(folder / OWNER, Owner)
    mine = known is not None and folder.name == known.folder
    identity = (known.id if known is not None and mine else "") or (owner.id if owner else "") or secrets.token_hex(8)
    record = Record(folder.name, str(folder), identity, _earlier(known, folder))
    if record != known or not (root / RECORD).is_file():
        write_atomic(root / RECORD, msgspec.json.encode(record))
        (root / OLD_RECORD).unlink(missing_ok=True)
    now = Owner(str(root), identity, _before(root, store, known, owner))
    if now != owner:
        write_atomic(folder / OWNER, msgspec.json.encode(now))
    return _words(home)


def _earlier(known: Record | None, folder: Path) -> tuple[str, ...]:
    """Return where else checkpoints of the workspace may be: its folders in other stores, those of its original."""
    past = [known.path, *known.earlier] if known is not None else []
    return tuple(dict.fromkeys(path for path in past if path not in ("", str(folder))))


def _before(root: Path, store: Path, known: Record | None, owner: Owner | None) -> tuple[str, ...]:
    """Return the places of the workspace that version 0.1 wrote down, also those of a copy's original."""
    original = _read(store / known.folder / OWNER, Owner) if known is not None else None
    past: list[str] = []
    for item in (owner, original):
        if item is not None:
            past += item.before if item.id else (*item.before, item.root)
    return tuple(dict.fromkeys(path for path in past if path != str(root)))


def adopt(root: Path, store: Path) -> None:
    """Write down that the workspace at ``root`` is now where it is, if it has a folder already; a copy has none.

    Raises ``StorageProblem`` if the disk does not take it.
    """
    home = home_of(root, store)
    if home.folder.is_dir() and not home.original:
        claim(root, store)


# --- names of checkpoints and models


def named(folder: Path, place: str, root: Path) -> str:
    """Return how a checkpoint or model at ``place`` is recorded, so that it is found after a move.

    ``folder`` is the own folder of the workspace at ``root``.
    """
    path = Path(place)
    if not path.is_absolute():
        return place
    name = f"{path.parent.name}/{path.name}"
    if _CHECKPOINT.fullmatch(path.name) and any(_same(one / name, path) for one in _places(folder, root)):
        return name
    return str(path.relative_to(root)) if path.is_relative_to(root) else place


def located(folder: Path, recorded: str, root: Path | None = None) -> str:
    """Return where the checkpoint or model that was ``recorded`` is now; ``folder`` is the workspace's own.

    ``root`` is where the workspace is (default: where it was when that was last written down). What is found nowhere
    stays as it was recorded, and a checkpoint's name is told as a place in ``folder``.
    """
    path = Path(recorded)
    owner = _read(folder / OWNER, Owner)
    present = root or (Path(owner.root) if owner is not None else None)
    if _CHECKPOINT.fullmatch(path.name):
        name = f"{path.parent.name}/{path.name}"
        places = [*(one / name for one in _places(folder, present)), (present or folder) / path]
        return str(next((place for place in places if _is_there(place)), path if path.is_absolute() else folder / name))
    if not recorded or present is None or (path.is_absolute() and _is_there(path)):
        return recorded
    inside = [path]
    if path.is_absolute():
        # version 0.1 recorded where it was when the workspace was elsewhere
        roots = (owner.root, *owner.before) if owner is not None else ()
        inside = [path.relative_to(old) for old in roots if path.is_relative_to(old)]
    return next((str(present / part) for part in inside if _is_there(present / part)), recorded)


def _is_there(path: Path) -> bool:
    """True where something is at ``path``; what may not be looked at, or is no possible name, is not there."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _places(folder: Path, root: Path | None) -> list[Path]:
    """Return the folders that may hold checkpoints of the workspace at ``root``, its own first."""
    known = record_of(root) if root is not None else None
    return [folder, *(Path(path) for path in ((known.path, *known.earlier) if known is not None else ()) if path)]
