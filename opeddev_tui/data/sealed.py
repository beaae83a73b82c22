"""Read the test set, which is sealed: its rows are scored on request and counted, and never shown one by one.

Whatever a reader says of a row's content must not leave this module; its place in the files may.
"""

from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from opeddev_tui.config import settings
from opeddev_tui.data import data_warnings, folder_files, formats, split_names
from opeddev_tui.data.batch_paths import source_of
from opeddev_tui.data.sets import Batch, LoadedBatch, load_batch
from opeddev_tui.errors import DataProblem, Problem
from opeddev_tui.format import plural
from opeddev_tui.text import clean_line

TEST = "test"
_PLACES = 3


def load_sealed(workspace: Path, settings: settings.Settings, *, fetch: bool = True) -> LoadedBatch | None:
    """Return the test set, None where ``paths.test`` is empty; its problems and notes name places, never content.

    Raises ``DataProblem`` if the setting names a place without rows.
    """
    if not settings.paths.test:
        return None
    path, split = source_of(workspace, settings.paths.test, fetch=fetch)
    if not path.exists():
        cure = "Put the test rows there, or leave paths.test empty."
        raise DataProblem("the test set does not exist.", where=str(path), cure=cure)
    if folder_files.is_empty(path):
        raise DataProblem("the test set is an empty folder.", where=str(path), cure="Put the test rows there.")
    loaded = load_batch(Batch(TEST, -2, path, split or _held_out(path)), settings)
    unread = data_warnings.unread_grades(loaded.examples, settings.grading)
    problems = sealed_problems([*loaded.problems, *unread], path)
    return replace(loaded, problems=problems, notes=())


def _held_out(path: Path) -> str | None:
    names = formats.splits(path)
    return next((name for name in (split_names.TEST, *split_names.HELD_OUT) if name in names), None)


def sealed_problems(problems: Sequence[Problem], path: Path) -> list[Problem]:
    """Return the problems of whole files as they are, and those of rows as one that names places alone."""
    whole = [problem for problem in problems if Path(problem.where).exists()]
    rows = [problem for problem in problems if problem not in whole]
    if not rows:
        return list(whole)
    places = [clean_line(problem.where) for problem in rows if problem.where]
    named = ", ".join(places[:_PLACES]) + (", …" if len(places) > _PLACES else "")
    message = f"{plural(len(rows), 'problem')} with rows of the test set, at {named or 'unknown places'}."
    cure = "Put a copy of these rows into a set of its own and run check there: a test row is never shown."
    return [*whole, DataProblem(message, where=str(path), cure=cure)]
