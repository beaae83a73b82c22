"""The history of a person's corrections of a grader's answers: an append-only file, one change per line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from opeddev_tui.files import append_line, decoded, read_file, storage_errors
from opeddev_tui.workspace.paths import graded_history_file

Row = dict[str, Any]


class Change(Struct, frozen=True, kw_only=True):
    """One line of the history: row ``row`` (``corrections.row_hash``) of ``batch`` was ``before`` and is ``after``.

    None: it was not there, or is not any more. ``was`` and ``grade`` are its grades before and after, as they are
    written, empty where it is not there. ``file``: where the submission lay. ``asked``: the fields of a grading row
    that it was made of, where ``after`` has messages. ``undone`` marks the undoing of an earlier change. ``at`` is in
    Unix seconds. An earlier version kept neither ``was`` nor ``file`` nor ``asked``.
    """

    row: str
    batch: str
    grade: str = ""
    was: str = ""
    file: str = ""
    asked: Row | None = None
    before: Row | None = None
    after: Row | None = None
    undone: bool = False
    at: float = 0.0


def read_history(workspace: Path) -> list[Change]:
    """Return all changes, oldest first, without lines that cannot be read; raises ``StorageProblem``."""
    path = graded_history_file(workspace)
    if not path.exists():
        return []
    with storage_errors(path):
        content = read_file(path)
    changes = []
    for line in content.split(b"\n"):
        try:
            changes += [decoded(line, Change)] if line.strip() else []
        except ValueError:
            continue  # a cut line: its row is in the batch all the same
    return changes


def add_to_history(workspace: Path, change: Change) -> None:
    """Append ``change``; raises ``StorageProblem``."""
    append_line(graded_history_file(workspace), msgspec.json.encode(change))


def standing(changes: Sequence[Change]) -> list[Change]:
    """Return the changes that are not undone, oldest first: an undoing takes back the last one of its row."""
    found: list[Change] = []
    for change in changes:
        if not change.undone:
            found.append(change)
            continue
        same = (at for at in reversed(range(len(found))) if _same_row(found[at], change))
        if (last := next(same, None)) is not None:
            del found[last]
    return found


def _same_row(one: Change, other: Change) -> bool:
    return (one.batch, one.row) == (other.batch, other.row)
