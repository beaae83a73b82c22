"""Find or create a workspace's own folder in a shared model store, and find recorded checkpoints and models again.

The workspace records its id and the name of its folder (``.specs/workspace.json``); the folder records the id and place
of its workspace (``WORKSPACE.json``). A copy of a workspace has the same id and gets a folder of its own: no two
workspaces ever write into one folder. A workspace counts as moved if its folder is the same one (inode and disk) under
another path. Where the original is not there and the folder is another one, nobody can tell a move from a copy whose
original is away, on a disk that is not mounted: it is a copy until a person says otherwise (``takeover``).

Journals and manifests name a checkpoint "run/checkpoint-75", a model folder by its path in the workspace, and anything
else by its absolute path or hub name. ``located`` finds all of these, and the absolute paths that version 0.1 recorded.
"""

import itertools
import os
import re
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from opeddev_tui.files import changing, read_record, storage_errors, write_atomic

RECORD = ".specs/workspace.json"
# version 0.1 wrote this one
OLD_RECORD = ".specs/store.json"
OWNER = "WORKSPACE.json"
_CHECKPOINT = re.compile(r"checkpoint-\d+")

S = TypeVar("S", bound=Struct)


class Record(Struct, frozen=True):
    """What a workspace records: its id, its folder's name, the folder's last path and the paths before that."""

    folder: str
    path: str = ""
    id: str = ""
    earlier: tuple[str, ...] = ()


class Owner(Struct, frozen=True):
    """What a folder of the store records: the id and place of its workspace.

    ``before`` are earlier places from the time of version 0.1, whose journals name models by absolute paths.
    """

    root: str
    id: str = ""
    before: tuple[str, ...] = ()
    # which folder the workspace is, whatever its path: inode, device, file system
    mark: str = ""


def read_or_none(path: Path, kind: type[S]) -> S | None:
    """Return the record at ``path``, None if there is none that can be read."""
    try:
        return read_record(path, kind)
    except (OSError, ValueError):
        return None


def record_of(root: Path) -> Record | None:
    """Return the record of the workspace at ``root``, None if there is none or its folder is not a plain name."""
    record = read_or_none(root / RECORD, Record) or read_or_none(root / OLD_RECORD, Record)
    if record is None or record.folder in ("", ".", "..") or Path(record.folder).name != record.folder:
        return None
    return record


class Home(Struct, frozen=True):
    """A workspace's own folder in a store; ``original`` is the workspace that it is a copy of, until ``claim``.

    ``away``: the original is not there, so this may as well be the original itself, moved to another disk.
    """

    folder: Path
    original: str = ""
    away: bool = False

    @property
    def copy_notice(self) -> str:
        """The message to show if the workspace is a copy, else an empty text."""
        if not self.original:
            return ""
        if self.away:
            return (
                f"the checkpoints of this workspace belong to {self.original}, which is not there now, and stay its "
                f"own; those of this one are kept in {self.folder}. If the workspace was moved from there, say so: "
                "opeddev-tui checkpoints take."
            )
        return (
            f"this workspace is a copy of {self.original}, which keeps its checkpoints; "
            f"those of the copy are kept in {self.folder}."
        )


def home_of(root: Path, store: Path) -> Home:
    """Return where the workspace at ``root`` keeps its checkpoints in ``store``; nothing is made or written.

    Without a record, the folder is named after the workspace and a digest of its path.
    """
    import hashlib

    digest = hashlib.sha256(str(root).encode()).hexdigest()[:8]
    first = f"{root.name}-{digest}"
    record = record_of(root)
    recorded = [record.folder] if record is not None else []
    names = itertools.chain(recorded, [first], (f"{first}-{number}" for number in itertools.count(2)))
    folder = next(store / name for name in names if not _of_another(root, record, store / name))
    if record is None or folder.name == record.folder:
        return Home(folder)
    owner = read_or_none(store / record.folder / OWNER, Owner)
    original = owner.root if owner is not None and owner.id == record.id else ""
    return Home(folder, original, bool(original) and record_of(Path(original)) is None)


def _of_another(root: Path, record: Record | None, folder: Path) -> bool:
    """True if ``folder`` belongs to another workspace than the one at ``root``, whose record is ``record``."""
    owner = read_or_none(folder / OWNER, Owner)
    if owner is None:
        return False
    if owner.id and record is not None and record.id and owner.id != record.id:
        # also if another machine that shares the store has a workspace at the same path
        return True
    if same_folder(Path(owner.root), root):
        return False
    theirs = record_of(Path(owner.root))
    if theirs is None:
        return not _was_moved(owner, root, folder)
    if theirs.folder != folder.name:
        return False
    # a store inside a workspace is copied with it: then theirs is another folder of the same name
    return not Path(theirs.path).is_dir() or same_folder(Path(theirs.path), folder)


def _was_moved(owner: Owner, root: Path, folder: Path) -> bool:
    """True if ``root`` is the workspace that was at ``owner.root``, where there is none now."""
    if folder.resolve().is_relative_to(root.resolve()):
        return True  # a store inside the workspace came with it
    if owner.mark:
        inode, device, system = mark_of(root).split(":")
        was_inode, was_device, was_system = [*owner.mark.split(":"), "", ""][:3]
        # a device may have another number after a restart, a file system keeps its own
        return inode == was_inode and (device == was_device or system == was_system)
    # an older record: a place whose neighbours are there was left, one on a disk that is not mounted has none
    old = Path(owner.root)
    return not old.exists() and old.parent.is_dir() and any(old.parent.iterdir())


