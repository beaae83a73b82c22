"""Find or create a workspace's own folder in a shared model store, and find recorded checkpoints and models again.

The workspace records its id and the name of its folder (``.specs/workspace.json``); the folder records the id and place
of its workspace (``WORKSPACE.json``). A copy of a workspace has the same id. While the original still uses the folder,
the copy gets an id and a folder of its own, so that no two workspaces ever write into one folder.

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

from opeddev_tui.files import storage_errors, write_atomic

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


def _read(path: Path, kind: type[S]) -> S | None:
    """Return the record at ``path``, None if there is none that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, ValueError):
        return None


def record_of(root: Path) -> Record | None:
    """Return the record of the workspace at ``root``, None if there is none or its folder is not a plain name."""
    record = _read(root / RECORD, Record) or _read(root / OLD_RECORD, Record)
    if record is None or record.folder in ("", ".", "..") or Path(record.folder).name != record.folder:
        return None
    return record


class Home(Struct, frozen=True):
    """A workspace's own folder in a store; ``original`` is the workspace that it is a copy of, until ``claim``."""

    folder: Path
    original: str = ""

    @property
    def copy_notice(self) -> str:
        """The message to show if the workspace is a copy, else an empty text."""
        if not self.original:
            return ""
        return (
            f"this workspace is a copy of {self.original}, which keeps its checkpoints; "
            f"those of the copy are kept in {self.folder}."
        )


def home_of(root: Path, store: Path) -> Home:
    """Return where the workspace at ``root`` keeps its checkpoints in ``store``; nothing is made or written.

    Without a record, the folder is named after the workspace and a digest of its path.
    """
    digest = hashlib.sha256(str(root).encode()).hexdigest()[:8]
    first = f"{root.name}-{digest}"
    record = record_of(root)
    recorded = [record.folder] if record is not None else []
    names = itertools.chain(recorded, [first], (f"{first}-{number}" for number in itertools.count(2)))
    folder = next(store / name for name in names if not _of_another(root, record, store / name))
    if record is None or folder.name == record.folder:
        return Home(folder)
    owner = _read(store / record.folder / OWNER, Owner)
    return Home(folder, owner.root if owner is not None and owner.id == record.id else "")


def _of_another(root: Path, record: Record | None, folder: Path) -> bool:
    """True if ``folder`` belongs to another workspace than the one at ``root``, whose record is ``record``."""
    owner = _read(folder / OWNER, Owner)
    if owner is None:
        return False
    if owner.id and record is not None and record.id and owner.id != record.id:
        # also if another machine that shares the store has a workspace at the same path
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


def claim(root: Path, store: Path) -> str:
    """Make the folder of the workspace at ``root`` and record on both sides whose it is.

    Returns ``Home.copy_notice``, which is empty from then on. Raises ``StorageProblem``.
    """
    home, before = home_of(root, store), record_of(root)
    folder = home.folder
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    owner = _read(folder / OWNER, Owner)
    kept = before.id if before is not None and folder.name == before.folder else ""
    identity = kept or (owner.id if owner else "") or secrets.token_hex(8)
    # where else checkpoints may be: folders in other stores, those of the original of a copy
    past = [before.path, *before.earlier] if before is not None else []
    earlier = tuple(dict.fromkeys(path for path in past if path not in ("", str(folder))))
    record = Record(folder.name, str(folder), identity, earlier)
    if record != before or not (root / RECORD).is_file():
        write_atomic(root / RECORD, msgspec.json.encode(record))
        (root / OLD_RECORD).unlink(missing_ok=True)
    now = Owner(str(root), identity, _before(root, store, before, owner))
    if now != owner:
        write_atomic(folder / OWNER, msgspec.json.encode(now))
    return home.copy_notice


def _before(root: Path, store: Path, record: Record | None, owner: Owner | None) -> tuple[str, ...]:
    """Return the places of the workspace that version 0.1 recorded, and those of a copy's original."""
    original = _read(store / record.folder / OWNER, Owner) if record is not None else None
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
    if _CHECKPOINT.fullmatch(path.name) and any(_same(one / name, path) for one in places(folder, root)):
        return name
    return str(path.relative_to(root)) if path.is_relative_to(root) else place


def located(folder: Path, recorded: str, root: Path | None = None) -> str:
    """Return the present place of a checkpoint or model recorded as ``recorded``.

    ``folder`` is the workspace's own, ``root`` the workspace (default: its last recorded place). What is found nowhere
    is returned as it was recorded, the name of a checkpoint as a place in ``folder``.
    """
    path = Path(recorded)
    owner = _read(folder / OWNER, Owner)
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
