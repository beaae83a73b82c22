"""How the data folders stand: whether there is anything yet, and which problem is of which batch. Changes nothing."""

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from opeddev_tui.config.settings import Settings
from opeddev_tui.data.batch_paths import resolve
from opeddev_tui.data.batches import DataReport
from opeddev_tui.errors import Problem, SettingsProblem


class Problems(Struct, frozen=True):
    """Everything that is wrong with the data, as sentences: by the place of its batch, and what is of no batch."""

    of_batches: dict[int, tuple[str, ...]]
    general: tuple[str, ...]


def nothing_yet(root: Path, settings: Settings) -> bool:
    """Return whether there is no data yet; a base set that is missing while batches wait for it is a problem."""
    try:
        return all(_is_empty(resolve(root, text)) for text in (settings.paths.base, settings.paths.increments))
    except SettingsProblem:
        return False  # whoever reads the data says so


def _is_empty(folder: Path) -> bool:
    if folder.is_dir():
        return all(entry.name.startswith(".") for entry in folder.iterdir())
    return not folder.exists()


def problems_of(report: DataReport) -> Problems:
    """Return the problems of ``report``; what lies in a batch's files is the batch's, whoever found it."""
    paths = [str(loaded.batch.path) for loaded in report.batches]
    own = [list(loaded.problems) for loaded in report.batches]
    general: list[Problem] = []
    known = {str(problem) for problems in own for problem in problems}
    for problem in report.problems:
        if str(problem) in known:
            continue
        place = _batch_at(problem.where, paths)
        (general if place is None else own[place]).append(problem)
    of_batches = {place: tuple(map(str, problems)) for place, problems in enumerate(own) if problems}
    return Problems(of_batches, tuple(map(str, general)))


def _batch_at(where: str, paths: Sequence[str]) -> int | None:
    """Return the place of the batch whose file or folder ``where`` is in, the innermost one; None if it is in none."""
    inside = [place for place, path in enumerate(paths) if where == path or where.startswith((f"{path}/", f"{path}:"))]
    return max(inside, key=lambda place: len(paths[place]), default=None)