def mark_of(root: Path) -> str:
    """Return what tells the folder ``root`` from a copy of it, wherever it is moved on its disk."""
    status = root.stat()
    return f"{status.st_ino}:{status.st_dev}:{os.statvfs(root).f_fsid}"


def same_folder(one: Path, two: Path) -> bool:
    """True if both paths lead to one folder."""
    try:
        return one == two or one.samefile(two)
    except OSError:
        return False


def claim(root: Path, store: Path) -> str:
    """Make the folder of the workspace at ``root`` and record on both sides whose it is.

    Returns ``Home.copy_notice``, which is empty from then on. Raises ``StorageProblem``.
    """
    while True:
        home = home_of(root, store)
        with storage_errors(home.folder):
            home.folder.mkdir(parents=True, exist_ok=True)
        if _is_claimed(root, store, home):
            return home.copy_notice
        with changing(home.folder / OWNER):
            # another workspace may have taken the folder since
            if home_of(root, store) == home:
                write_claim(root, *_claimed(root, store, home))
                return home.copy_notice


def _is_claimed(root: Path, store: Path, home: Home) -> bool:
    """True if both sides have recorded already whose the folder is."""
    record, owner = _claimed(root, store, home)
    is_recorded = record == record_of(root) and (root / RECORD).is_file()
    return is_recorded and owner == read_or_none(home.folder / OWNER, Owner)


def _claimed(root: Path, store: Path, home: Home) -> tuple[Record, Owner]:
    """Return what the workspace and its folder record about each other."""
    folder, before = home.folder, record_of(root)
    owner = read_or_none(folder / OWNER, Owner)
    kept = before.id if before is not None and folder.name == before.folder else ""
    identity = kept or (owner.id if owner else "") or os.urandom(8).hex()
    # where else checkpoints may be: folders in other stores, those of the original of a copy
    past = [before.path, *before.earlier] if before is not None else []
    earlier = tuple(dict.fromkeys(path for path in past if path not in ("", str(folder))))
    record = Record(folder.name, str(folder), identity, earlier)
    return record, Owner(str(root), identity, _before(root, store, before, owner), mark_of(root))


def write_claim(root: Path, record: Record, owner: Owner) -> None:
    """Record on both sides whose the folder is; raises ``StorageProblem``."""
    if record != record_of(root) or not (root / RECORD).is_file():
        write_atomic(root / RECORD, msgspec.json.encode(record))
        (root / OLD_RECORD).unlink(missing_ok=True)
    write_atomic(Path(record.path) / OWNER, msgspec.json.encode(owner))


def _before(root: Path, store: Path, record: Record | None, owner: Owner | None) -> tuple[str, ...]:
    """Return the places of the workspace that version 0.1 recorded, and those of a copy's original."""
    original = read_or_none(store / record.folder / OWNER, Owner) if record is not None else None
    past: list[str] = []
    for item in (owner, original):
        if item is not None:
            past += item.before if item.id else (*item.before, item.root)
    return tuple(dict.fromkeys(path for path in past if path != str(root)))


def adopt(root: Path, store: Path) -> None:
    """Record that the workspace is now at ``root``, if it has a folder and is no copy; raises ``StorageProblem``."""
    home = home_of(root, store)
    if home.folder.is_dir() and not home.original:
        claim(root, store)


# --- names of checkpoints and models


def named(folder: Path, place: str, root: Path) -> str:
    """Return the name under which a checkpoint or model at ``place`` is recorded, so that it is found after a move.

    ``folder`` is the own folder of the workspace at ``root``.
    """
    path = Path(place)
    if not path.is_absolute():
        return place
    name = f"{path.parent.name}/{path.name}"
    if _CHECKPOINT.fullmatch(path.name) and any(same_folder(one / name, path) for one in places(folder, root)):
        return name
    return str(path.relative_to(root)) if path.is_relative_to(root) else place


def located(folder: Path, recorded: str, root: Path | None = None) -> str:
    """Return the present place of a checkpoint or model recorded as ``recorded``.

    ``folder`` is the workspace's own, ``root`` the workspace (default: its last recorded place). What is found nowhere
    is returned as it was recorded, the name of a checkpoint as a place in ``folder``.
    """
    path = Path(recorded)
    owner = read_or_none(folder / OWNER, Owner)
    present = root or (Path(owner.root) if owner is not None else None)
    if _CHECKPOINT.fullmatch(path.name):
        name = f"{path.parent.name}/{path.name}"
        possible = [*(one / name for one in places(folder, present)), (present or folder) / path]
        return str(
            next((place for place in possible if _is_there(place)), path if path.is_absolute() else folder / name)
        )
    if not recorded or present is None or (path.is_absolute() and _is_there(path)):
        return recorded
    inside = [path]
    if path.is_absolute():
        # version 0.1 recorded the place at that time
        roots = (owner.root, *owner.before) if owner is not None else ()
        inside = [path.relative_to(old) for old in roots if path.is_relative_to(old)]
    return next((str(present / part) for part in inside if _is_there(present / part)), recorded)


def _is_there(path: Path) -> bool:
    """True if something is at ``path``; False also for a place without access or a name that cannot exist."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def places(folder: Path, root: Path | None) -> list[Path]:
    """Return the folders that may hold checkpoints of the workspace at ``root``, its own first."""
    record = record_of(root) if root is not None else None
    recorded = (record.path, *record.earlier) if record is not None else ()
    return [folder, *(Path(path) for path in recorded if path)]
