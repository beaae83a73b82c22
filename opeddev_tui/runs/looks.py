"""Count every look at the sealed test set, with what was seen, in an append-only file.

A look is recorded before its figures are shown; a line that cannot be read still counts.
"""

import time
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from opeddev_tui.files import append_line, decoded, read_file, storage_problem
from opeddev_tui.workspace.lock import hold_lock
from opeddev_tui.workspace.paths import test_looks_file


class Look(Struct, frozen=True, kw_only=True):
    """One look: when (Unix seconds), at which model, at which rows (SHA-256), and the figures that were shown.

    ``figures``: by way to a grade and figure, [value, low, high]; ``losses``: nats per token by model.
    """

    checkpoint: str
    fingerprint: str
    rows: int
    losses: dict[str, float | None] = {}
    figures: dict[str, dict[str, list[float | None]]] = {}
    at: float = 0.0


class Looks(Struct, frozen=True):
    """All looks that can be read, oldest first, and how many lines cannot."""

    looks: tuple[Look, ...] = ()
    damaged: int = 0

    @property
    def count(self) -> int:
        """How often the test set was looked at, in any version."""
        return len(self.looks) + self.damaged

    def at_version(self, fingerprint: str) -> int:
        """How often the rows of ``fingerprint`` were looked at; a look whose line is damaged may have been one."""
        return sum(look.fingerprint == fingerprint for look in self.looks) + self.damaged


def read_looks(workspace: Path) -> Looks:
    """Return the looks so far; raises ``StorageProblem`` if they cannot be read."""
    path = test_looks_file(workspace)
    try:
        content = read_file(path)
    except FileNotFoundError:
        return Looks()
    except OSError as error:
        raise storage_problem(error, path, "read") from error
    looks: list[Look] = []
    damaged = 0
    for line in content.splitlines():
        if not line.strip():
            continue
        try:
            looks.append(decoded(line, Look))
        except ValueError:
            damaged += 1
    return Looks(tuple(looks), damaged)


def record_look(workspace: Path, look: Look) -> Looks:
    """Append ``look`` with its time and return all looks with it; raises ``BusyProblem`` or ``StorageProblem``."""
    path = test_looks_file(workspace)
    with hold_lock(path.with_suffix(".lock"), "another process looks at the test set."):
        append_line(path, msgspec.json.encode(replace(look, at=time.time())))
        return read_looks(workspace)
