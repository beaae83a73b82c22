"""The file of proposed rows: write it, and take it as the next batch when every row is filled in.

It lies outside the increments until then. A file is taken whole or not at all.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from opeddev_tui.config.settings import Settings
from opeddev_tui.data import folder_files, formats, leakage
from opeddev_tui.data.batch_names import corrections_number, natural
from opeddev_tui.data.batch_paths import batch_name, folder_of_increments, increments
from opeddev_tui.data.batches import check_agreement
from opeddev_tui.data.optional_fields import read_grades
from opeddev_tui.data.raw_rows import RawRow
from opeddev_tui.data.rows import RowContext, capped
from opeddev_tui.data.sealed import load_sealed
from opeddev_tui.data.sets import Batch, find_batches, holdout_as_written, load_batch
from opeddev_tui.errors import DataProblem, Problem, Problems, StorageProblem
from opeddev_tui.files import storage_errors, write_atomic
from opeddev_tui.text import clean_line
from opeddev_tui.workspace.lock import hold_lock
from opeddev_tui.workspace.paths import expand, proposals_lock

_FIRST = ("id", "kind", "grade", "feedback", "proposed")


class Taken(Struct, frozen=True):
    """A batch that was taken: where it lies now, its rows, and what a person should know."""

    path: Path
    rows: int
    notes: tuple[str, ...] = ()


def next_name(workspace: Path, settings: Settings, count: int) -> str:
    """Return the name of the next increment, which sorts behind all that are there but those of corrections."""
    every = [batch_name(path) for path in increments(folder_of_increments(workspace, settings.paths))[0]]
    found = sorted((name for name in every if corrections_number(name) is None), key=natural)
    if not found:
        return f"batch_{count}_01"
    match = re.fullmatch(r"(.*?)([0-9]+)", found[-1])
    stem, number, width = (match[1], int(match[2]), len(match[2])) if match else (f"{found[-1]}_", 1, 2)
    while natural(name := f"{stem}{number + 1:0{width}}") <= natural(found[-1]):
        number += 1
    return name


def default_place(workspace: Path, settings: Settings, count: int) -> Path:
    """Return where a proposal is written without --out: the first free name that the next batch may have."""
    folder = expand(workspace, settings.paths.proposals)
    name = next_name(workspace, settings, count)
    tries = (folder / f"{name}{f'_{more}' if more > 1 else ''}.jsonl" for more in range(1, 10_000))
    return next(place for place in tries if not place.exists())


def write_proposal(workspace: Path, settings: Settings, place: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write ``rows`` to ``place`` with empty grades, over no other file; raises ``Problem``."""
    _must_be_outside(workspace, settings, place)
    if place.exists() or place.is_symlink():
        raise StorageProblem("is there already.", where=str(place), cure="Name another file with --out.")
    lines = []
    for row in rows:
        ordered = {
            **{name: row.get(name, "") for name in _FIRST if name in row or name in ("grade", "feedback")},
            **row,
        }
        lines.append(json.dumps({**ordered, "grade": "", "feedback": ""}, ensure_ascii=False))
    write_atomic(place, "".join(f"{line}\n" for line in lines).encode(), mode=0o600)


def _must_be_outside(workspace: Path, settings: Settings, place: Path) -> None:
    paths = settings.paths
    used = [text for text in (paths.base, paths.increments, paths.holdout, paths.test) if text and ":" not in text[:4]]
    for text in used:
        folder = expand(workspace, text).resolve()
        if place.resolve() == folder or folder in place.resolve().parents:
            cure = f"Write it somewhere else, such as {paths.proposals}."
            raise DataProblem("rows there are read before they are graded.", where=str(place), cure=cure)


# --- what is filled in


def read_proposal(place: Path, settings: Settings) -> list[RawRow]:
    """Return the rows of a proposal as they are written; raises ``Problems``."""
    read = formats.read_split(place, settings.data)
    if read.problems:
        raise Problems(read.problems)
    return read.rows


def unfilled(rows: Sequence[RawRow], settings: Settings) -> list[DataProblem]:
    """Return a problem for every row without a grade, or without the feedback that is trained on."""
    wants_feedback = "{feedback}" in settings.grading.completion_template
    context = RowContext(settings.grading)
    found = []
    for row in rows:
        lacking = [name for name in ("grade", *(["feedback"] if wants_feedback else [])) if _is_blank(row, name)]
        if "grade" in lacking and _has_several(row, context):
            lacking.remove("grade")
        if lacking:
            name = clean_line(str(row.fields.get("id") or ""), max_chars=60)
            message = f"row {name} has no {' and no '.join(lacking)} yet." if name else "the row is not filled in yet."
            found.append(DataProblem(message, where=row.where, cure=f"Write {' and '.join(lacking)}."))
    return found


def _is_blank(row: RawRow, name: str) -> bool:
    value = row.fields.get(name)
    return value is None or (isinstance(value, str) and not value.strip())


def _has_several(row: RawRow, context: RowContext) -> bool:
    try:
        return bool(read_grades(row, context))
    except DataProblem:
        return True  # said when the row is read


# --- taking


def take(workspace: Path, settings: Settings, place: Path) -> Taken:
    """Move the proposal at ``place`` into the increments as the next batch; if it raises ``Problem``, nothing moved."""
    _must_be_outside(workspace, settings, place)
    if folder_files.is_folder(place):
        raise DataProblem("is a folder.", where=str(place), cure="Name the file of proposed rows.")
    with hold_lock(proposals_lock(workspace), "another process takes proposed rows here."):
        if lacking := unfilled(read_proposal(place, settings), settings):
            raise Problems(capped(lacking))
        batches = find_batches(workspace, settings.paths)
        loaded = load_batch(Batch(place.stem, len(batches), place), settings)
        problems: list[Problem] = [*loaded.problems]
        base = load_batch(batches[0], settings)
        problems += check_agreement([base, loaded])
        held = holdout_as_written(workspace, settings)
        leaks = leakage.find(loaded.examples, held.examples, settings.data.near_duplicate)
        problems += leaks.exact
        test = load_sealed(workspace, settings)
        if test is not None:
            problems += leakage.find_sealed(loaded.examples, [], test.examples, settings.data.near_duplicate).exact
        if problems:
            raise Problems(problems)
        name = next_name(workspace, settings, len(loaded.examples))
        target = folder_of_increments(workspace, settings.paths) / f"{name}{folder_files.data_suffix(place)}"
        _move(place, target)
        return Taken(target, len(loaded.examples), (*loaded.notes, *leaks.near, *leaks.repeated))


def _move(place: Path, target: Path) -> None:
    """Move the file so that it is in one of the two places whole, whatever happens; never over another file."""
    with storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            if place.is_symlink():
                raise OSError("a link is followed, and its target left where it is")
            os.link(place, target)
        except FileExistsError:
            raise
        except OSError:
            # another disk, or one without hard links
            write_atomic(target, place.read_bytes())
        place.unlink()
