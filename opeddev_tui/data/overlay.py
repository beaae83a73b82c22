"""Apply the corrected grades of a workspace to sets that were read, with notes for the person."""

from collections.abc import Collection, Sequence
from pathlib import Path

from msgspec.structs import replace

from opeddev_tui.config import settings
from opeddev_tui.data.corrected_rows import Corrected, correct_sets
from opeddev_tui.data.corrections import read_overlay
from opeddev_tui.data.sets import LoadedBatch
from opeddev_tui.text import clean_line

_APPLIED = "grades corrected by regrade:"


def is_routine(note: str) -> bool:
    """Return whether ``note`` only says that all corrections were applied, as the person wished."""
    return note.startswith(_APPLIED) and "no longer match" not in note


def with_corrections(
    workspace: Path, settings: settings.Settings, loaded: list[LoadedBatch], existing: Collection[str] | None
) -> tuple[list[LoadedBatch], list[str]]:
    """Return the sets with the corrections of the workspace, and what a person should know of these.

    ``existing`` names all sets there are, None: not known. Raises ``StorageProblem`` if they cannot be read.
    """
    overlay = read_overlay(workspace)
    if not overlay.corrections:
        return loaded, list(overlay.damaged)
    sets = {item.batch.set: item.examples for item in loaded}
    found = correct_sets(sets, overlay, settings.grading, existing)
    corrected = [
        replace(
            item,
            examples=[row.example for row in found.rows[item.batch.set]],
            corrections=found.fingerprint(item.batch.set),
            corrected=len(found.applied(item.batch.set)),
        )
        for item in loaded
    ]
    return corrected, [*_corrections_note(corrected, found), *found.unmatched, *overlay.damaged]


def _corrections_note(loaded: Sequence[LoadedBatch], found: Corrected) -> list[str]:
    count = sum(item.corrected for item in loaded)
    if not count and not found.unmatched:
        return []
    unmatched = f"; {len(found.unmatched)} no longer match" if found.unmatched else ""
    where = ", ".join(f"{clean_line(item.batch.name)} {item.corrected}" for item in loaded if item.corrected)
    return [f"{_APPLIED} {count}{f' ({where})' if where else ''}{unmatched}."]
