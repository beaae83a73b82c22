"""Write files whole or not at all, measure disks and folders, and turn disk errors into ``StorageProblem``."""

import contextlib
import errno
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from opeddev_tui.errors import StorageProblem

# bytes; with less than this free, a failure that a library gives no reason for is taken to be a full disk
_FULL = 64 << 20
_CURES = {
    errno.ENOSPC: "Free some space there, or set paths.model_store to another disk.",
    errno.EDQUOT: "Your quota is used up: free some space, or set paths.model_store to another disk.",
    errno.EROFS: "The file system is read-only: set paths.model_store (or the workspace) to a writable place.",
    errno.EIO: "Look at the disk's health, or set paths.model_store to another disk.",
    errno.EFBIG: "A limit on the size of files is set (ulimit -f): raise it.",
    errno.EACCES: "Give yourself write permission there, or choose another place.",
    errno.EPERM: "Give yourself write permission there, or choose another place.",
    errno.ENOLCK: "Its file system has no locks: keep the workspace on another disk.",
    errno.EOPNOTSUPP: "Its file system has no locks: keep the workspace on another disk.",
}
_NETWORK = ("nfs", "cifs", "smb", "9p", "fuse.sshfs", "fuse.glusterfs", "ceph", "lustre", "gpfs", "afs", "beegfs")


def storage_problem(error: OSError, path: Path | str, verb: str = "written") -> StorageProblem:
    """Return the problem of a failed read or write at ``path``, with a cure where one is known."""
    reason = os.strerror(error.errno).lower() if error.errno else str(error)
    return StorageProblem(
        f"cannot be {verb}: {reason}.", where=str(error.filename or path), cure=_CURES.get(error.errno or 0, "")
    )


def unwritable(path: Path, error: Exception) -> StorageProblem:
    """Return the problem of a file below ``path`` that a library could not write, from the library's own ``error``."""
    stated = re.search(r"os error (\d+)", str(error))
    full = free_space(path) < _FULL
    number = int(stated[1]) if stated else errno.ENOSPC if full else errno.EIO
    return storage_problem(OSError(number, os.strerror(number)), path)


@contextlib.contextmanager
def storage_errors(path: Path | str) -> Iterator[None]:
    """Raise an ``OSError`` of the block as a ``StorageProblem`` about ``path``."""
    try:
        yield
    except OSError as error:
        raise storage_problem(error, path) from error


def on_network(path: Path) -> bool:
    """Return whether ``path`` lies on a disk of the network, whose locks may not reach other machines."""
    try:
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    except OSError:
        return False
    place = path.resolve()
    over = [(mount[1], mount[2]) for mount in mounts if len(mount) > 2 and place.is_relative_to(mount[1])]
    kind = max(over, key=lambda mount: len(mount[0]), default=("", ""))[1]
    return kind.startswith(_NETWORK)


def make_private(folder: Path) -> None:
    """Make ``folder`` if it is missing, readable and writable by its owner alone; raises ``StorageProblem``.

    A folder of another user, or a link, is refused.
    """
    with storage_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        foreign = os.geteuid() not in (0, found.st_uid)
        if not stat.S_ISDIR(found.st_mode) or foreign:
            raise StorageProblem(
                "is a link or belongs to another user.", where=str(folder), cure="Move it away, and try again."
            )
        if stat.S_IMODE(found.st_mode) & 0o077:
            folder.chmod(0o700)


def nearest_existing(path: Path) -> Path:
    """Return ``path``, or the nearest folder above it that exists."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def free_space(path: Path) -> int:
    """Return the free bytes of the disk that holds ``path`` (which need not exist yet)."""
    return shutil.disk_usage(nearest_existing(path)).free


def folder_size(folder: Path) -> int:
    """Return the bytes of all files below ``folder``."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def sync_folder(folder: Path) -> None:
    """Sync the file names in ``folder`` to disk, so that a rename or deletion survives a power failure."""
    sync(folder, os.O_DIRECTORY)


def sync(path: Path, flags: int = 0) -> None:
    """Sync the content of ``path`` to disk; raises ``OSError``."""
    descriptor = os.open(path, os.O_RDONLY | flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomic(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Replace the file at ``path``: a reader or a crash sees the old content or the new. Raises ``StorageProblem``."""
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, mode)
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
            raise
        sync_folder(path.parent)
