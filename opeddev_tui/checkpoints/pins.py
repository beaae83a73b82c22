"""Pins and notes on checkpoints, by the checkpoint's name, in one small file of the workspace."""

import json
from pathlib import Path
from typing import Any

from opeddev_tui.checkpoints import folders
from opeddev_tui.errors import StorageProblem
from opeddev_tui.files import changing, read_record, reason_of, write_atomic
from opeddev_tui.workspace.paths import Workspace

# per checkpoint: pinned, note
Notes = dict[str, dict[str, Any]]


def read_notes(workspace: Workspace) -> Notes:
    """Return all pins and notes; raises ``StorageProblem`` if they cannot be read."""
    try:
        return read_record(workspace.checkpoint_notes, Notes)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StorageProblem(
            f"pins and notes cannot be read: {reason_of(error)}.",
            where=str(workspace.checkpoint_notes),
            cure="Correct it, or delete it.",
        ) from error


def note_on(notes: Notes, checkpoint: str) -> str:
    """Return the note on ``checkpoint``, empty without one."""
    note = notes.get(checkpoint, {}).get("note", "")
    return note if isinstance(note, str) else ""


def notes_problem(workspace: Workspace) -> str:
    """Return why pins and notes cannot be read, "" if they can; until then every checkpoint counts as pinned."""
    try:
        read_notes(workspace)
    except StorageProblem as problem:
        return str(problem)
    return ""


def annotate(workspace: Workspace, checkpoint: str, *, pinned: bool | None = None, note: str | None = None) -> None:
    """Pin or unpin ``checkpoint`` (its name), or set its note; None changes nothing. Raises ``StorageProblem``."""
    with changing(workspace.checkpoint_notes):
        notes = read_notes(workspace)
        mine = notes.setdefault(checkpoint, {})
        if pinned is not None:
            mine["pinned"] = pinned
        if note is not None:
            mine["note"] = note
        # a text from a command line may hold bytes that are no UTF-8
        content = json.dumps(notes, indent=1, ensure_ascii=False).encode(errors="replace")
        write_atomic(workspace.checkpoint_notes, content)


def pinned_folders(workspace: Workspace, run: str) -> list[Path]:
    """Return the pinned checkpoint folders of ``run``; with a damaged notes file, all of them count as pinned."""
    every = folders.list_folders(workspace.checkpoints(run))
    try:
        notes = read_notes(workspace)
    except StorageProblem:
        return every
    return [folder for folder in every if notes.get(f"{run}/{folder.name}", {}).get("pinned")]
