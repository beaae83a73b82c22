"""Publish, verify, find, quarantine and delete checkpoint folders. No other module deletes in the model store.

A checkpoint is published by its ``MANIFEST.json``: size and SHA-256 of every file, written last, synced and renamed
into place. A folder without a manifest, or with files that differ from it, is never resumed from, best or latest.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from opeddev_tui.checkpoints.heads import is_head
from opeddev_tui.errors import StorageProblem
from opeddev_tui.files import decoded, open_file, read_file, reason_of, storage_errors, sync, sync_folder, write_atomic
from opeddev_tui.runs.events import CheckpointSaved, checkpoint_name

MANIFEST = "MANIFEST.json"
_NAME = re.compile(r"checkpoint-(\d+)")
# a time in nanoseconds has 19 digits until the year 2286
_ASIDE = re.compile(r"damaged-checkpoint-\d+-\d{19}")
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "adapter_model.safetensors")
# the Trainer resumes without these too, silently as another training
RESUME_FILES = ("optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json")


def _resume_files(processes: int) -> list[str]:
    """Return the files that a resume needs from a checkpoint of ``processes``: each has its own random state."""
    if processes == 1:
        return list(RESUME_FILES)
    shared = [name for name in RESUME_FILES if name != "rng_state.pth"]
    return [*shared, *(f"rng_state_{rank}.pth" for rank in range(processes))]


# writes files into a checkpoint's folder, given the digest of its weights, and returns them
Writer = Callable[[str], Sequence[Path]]


class FileRecord(Struct, frozen=True):
    """Size in bytes and SHA-256 of one file."""

    size: int
    sha256: str


class Manifest(Struct, frozen=True):
    """The facts of a published checkpoint; ``base`` is the model below adapters: checkpoint, folder or hub name."""

    run: str
    step: int
    global_step: int
    epoch: float
    parent: str
    files: dict[str, FileRecord]
    lora: bool = False
    base: str = ""
    val_loss: float | None = None
    rows: int = 0
    created: float = 0.0
    format: int = 1
    # which model ``base`` was (``base_model.identity_of``); empty in checkpoints of version 0.1
    base_identity: str = ""
    # SHA-256 of all other fields
    seal: str = ""
    # the base model that a grade head beside the weights reads, empty without such a head: to grade, it is needed too
    grades_with: str = ""
    # how many processes trained it
    processes: int = 1

    @property
    def size(self) -> int:
        """Total bytes of the files."""
        return sum(item.size for item in self.files.values())

    @property
    def digest(self) -> str:
        """SHA-256 over the weight files: the identity of the model. Heads beside them are no part of it."""
        return _digest(self.files)


def folder_for(run_folder: Path, global_step: int) -> Path:
    """Return the folder into which the Trainer saves at ``global_step``."""
    return run_folder / f"checkpoint-{global_step}"


def step_of(folder: Path) -> int | None:
    """Return the optimizer step in the name of a checkpoint folder, None for another name."""
    match = _NAME.fullmatch(folder.name)
    return int(match[1]) if match else None


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        is_manifest = path.name == MANIFEST or path.name.startswith(f".{MANIFEST}")
        if path.is_file() and not path.is_symlink() and not is_manifest:
            yield path


def _record(path: Path) -> FileRecord:
    with os.fdopen(open_file(path), "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileRecord(path.stat().st_size, digest)


def _digest(files: Mapping[str, FileRecord]) -> str:
    weights = (
        f"{name}{item.sha256}"
        for name, item in sorted(files.items())
        if name.endswith(".safetensors") and not is_head(name)
    )
    return hashlib.sha256("".join(weights).encode()).hexdigest()


def weights_digest(folder: Path) -> str:
    """Return what ``Manifest.digest`` would be of the files in ``folder``: for a model without a manifest."""
    return _digest({path.name: _record(path) for path in sorted(folder.glob("*.safetensors"))})


def publish(folder: Path, manifest: Manifest, *, beside: Writer | None = None) -> Manifest:
    """Sync every file in ``folder``, then write and return its manifest, with ``files`` filled in.

    ``beside`` writes further files, given the digest of the weights, and returns them. Raises ``StorageProblem``.
    """
    with storage_errors(folder):
        records = _synced(folder, _files(folder))
        if beside is not None:
            records |= _synced(folder, beside(_digest(records)))
    return _sealed(folder, replace(manifest, files=records, created=time.time()))


def add(folder: Path, beside: Writer) -> Manifest:
    """Add the files that ``beside`` writes (as in ``publish``) to a published checkpoint, and seal it again.

    A crash before the end leaves the checkpoint as it was published. Raises ``StorageProblem``.
    """
    manifest = manifest_of(folder)
    with storage_errors(folder):
        records = manifest.files | _synced(folder, beside(manifest.digest))
    return _sealed(folder, replace(manifest, files=records))


def _synced(folder: Path, paths: Iterable[Path]) -> dict[str, FileRecord]:
    records = {}
    for path in paths:
        sync(path)
        records[str(path.relative_to(folder))] = _record(path)
    return records


def _sealed(folder: Path, manifest: Manifest) -> Manifest:
    full = replace(manifest, seal="")
    full = replace(full, seal=_seal(msgspec.json.encode(full)))
    write_atomic(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(full), indent=1))
    sync_folder(folder.parent)
    return full


def _seal(content: bytes) -> str:
    """Return the right ``seal``. It depends on the stored values alone, so later versions may add fields."""
    values = msgspec.json.decode(content)
    values.pop("seal", None)
    return hashlib.sha256(msgspec.json.encode(values, order="sorted")).hexdigest()


def saved_event(folder: Path, manifest: Manifest) -> CheckpointSaved:
    """Return the event of a published checkpoint."""
    return CheckpointSaved(
        path=checkpoint_name(folder),
        global_step=manifest.global_step,
        epoch=manifest.epoch,
        size=manifest.size,
        digest=manifest.digest,
    )


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest of ``folder``, None if it is missing or damaged."""
    try:
        content = read_file(folder / MANIFEST)
        manifest = decoded(content, Manifest)
        return manifest if manifest.seal == _seal(content) else None
    except (OSError, ValueError):
        return None


