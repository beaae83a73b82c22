"""Keep commands of other processes as files in the run's folder, until the journal says what became of them.

A sender puts a file there and may take it back for as long as nobody has claimed it. A training claims a file by
renaming it, and deletes it only once its effect is in the journal: what a kill leaves behind is found again. Whoever
may write into the folder commands the training, so a file of another user is refused, as at a socket.
"""

import contextlib
import os
import stat
import time
from pathlib import Path

from msgspec import Struct

from opeddev_tui.errors import StorageProblem
from opeddev_tui.files import make_private, storage_errors, sync_folder, write_atomic

MAILBOX_NAME = "control"
_SENT, _CLAIMED = ".json", ".taken"
# bytes; a command with a long note is far smaller
_LARGEST = 1 << 20


class Letter(Struct, frozen=True):
    """One command on its way: its id, its claimed file and what is in it."""

    id: str
    path: Path
    content: bytes


class Mailbox:
    """The training's end. ``take_refused`` returns what was wrong with files that are no commands."""

    def __init__(self, run_folder: Path) -> None:
        self.folder = run_folder / MAILBOX_NAME
        self._refused: list[str] = []
        # files that can neither be read nor removed are told of once
        self._known: set[str] = set()

    def open(self) -> list[Letter]:
        """Make the folder the owner's alone; return what was sent before, and what a training that died had claimed."""
        try:
            make_private(self.folder)
        except StorageProblem as problem:
            self._refused.append(f"commands from other terminals cannot be received: {problem}")
            return []
        return [*self._read(_CLAIMED), *self.claim()]

    def claim(self) -> list[Letter]:
        """Return the commands sent since the last call, oldest first; from now on none can be withdrawn."""
        return self._read(_SENT)

    def _read(self, suffix: str) -> list[Letter]:
        try:
            names = sorted(name for name in os.listdir(self.folder) if name.endswith(suffix) and name[0] != ".")
        except OSError:
            return []
        found = [self._letter(self.folder / name) for name in names if name not in self._known]
        return [letter for letter in found if letter is not None]

    def _letter(self, path: Path) -> Letter | None:
        claimed = path.with_suffix(_CLAIMED)
        try:
            if claimed != path:
                # the sender may have taken it back meanwhile
                path.rename(claimed)
            return Letter(path.stem, claimed, _content_of(claimed))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
            self._refuse(claimed if claimed.exists() else path, reason)
            return None

    def refuse(self, letter: Letter, reason: str) -> None:
        """Remove a letter that is no command."""
        self._refuse(letter.path, reason)

    def _refuse(self, path: Path, reason: str) -> None:
        self._refused.append(f"a file in the run's mailbox is no command and was not obeyed ({path.stem}): {reason}")
        try:
            path.unlink()
        except OSError:
            self._known.add(path.name)

    def take_refused(self) -> list[str]:
        """Return one sentence per refused file since the last call."""
        refused, self._refused = self._refused, []
        return refused


def _content_of(path: Path) -> bytes:
    """Return the content of a claimed file; raises ``ValueError`` for what this user did not put there."""
    # neither a link nor a pipe is followed or waited for
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is no plain file")
        if found.st_uid not in (0, os.geteuid()):
            raise ValueError(f"it belongs to another user (uid {found.st_uid})")
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise ValueError("other users may write it")
        if found.st_size > _LARGEST:
            raise ValueError(f"it is too large ({found.st_size} bytes)")
        return file.read(_LARGEST)


def close(letter: Letter) -> None:
    """Delete a letter whose effect is recorded; one that cannot be deleted is found again, and known by its id."""
    with contextlib.suppress(OSError):
        letter.path.unlink()


def put(run_folder: Path, content: bytes) -> Path:
    """Put a command into the mailbox of a run and return its file; raises ``StorageProblem``."""
    folder = run_folder / MAILBOX_NAME
    make_private(folder)
    # after all that waits there: a clock that was set back must not change the order
    waiting = [int(name[:20]) for name in os.listdir(folder) if name[:20].isdecimal()]
    number = max([time.time_ns(), *(one + 1 for one in waiting)])
    path = folder / f"{number:020d}-{os.getpid()}-{os.urandom(3).hex()}{_SENT}"
    hidden = folder / f".{path.stem}.new"
    write_atomic(hidden, content, mode=0o600)
    with storage_errors(path):
        owner = folder.stat().st_uid
        if os.geteuid() == 0 and owner != 0:
            # the training of another user must be able to read what root sends it
            os.chown(hidden, owner, -1)
        hidden.rename(path)
        sync_folder(folder)
    return path


def withdraw(path: Path) -> bool:
    """Take a command back; False if a training has claimed it."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True
