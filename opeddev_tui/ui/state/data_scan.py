"""Owns reading the data folders for the inventory: facts about every batch, and what is wrong with the data.

Reads files; call it in a thread. Reading again costs a few ``stat`` calls while nothing changed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from opeddev_tui.config.settings import Settings
from opeddev_tui.errors import Problem
from opeddev_tui.ui.state.view import BatchRow

if TYPE_CHECKING:
    from opeddev_tui.data.batches import BatchSummary

Stamp = tuple[tuple[str, int, int], ...]
# more files than this are looked at by their folders only
_MOST_FILES = 2000


class Scan(Struct, frozen=True):
    """What lies in the data folders."""

    rows: tuple[BatchRow, ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    holdout: str = ""
    stamp: Stamp = ()


def scan_data(root: Path, settings: Settings, before: Scan | None = None) -> Scan:
    """Return what lies in the data folders; ``before`` itself where nothing changed since."""
    from opeddev_tui.data import batches

    places = [batches.resolve(root, text) for text in _data_paths(settings)]
    stamp = tuple(_stamp(places))
    if before is not None and before.stamp == stamp:
        return before
    if _nothing_at(places[0]):
        return Scan(stamp=stamp)
    report = batches.check_data(root, settings)
    rows = tuple(_row(batches.describe(loaded), loaded.problems) for loaded in report.batches)
    holdout = f"{len(report.holdout.examples):,} rows · {report.holdout.fingerprint[:12]}" if report.holdout else ""
    own = {str(problem) for loaded in report.batches for problem in loaded.problems}
    problems = tuple(str(problem) for problem in report.problems if str(problem) not in own)
    return Scan(rows, problems, tuple(report.warnings), holdout, stamp)


def _nothing_at(base: Path) -> bool:
    """True for a missing or an empty base set: not wrong, only not there yet."""
    if base.is_dir():
        return not any(not entry.name.startswith(".") for entry in base.iterdir())
    return not base.exists()


def _data_paths(settings: Settings) -> tuple[str, str, str]:
    return settings.paths.base, settings.paths.increments, settings.paths.holdout


def _row(summary: BatchSummary, problems: list[Problem]) -> BatchRow:
    return BatchRow(
        name=summary.name,
        number=summary.number,
        rows=summary.rows,
        grades=tuple(summary.grades.items()),
        problem=str(problems[0]) if problems else "",
    )


def _stamp(places: list[Path]) -> Iterator[tuple[str, int, int]]:
    """Return names, sizes and times of the data files: what changes when a person adds or edits one."""
    count = 0
    for place in places:
        for folder, names, files in os.walk(place):
            names[:] = sorted(name for name in names if not name.startswith("."))
            for path in (Path(folder), *(Path(folder) / name for name in sorted(files))):
                count += 1
                if count > _MOST_FILES:
                    return
                try:
                    found = path.stat()
                except OSError:
                    continue
                yield str(path), found.st_size, found.st_mtime_ns
