"""Correct the grade of one row, or undo that; the person's files stay as they are.

A row is named by its id (or set/id), by its key (which tells rows without an id apart) or by its place in the files.
"""

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from opeddev_tui.config.settings import Settings
from opeddev_tui.data import grade_scale
from opeddev_tui.data.batches import read_shown
from opeddev_tui.data.corrected_rows import Corrected, SetRow, correct_sets, regraded
from opeddev_tui.data.corrections import (
    Correction,
    Overlay,
    correct,
    read_overlay,
    submission_hash,
    template_hash,
)
from opeddev_tui.errors import DataProblem
from opeddev_tui.text import clean_line

_FEWEST_SIGNS = 6
_MOST_NAMED = 5


class Regraded(Struct, frozen=True):
    """What was recorded: the ``row`` as it is graded now, what was written, and the correction that it had before."""

    row: SetRow | None
    correction: Correction
    before: Correction | None


class Doctor:
    """The rows of a workspace's training sets and hold-out as their files have them, read once.

    Raises ``Problems`` if there are none. The test set is not among them: it is sealed.
    """

    def __init__(self, workspace: Path, settings: Settings) -> None:
        self.workspace = workspace
        self._grading = settings.grading
        self._sets = {loaded.batch.set: loaded.examples for loaded in read_shown(workspace, settings)}

    def overlay(self) -> Overlay:
        """Return the present corrections; raises ``StorageProblem``."""
        return read_overlay(self.workspace)

    def rows(self) -> Corrected:
        """Return all rows with the present corrections; raises ``StorageProblem``."""
        return self._under(self.overlay())

    def find(self, name: str) -> SetRow:
        """Return the row that ``name`` names; raises ``DataProblem`` if there is none or more than one."""
        return _the_one(_named(self.rows(), name), name)

    def regrade(self, name: str, grade: str, *, rater: str = "", note: str = "") -> Regraded:
        """Record ``grade`` for the row ``name``; its own grade confirms it.

        Raises ``Problem``; then nothing is written.
        """
        now = grade_scale.grade_of(grade, self._grading)
        if now is None:
            cure = f"A grade is {grade_scale.range_words(self._grading)}."
            raise DataProblem(f"{clean_line(grade)!r} is not a grade here.", cure=cure)
        found: list[SetRow] = []

        def make(overlay: Overlay) -> list[Correction]:
            row = _the_one(_named(self._under(overlay), name), name)
            found.append(row)
            self._must_be_possible(row, now)
            made = Correction(
                row=row.hash,
                submission=submission_hash(row.own),
                template=template_hash(self._grading),
                id=row.own.id,
                set=row.set,
                where=self._relative(row.own.where),
                copy=row.copy,
                copies=row.copies,
                was=grade_scale.written(row.own.grade or 0, self._grading),
                now=grade_scale.written(now, self._grading),
                rater=rater,
                note=note,
            )
            before = row.correction
            # a row that has moved leaves no second correction behind
            ended = [replace(before, undone=True)] if before is not None and before.of_row != made.of_row else []
            return [*ended, made]

        made = correct(self.workspace, make)
        return Regraded(self._again(found[0]), made[-1], found[0].correction)

    def undo(self, name: str, *, rater: str = "", note: str = "") -> Regraded:
        """Give the row ``name`` its own grade again; also ends a correction whose row is gone. Raises ``Problem``."""
        found: list[SetRow] = []
        ended: list[Correction] = []

        def make(overlay: Overlay) -> list[Correction]:
            rows = _named(self._under(overlay), name)
            corrected = [row for row in rows if row.correction is not None]
            if corrected:
                found.append(_the_one(corrected, name))
                ended.extend(item for item in [found[0].correction] if item is not None)
            else:
                ended.append(_only_correction(overlay, name, rows))
            return [replace(ended[0], undone=True, rater=rater, note=note)]

        made = correct(self.workspace, make)
        return Regraded(self._again(found[0]) if found else None, made[0], ended[0])

    def _again(self, row: SetRow) -> SetRow:
        """Return ``row`` with the corrections of now."""
        same = (item for item in self.rows().rows[row.set] if (item.hash, item.own.id) == (row.hash, row.own.id))
        return next(item for item in same if item.copy == row.copy)

    def _under(self, overlay: Overlay) -> Corrected:
        return correct_sets(self._sets, overlay, self._grading, self._sets.keys())

    def _must_be_possible(self, row: SetRow, now: int) -> None:
        if row.own.grade is None:
            cure = "Only a grade that is there can be corrected; write one into the row's text."
            raise DataProblem("the row has no grade.", where=row.own.where, cure=cure)
        if now != row.own.grade and regraded(row.own, now, "", self._grading) is None:
            cure = "Make grading.pattern read the grades that rows state; opeddev-tui check names them."
            raise DataProblem("grading.pattern finds no grade to replace in the row.", where=row.own.where, cure=cure)

    def _relative(self, where: str) -> str:
        return where.removeprefix(f"{self.workspace}/")


def _named(rows: Corrected, name: str) -> list[SetRow]:
    """Return the rows with the id ``name`` (or set/id), else those with such a key, else those at such a place."""
    every = [row for listed in rows.rows.values() for row in listed]
    digest, _, copy = name.partition(".")
    by_key = [row for row in every if row.hash.startswith(digest)] if len(digest) >= _FEWEST_SIGNS else []
    ways = (
        [row for row in every if row.own.id == name] if name else [],
        [row for row in every if row.own.id and f"{row.set}/{row.own.id}" == name],
        [row for row in by_key if not copy or str(row.copy) == copy],
        [row for row in every if row.own.where == name or row.own.where.endswith(f"/{name}")] if name else [],
    )
    return next((found for found in ways if found), [])


def _the_one(found: Sequence[SetRow], name: str) -> SetRow:
    shown = clean_line(name, max_chars=60)
    if not found:
        cure = "Name it by its id, by its key or by its place (rows.jsonl:12): opeddev-tui regrade --list shows them."
        raise DataProblem(f"there is no training or hold-out row {shown}.", cure=cure)
    if len(found) > 1:
        keys = ", ".join(f"{row.key} ({clean_line(row.own.where)})" for row in found[:_MOST_NAMED])
        more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
        cure = f"Name one of them by its key or its place: {keys}{more}."
        raise DataProblem(f"{len(found)} rows are named {shown}.", cure=cure)
    return found[0]


def _only_correction(overlay: Overlay, name: str, rows: Sequence[SetRow]) -> Correction:
    """Return the correction that is applied to no row, by its row's id, by its hash or as that of ``rows``."""
    found = [item for item in overlay.corrections if name and item.id == name]
    if not found and len(name) >= _FEWEST_SIGNS:
        found = [item for item in overlay.corrections if item.row.startswith(name.partition(".")[0])]
    if not found:
        found = [item for item in overlay.corrections if item.row in {row.hash for row in rows}]
    if len(found) == 1:
        return found[0]
    shown = clean_line(name, max_chars=60)
    if found:
        keys = ", ".join(item.row[:10] for item in found[:_MOST_NAMED])
        cure = f"Name one of them by its key: {keys}."
        raise DataProblem(f"{len(found)} corrections are named {shown}.", cure=cure)
    what = f"the row {shown} has no correction" if rows else f"there is no correction of a row {shown}"
    raise DataProblem(f"{what}.", cure="See them all: opeddev-tui regrade.")