def manifest_of(folder: Path) -> Manifest:
    """Return the manifest of a verified checkpoint; raises ``StorageProblem`` if it was lost since."""
    manifest = read_manifest(folder)
    if manifest is None:
        raise StorageProblem("has just lost its manifest.", where=str(folder), cure="Train again: opeddev-tui train.")
    return manifest


def problems_of(folder: Path, *, for_resume: bool = False) -> list[str]:
    """Return what is wrong with a checkpoint, one phrase each; an empty list means that every byte is as published."""
    if not (folder / MANIFEST).is_file():
        return ["it was never finished (no manifest)"]
    manifest = read_manifest(folder)
    if manifest is None:
        return ["its manifest is damaged"]
    found = [problem for name, item in manifest.files.items() if (problem := _file_problem(folder / name, name, item))]
    if not any(name in manifest.files for name in _WEIGHTS):
        found.append("it holds no weights")
    if for_resume:
        needed = _resume_files(manifest.processes)
        found += [f"{name} is not in it" for name in needed if name not in manifest.files]
    return found


def _file_problem(path: Path, name: str, expected: FileRecord) -> str:
    try:
        size = path.stat().st_size
        if size != expected.size:
            return f"{name} is empty" if size == 0 else f"{name} has {size} of {expected.size} bytes"
        return "" if _record(path) == expected else f"{name} has changed bytes"
    except FileNotFoundError:
        return f"{name} is missing"
    except OSError as error:
        return f"{name} cannot be read ({reason_of(error)})"


def list_folders(run_folder: Path) -> list[Path]:
    """Return the checkpoint folders in ``run_folder``, oldest first; links are not followed."""
    if not run_folder.is_dir() or run_folder.is_symlink():
        return []
    named = [(step, path) for path in run_folder.iterdir() if (step := step_of(path)) is not None]
    return [path for _, path in sorted(named) if path.is_dir() and not path.is_symlink()]


class Found(Struct, frozen=True):
    """The newest whole checkpoint, None without one, and the damaged newer ones with what is wrong with them."""

    folder: Path | None
    rejected: list[tuple[Path, str]]


def newest_verified(run_folder: Path, *, for_resume: bool = False) -> Found:
    """Return the newest whole checkpoint of a run, verified now."""
    rejected: list[tuple[Path, str]] = []
    for folder in reversed(list_folders(run_folder)):
        problems = problems_of(folder, for_resume=for_resume)
        if not problems:
            return Found(folder, rejected)
        rejected.append((folder, "; ".join(problems)))
    return Found(None, rejected)


def quarantine(folder: Path) -> Path:
    """Rename a damaged checkpoint, so that the training can write that checkpoint again; return the new path."""
    aside = folder.with_name(f"damaged-{folder.name}-{time.time_ns():019d}")
    with storage_errors(folder):
        folder.rename(aside)
    return aside


def is_aside(folder: Path) -> bool:
    """True for a folder that ``quarantine`` made, by its exact name; never for a link or a file."""
    return _ASIDE.fullmatch(folder.name) is not None and folder.is_dir() and not folder.is_symlink()


def list_aside(run_folder: Path) -> list[Path]:
    """Return the quarantined checkpoints in ``run_folder``, by name."""
    if not run_folder.is_dir() or run_folder.is_symlink():
        return []
    return sorted(path for path in run_folder.iterdir() if is_aside(path))


@contextlib.contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Keep other processes from deleting the checkpoint ``folder`` inside the block; other folders are left alone.

    Raises ``StorageProblem`` if one is deleting it now.
    """
    try:
        descriptor = open_file(folder / MANIFEST)
    except (OSError, ValueError):
        yield  # a model of the hub, or a folder that is no checkpoint
        return
    try:
        if not _shared(descriptor):
            raise StorageProblem("is being deleted by another process.", where=str(folder), cure="Choose another one.")
        yield
    finally:
        os.close(descriptor)


def _shared(descriptor: int) -> bool:
    """Lock a manifest for reading; False if its checkpoint is being deleted or was."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks: then nothing protects it
    return os.fstat(descriptor).st_nlink > 0


def remove(folder: Path) -> bool:
    """Delete a checkpoint, its manifest first: what a crash leaves of it does not look whole.

    Returns False, and deletes nothing, while another process reads it (``in_use``). Raises ``StorageProblem``, also
    for a link or a folder in a linked one.
    """
    if folder.is_symlink() or folder.parent.is_symlink():
        raise StorageProblem("is behind a link, so it is not deleted.", where=str(folder))
    with storage_errors(folder), contextlib.ExitStack() as stack:
        with contextlib.suppress(FileNotFoundError):
            descriptor = open_file(folder / MANIFEST)
            stack.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            except OSError:
                pass  # a file system without locks
        (folder / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(folder)
    return True


def rotate(run_folder: Path, *, keep: int, protected: Collection[Path]) -> list[Path]:
    """Delete all published checkpoints but the ``keep`` newest and the ``protected`` ones; return the deleted folders.

    One that another process reads is kept until the next time. Only folders with the app's manifest and the Trainer's
    name are touched.
    """
    published = [folder for folder in list_folders(run_folder) if read_manifest(folder) is not None]
    return [folder for folder in published[:-keep] if folder not in protected and remove(folder)]
