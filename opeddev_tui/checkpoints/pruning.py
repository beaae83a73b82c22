"""Plan and carry out the deletion of checkpoints: which are deleted, which are kept and why, which are quarantined."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from opeddev_tui.checkpoints import folders
from opeddev_tui.checkpoints.catalog import Entry
from opeddev_tui.files import folder_size
from opeddev_tui.workspace.paths import Workspace

IN_USE = "another process is reading it"


class Aside(Struct, frozen=True):
    """A damaged checkpoint that was quarantined; ``size`` in bytes."""

    folder: Path
    run: str
    size: int

    @property
    def name(self) -> str:
        """Its name for people: run/damaged-checkpoint-75-…"""
        return f"{self.run}/{self.folder.name}"


class Removal(Struct, frozen=True):
    """A planned deletion: what is deleted (``goes``, ``aside``), and what is kept, with the reason."""

    goes: list[Entry]
    stays: list[tuple[Entry, str]]
    aside: list[Aside] = []

    @property
    def freed(self) -> int:
        """Bytes that the deletion frees."""
        return sum(entry.size for entry in self.goes) + sum(item.size for item in self.aside)

    @property
    def count(self) -> int:
        """Number of folders that are deleted."""
        return len(self.goes) + len(self.aside)


def list_aside(workspace: Workspace) -> list[Aside]:
    """Return the quarantined checkpoints of ``workspace``, oldest run first."""
    return [
        Aside(folder, run, folder_size(folder))
        for run in workspace.run_ids()
        for folder in folders.list_aside(workspace.checkpoints(run))
    ]


def plan_removal(
    entries: Sequence[Entry], wanted: Iterable[Entry] | None = None, aside: Sequence[Aside] = ()
) -> Removal:
    """Return what deleting ``wanted`` (None: all entries that nothing needs) and ``aside`` would do.

    Nothing is touched. Always kept: latest, best, chosen and pinned checkpoints, the start of a step, the base of
    adapters, and folders that were never published.
    """
    goes, stays = [], []
    for entry in entries if wanted is None else wanted:
        if not entry.published:
            stays.append((entry, "not finished or not of this app"))
        elif entry.marks:
            stays.append((entry, ", ".join(entry.marks)))
        else:
            goes.append(entry)
    return Removal(goes, stays, list(aside))


def carry_out(removal: Removal) -> Removal:
    """Delete the checkpoints of ``removal`` and return what was done: one that a process reads is kept.

    Raises ``StorageProblem``.
    """
    gone = {entry.folder for entry in removal.goes if folders.remove(entry.folder)}
    for folder in still_aside(removal.aside):
        folders.remove(folder)
    kept = [(entry, IN_USE) for entry in removal.goes if entry.folder not in gone]
    return Removal([entry for entry in removal.goes if entry.folder in gone], [*removal.stays, *kept], removal.aside)


def still_aside(found: Iterable[Aside]) -> list[Path]:
    """Return the folders of ``found`` that are still quarantined checkpoints."""
    return [item.folder for item in found if folders.is_aside(item.folder)]
