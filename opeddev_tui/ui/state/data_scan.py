"""Read the data folders for the inventory: facts about every batch, and what is wrong with the data.

Reads files: call it in a thread. While nothing has changed, another call costs a few ``stat`` calls only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from opeddev_tui.config.settings import Settings
from opeddev_tui.ui.state.view import BatchRow
from opeddev_tui.workspace.paths import Workspace, corrections_file

Stamp = tuple[tuple[str, int, int], ...]
# of more files than this, changes of later ones go unnoticed: looking must stay cheap
_MOST_FILES = 2000


class Scan(Struct, frozen=True):
    """What is in the data folders."""

    rows: tuple[BatchRow, ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    holdout: str = ""
    stamp: Stamp = ()
    # a row to copy, where there is none yet
    example_row: str = ""


def scan_data(root: Path, settings: Settings, before: Scan | None = None) -> Scan:
    """Return what is in the data folders; ``before`` itself where nothing has changed since."""
    from opeddev_tui.analysis.same_holdout import changed_words
    from opeddev_tui.analysis.workspace_steps import known
    from opeddev_tui.data import batches
    from opeddev_tui.data.example_row import example_row
    from opeddev_tui.data.standing import nothing_yet, problems_of

    paths = settings.paths
    places = [batches.resolve(root, text) for text in (paths.base, paths.increments, paths.holdout)]
    sealed = [batches.resolve(root, paths.test)] if paths.test else []
    workspace = Workspace(root, paths)
    stamp = tuple(_stamp([*places, *sealed, corrections_file(root), workspace.holdout_record]))
    if before is not None and before.stamp == stamp:
        return before
    to_copy = example_row(settings.grading)
    if nothing_yet(root, settings):
        return Scan(stamp=stamp, example_row=to_copy)
    report = batches.check_data(root, settings)
    wrong = problems_of(report)
    rows: list[BatchRow] = []
    for place, loaded in enumerate(report.batches):
        summary = batches.describe(loaded)
        problem, *others = wrong.of_batches.get(place, ("",))
        grades = tuple(summary.grades.items())
        row = BatchRow(summary.name, summary.number, rows=summary.rows, grades=grades, problem=problem)
        rows.append(replace(row, others=tuple(others), rows_as=known(loaded)))
    holdout = f"{len(report.holdout.examples):,} rows · {report.holdout.fingerprint[:12]}" if report.holdout else ""
    warnings = tuple(warning for warning in report.warnings if warning not in report.routine)
    general = (*wrong.general, *changed_words(workspace, report.holdout))
    return Scan(tuple(rows), general, warnings, holdout, stamp, "" if rows else to_copy)


def _stamp(places: list[Path]) -> Iterator[tuple[str, int, int]]:
    """Yield name, size and time of every data file: they change when a person adds or edits one."""
    count = 0
    for place in places:
        if place.is_file():
            status = place.stat()
            yield str(place), status.st_size, status.st_mtime_ns
        for folder, names, files in os.walk(place):
            names[:] = sorted(name for name in names if not name.startswith("."))
            for path in (Path(folder), *(Path(folder) / name for name in sorted(files))):
                count += 1
                if count > _MOST_FILES:
                    return
                try:
                    status = path.stat()
                except OSError:
                    continue
                yield str(path), status.st_size, status.st_mtime_ns
