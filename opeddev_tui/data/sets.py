"""Find the sets of rows of a workspace, and read one of them as its files say. Nothing here knows tokens."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from opeddev_tui.config import settings
from opeddev_tui.data import data_warnings, folder_files, formats, raw_rows, rows, split_names
from opeddev_tui.data.batch_paths import batch_name, folder_of_increments, in_order, increments, source_of
from opeddev_tui.data.corrected_rows import HOLDOUT
from opeddev_tui.data.row_schemas import read_examples
from opeddev_tui.data.rows import Example
from opeddev_tui.errors import DataProblem, Problem
from opeddev_tui.text import clean_line, is_text


class Batch(Struct, frozen=True):
    """One set of rows: 0 is the base set, 1 and up the increments in natural order, -1 the hold-out.

    ``split`` is set if a source names one (hub:owner/name:train).
    """

    name: str
    number: int
    path: Path
    split: str | None = None

    @property
    def set(self) -> str:
        """The name by which corrections name this set; an increment may be called base, too."""
        return f"increments/{self.name}" if self.number > 0 and self.name in ("base", HOLDOUT) else self.name


# base + batches 1 to a number, these batches in this order, or (None) all
Chosen = int | Sequence[Batch] | None


class LoadedBatch(Struct, frozen=True):
    """A batch that was read: the examples of its good rows, the problems of the others, and its form (``schema``).

    ``notes`` say what was not read, or not as it is written. ``fingerprint`` is that of the person's files,
    ``corrections`` that of the ``corrected`` grades in ``examples``, empty where there are none.
    """

    batch: Batch
    schema: str
    examples: list[Example]
    fingerprint: str
    problems: list[Problem]
    notes: tuple[str, ...] = ()
    corrections: str = ""
    corrected: int = 0
    # SHA-256 of the rows as a person wrote them: it stays where settings change what is trained
    identity: str = ""

    @property
    def version(self) -> str:
        """What tells these rows from the same files with other corrections."""
        if not self.corrections:
            return self.fingerprint
        return hashlib.sha256(f"{self.fingerprint}{self.corrections}".encode()).hexdigest()


def find_batches(workspace: Path, paths: settings.Paths, *, fetch: bool = True) -> list[Batch]:
    """Return the base set and the increments in natural order (batch_100_2 before batch_100_10, corrections last).

    A base set on the hub is fetched if it is not in the cache, unless ``fetch`` is off. Raises ``DataProblem``.
    """
    base, split = source_of(workspace, paths.base, fetch=fetch)
    if not base.exists():
        cure = f"Put the first training set at {base}, or run opeddev-tui demo."
        raise DataProblem("the base set does not exist.", where=str(base), cure=cure)
    folder = folder_of_increments(workspace, paths)
    by_name: dict[str, Path] = {}
    for path in sorted(increments(folder)[0], key=in_order):
        name = batch_name(path)
        if not is_text(name):
            raise DataProblem("the batch's name is not UTF-8 text.", where=str(path), cure="Rename it.")
        if (other := by_name.setdefault(name, path)) != path:
            message = f"{other.name} and {path.name} are both the batch {clean_line(name)}."
            raise DataProblem(message, where=str(folder), cure="Rename or remove one of the two.")
    numbered = enumerate(by_name.items(), 1)
    return [Batch("base", 0, base, split), *(Batch(name, number, path) for number, (name, path) in numbered)]


def find_holdout(workspace: Path, paths: settings.Paths, *, fetch: bool = True) -> tuple[Path, str | None]:
    """Return place and split of the hold-out: its own place, else a split of the base set; raises ``DataProblem``."""
    holdout, split = source_of(workspace, paths.holdout, fetch=fetch)
    if split is not None:
        return holdout, split
    base, _ = source_of(workspace, paths.base, fetch=fetch)
    names: list[str] = []
    for place in [base] if folder_files.is_empty(holdout) else [holdout, base]:
        # a link to nowhere is reported, not passed over in silence
        names = formats.splits(place) if place.exists() or place.is_symlink() else []
        held_out = next((name for name in split_names.HELD_OUT if name in names), None)
        if held_out or (place == holdout and holdout.exists()):
            return place, held_out
    has = f" (it has: {clean_line(', '.join(names))})" if names else ""
    cure = f"Put rows that are never trained on at {holdout}, or give the base set a validation split{has}."
    raise DataProblem("there is no hold-out.", where=str(holdout), cure=cure)


def up_to(batches: list[Batch], step: Chosen) -> list[Batch]:
    """Return the batches that are chosen; raises ``DataProblem`` if there is no such step."""
    if step is not None and not isinstance(step, int):
        return list(step)
    if step is not None and not 0 <= step < len(batches):
        cure = "Add batches to the folder of increments, or choose a smaller step."
        message = f"step {step} does not exist: there are steps 0 to {len(batches) - 1}."
        raise DataProblem(message, where=str(batches[-1].path), cure=cure)
    return batches if step is None else batches[: step + 1]


def load_batch(batch: Batch, settings: settings.Settings, read: raw_rows.FileRows | None = None) -> LoadedBatch:
    """Read a batch; its problems are returned, never raised. ``read``: the rows of its files, once read."""
    schema, examples, problems, notes, identity = "", list[Example](), list[Problem](), list[str](), ""
    try:
        files = read or formats.read_split(batch.path, settings.data, split=batch.split)
        problems += files.problems
        notes += files.notes
        identity = raw_rows.identity(files.rows)
        if files.rows:
            made = read_examples(files.rows, settings)
            schema, examples = made.schema, made.examples
            problems += made.problems
            notes += made.notes
    except Problem as problem:
        problems.append(problem)
    notes += data_warnings.notes_of(batch.name, examples, settings.grading)
    fingerprint = rows.fingerprint(examples)
    return LoadedBatch(batch, schema, examples, fingerprint, problems, tuple(notes), identity=identity)


def holdout_as_written(workspace: Path, settings: settings.Settings, *, fetch: bool = True) -> LoadedBatch:
    """Return the hold-out with the grades of its files; raises ``DataProblem`` only if there is none."""
    path, split = find_holdout(workspace, settings.paths, fetch=fetch)
    return load_batch(Batch(HOLDOUT, -1, path, split), settings)
