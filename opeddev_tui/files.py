"""Read the app's own files without waiting, write files whole or not at all, turn disk errors into ``StorageProblem``.

What lies where the app expects its own file may be anything: a folder, a pipe, a device, a link to nothing. Every
reader goes through ``open_file``, which never waits and takes nothing but an ordinary file.
"""

import contextlib
import errno
import fcntl
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from opeddev_tui.errors import StorageProblem

T = TypeVar("T")

# bytes; none of the app's own files but journals and logs comes near
MOST_BYTES = 64 << 20
# seconds that a change waits for another process that changes the same file
_PATIENCE_SECONDS = 20.0
_RETRY_SECONDS = 0.02
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

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
    reason, cure = reason_of(error), _CURES.get(error.errno or 0, "")
    if error.errno == errno.ENOSPC and _takes_no_more_files(Path(error.filename or path)):
        reason, cure = f"{reason}: it takes no more files (no inodes are left)", "Delete files there, however small."
    # of a file that is put in the place of another, the second name is the one a person knows
    where = error.filename2 or error.filename or path
    return StorageProblem(f"cannot be {verb}: {reason}.", where=str(where), cure=cure)


def _takes_no_more_files(path: Path) -> bool:
    try:
        disk = os.statvfs(nearest_existing(path))
    except (OSError, StopIteration, TypeError):
        return False
    # a disk that does not count its files has none of them
    return disk.f_files > 0 and disk.f_favail == 0


def reason_of(error: Exception) -> str:
    """Return why a file could not be read or written, in a few words for a sentence."""
    if isinstance(error, OSError):
        words = error.strerror or (os.strerror(error.errno) if error.errno else str(error))
        return words[:1].lower() + words[1:]
    if isinstance(error, UnicodeDecodeError):
        return f"it is not UTF-8 (byte {error.start})"
    return str(error).split("\n")[0]


# --- reading


def _not_a_file(path: Path, mode: int) -> OSError | None:
    kind = _KINDS.get(stat.S_IFMT(mode))
    return None if kind is None else OSError(errno.EINVAL, f"it is {kind}, not a file", str(path))


def _mode_of(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:
        return stat.S_IFREG


def open_file(path: Path, flags: int = os.O_RDONLY, mode: int = 0o600) -> int:
    """Open the ordinary file at ``path`` and return its descriptor; never waits for another process.

    Raises ``FileNotFoundError`` if nothing is there, another ``OSError`` for anything but a file.
    """
    try:
        descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY, mode)
    except FileNotFoundError:
        if path.is_symlink():
            raise OSError(errno.EINVAL, "it is a link to nothing", str(path)) from None
        raise
    except OSError as error:
        # a pipe that nobody reads, a socket or a folder may refuse to be opened for writing
        raise _not_a_file(path, _mode_of(path)) or error from None
    try:
        if (wrong := _not_a_file(path, os.fstat(descriptor).st_mode)) is not None:
            raise wrong
        os.set_blocking(descriptor, True)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_file(path: Path, *, most: int = MOST_BYTES, start: int = 0) -> bytes:
    """Return the bytes of the file at ``path`` from ``start`` on.

    Raises ``OSError`` for anything but a file, and for more than ``most`` bytes.
    """
    with os.fdopen(open_file(path), "rb") as file:
        size = os.fstat(file.fileno()).st_size - start
        if size > most:
            raise OSError(errno.EFBIG, f"it is too large ({size:,} bytes)", str(path))
        file.seek(start)
        return file.read(most)


def read_text(path: Path) -> str:
    """Return the text of the file at ``path``, without a byte order mark.

    Raises ``OSError``, and ``UnicodeDecodeError`` for bytes that are no UTF-8.
    """
    return read_file(path).decode("utf-8-sig")


def decoded(content: bytes, kind: type[T]) -> T:
    """Return the ``kind`` that ``content`` is in JSON; raises ``ValueError`` for everything else."""
    try:
        return msgspec.json.decode(content, type=kind)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_record(path: Path, kind: type[T]) -> T:
    """Return the ``kind`` that the JSON file at ``path`` holds; raises ``OSError``, and ``ValueError`` for no such."""
    return decoded(read_file(path), kind)


# --- problems


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
            # a disk without owners (exFAT) keeps the modes that it was mounted with
            with contextlib.suppress(PermissionError):
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


def fsync(descriptor: int) -> None:
    """Sync an open file to disk; a disk that knows no such thing is left alone. Raises ``OSError``."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise


def sync_folder(folder: Path) -> None:
    """Sync the file names in ``folder`` to disk, so that a rename or deletion survives a power failure."""
    sync(folder, os.O_DIRECTORY)


def sync(path: Path, flags: int = 0) -> None:
    """Sync the content of ``path`` to disk; raises ``OSError``."""
    descriptor = os.open(path, os.O_RDONLY | flags)
    try:
        fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def changing(path: Path, patience: float = _PATIENCE_SECONDS) -> Iterator[None]:
    """Let one process at a time read, change and write the file at ``path``.

    The lock is a hidden file beside it, which stays. Raises ``StorageProblem`` if another process keeps it for
    ``patience`` seconds, or if it cannot be made.
    """
    place = path.with_name(f".{path.name}.lock")
    with storage_errors(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        descriptor = open_file(place, os.O_RDWR | os.O_CREAT)
    try:
        _wait_for_lock(descriptor, path, patience)
        yield
    finally:
        os.close(descriptor)


def _wait_for_lock(descriptor: int, path: Path, patience: float) -> None:
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= end:
                raise StorageProblem(
                    f"another process has been changing it for {patience:.0f} s.",
                    where=str(path),
                    cure="Try again, or end that process.",
                ) from None
            time.sleep(_RETRY_SECONDS)
        except OSError as error:
            raise storage_problem(error, path) from error


def write_atomic(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Replace the file at ``path``: a reader or a crash sees the old content or the new. Raises ``StorageProblem``."""
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                fsync(file.fileno())
            with contextlib.suppress(PermissionError):
                os.chmod(name, mode)
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
            raise
        sync_folder(path.parent)


def append_line(path: Path, line: bytes) -> None:
    """Append ``line`` and a line end to the file at ``path``, all of it or nothing; raises ``StorageProblem``.

    A last line that was cut short is ended first. The caller keeps other writers away.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = open_file(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        try:
            size = os.fstat(descriptor).st_size
            is_cut = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            _write_or_undo(descriptor, size, (b"\n" if is_cut else b"") + line + b"\n")
        finally:
            os.close(descriptor)


def _write_or_undo(descriptor: int, size: int, content: bytes) -> None:
    try:
        # a short write means a full disk: writing the rest raises the reason, or finds room after all
        while content := content[os.write(descriptor, content) :]:
            pass
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise
