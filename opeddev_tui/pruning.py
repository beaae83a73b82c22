"""Owns deleting checkpoints: what may go, what stays and why, and what was put aside as damaged."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from opeddev_tui import checkpoints
from opeddev_tui.catalog import Entry
from opeddev_tui.storage import folder_size
from opeddev_tui.workspace import Workspace


class Aside(Struct, frozen=True):
    """A damaged checkpoint that a resume put aside; ``size`` in bytes."""

    folder: Path
    run: str
    size: int

    @property
    def name(self) -> str:
        """How people name it: run/damaged-checkpoint-75-…"""
        return f"{self.run}/{self.folder.name}"


class Removal(Struct, frozen=True):
    """What a deletion would do: what goes, damaged ones among it, and what stays with the reason."""

    goes: list[Entry]
    stays: list[tuple[Entry, str]]
    aside: list[Aside] = []

    @property
    def freed(self) -> int:
        """Bytes that would be freed."""
        return sum(entry.size for entry in self.goes) + sum(item.size for item in self.aside)

    @property
    def count(self) -> int:
        """How many folders would go."""
        return len(self.goes) + len(self.aside)


def list_aside(workspace: Workspace) -> list[Aside]:
    """Return the damaged checkpoints that were put aside in the runs of ``workspace``, oldest run first."""
    return [
        Aside(folder, run, folder_size(folder))
        for run in workspace.run_ids()
        for folder in checkpoints.list_aside(workspace.checkpoints(run))
    ]


def plan_removal(
    entries: Sequence[Entry], wanted: Iterable[Entry] | None = None, aside: Sequence[Aside] = ()
) -> Removal:
    """Return what deleting ``wanted`` (None: everything that nothing needs) and ``aside`` would do; nothing is touched.

    Never goes: latest, best, chosen, pinned, a step's start, the base of adapters, and what was never published.
    """
    chosen = list(entries) if wanted is None else list(wanted)
    goes, stays = [], []
    for entry in chosen:
        if not entry.published:
            stays.append((entry, "not finished or not of this app"))
        elif entry.marks:
            stays.append((entry, ", ".join(entry.marks)))
        else:
            goes.append(entry)
    return Removal(goes, stays, list(aside))


def carry_out(removal: Removal) -> None:
    """Delete what ``removal`` says goes."""
    for folder in [*(entry.folder for entry in removal.goes), *still_aside(removal.aside)]:
        checkpoints.remove(folder)


def still_aside(found: Iterable[Aside]) -> list[Path]:
    """Return the folders of ``found`` that are what they were when they were found."""
    return [item.folder for item in found if checkpoints.is_aside(item.folder)]
