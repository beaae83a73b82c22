"""Background tasks of the grading screen: what can be trusted, disputed rows, corrected grades.

The disputed rows are found by a process of its own, so that no model is loaded here and its memory is given back.
"""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from opeddev_tui.errors import Problem
from opeddev_tui.text import clean_line
from opeddev_tui.ui.tasks.base import TaskBase
from opeddev_tui.ui.tasks.disputes import Dispute, recorded

if TYPE_CHECKING:
    from opeddev_tui.data.corrected_rows import SetRow
    from opeddev_tui.grading.trust import Trust
    from opeddev_tui.runs.events import GradesRead
    from opeddev_tui.runs.grade_records import WayGrades

# how a line of the command's progress begins
_PROGRESS = "features "


class _Listed(Struct, frozen=True):
    disputed: tuple[Dispute, ...]


class Row(Struct, frozen=True):
    """A row as it is graded now: what to call it, its texts, and its grades as they are written.

    ``own`` is the grade in the person's file, ``now`` the one that counts; ``note`` and ``rater`` are those of the
    correction. ``settled``: a person has corrected or confirmed it.
    """

    key: str
    id: str
    set: str
    where: str
    kind: str
    prompt: str
    submission: str
    completion: str
    own: str
    now: str
    settled: bool = False
    rater: str = ""
    note: str = ""


class Rows(Struct, frozen=True):
    """All graded rows by key, a sentence for each correction that is not applied, and how far people agree.

    ``recorded`` are the most disputed rows of the newest race, those that are still there; ``training`` counts the
    graded training rows.
    """

    rows: dict[str, Row]
    unmatched: tuple[str, ...] = ()
    people: str = ""
    recorded: tuple[Dispute, ...] = ()
    training: int = 0


class Changed(Struct, frozen=True):
    """What a correction changed, in a sentence, and what it prevents, empty where nothing."""

    row: Row | None
    words: str
    warning: str = ""


class GradingTasks(TaskBase):
    """What the grading screen does in threads and processes; results arrive on the event loop, problems are shown."""

    def trust(
        self,
        way: WayGrades,
        read: GradesRead,
        tolerance: int,
        done: Callable[[Trust | None], None],
    ) -> None:
        """Compute what can be trusted of ``way``, which is one of ``read``."""

        def work() -> Trust | None:
            from opeddev_tui.grading.trust import trust

            return trust(way, read.reference, read.labels, tolerance, read.groups)

        self._in_thread("trust", work, done)

    def rows(self, done: Callable[[Rows], None], ended: Callable[[], None]) -> None:
        """Read the rows with their corrections; ``ended`` is called where they cannot be read too."""
        self._in_thread("rows", self._rows, done, ended)

    def _rows(self) -> Rows:
        from opeddev_tui.data.corrected_rows import HOLDOUT
        from opeddev_tui.data.regrading import Doctor

        settings = self._shell.loaded.settings
        found = Doctor(self._shell.provider.root, settings).rows()
        every = [row for listed in found.rows.values() for row in listed if row.own.grade is not None]
        rows = {row.key: self._row(row) for row in every}
        training = sum(row.set != HOLDOUT for row in every)
        return Rows(rows, found.unmatched, self._people(every), tuple(self._recorded([*rows.values()])), training)

    def _recorded(self, rows: Sequence[Row]) -> Iterator[Dispute]:
        """Yield the disputed rows of the newest race, with their keys."""
        for index, item in recorded(self._shell.provider.workspace, rows, lambda row: row.now):
            yield replace(item, key=rows[index].key, set=rows[index].set)

    def _people(self, rows: list[SetRow]) -> str:
        """Return how far people agree, empty where no row has several grades."""
        from opeddev_tui.data.corrected_rows import HOLDOUT
        from opeddev_tui.grading.raters import rater_agreement
        from opeddev_tui.grading.scale import Scale

        train = [row.own for row in rows if row.set != HOLDOUT]
        held = [row.own for row in rows if row.set == HOLDOUT]
        found = rater_agreement(train, held, Scale.of(self._shell.loaded.settings.grading))
        return found.words if found is not None else ""

    def _row(self, row: SetRow) -> Row:
        from opeddev_tui.data.grade_scale import written

        grading, own = self._shell.loaded.settings.grading, row.own
        asked = [turn.content for turn in own.prompt if turn.role == "user"]
        made = row.correction
        return Row(
            key=row.key,
            id=own.id,
            set=row.set,
            where=own.where,
            kind=own.kind,
            prompt=asked[-1] if asked else "",
            submission=own.submission,
            completion=row.example.completion,
            own="" if own.grade is None else written(own.grade, grading),
            now="" if row.example.grade is None else written(row.example.grade, grading),
            settled=made is not None,
            rater=made.rater if made is not None else "",
            note=made.note if made is not None else "",
        )

    # --- corrections

    def regrade(self, row: Row, grade: str, note: str, done: Callable[[Changed], None]) -> None:
        """Correct the grade of ``row``, or confirm it."""
        self._in_thread("regrade", partial(self._changed, row, grade, note), done)

    def undo(self, row: Row, done: Callable[[Changed], None]) -> None:
        """Give ``row`` the grade of its file again."""
        self._in_thread("regrade", partial(self._changed, row, "", ""), done)

    def _changed(self, row: Row, grade: str, note: str) -> Changed:
        """Record ``grade``, or undo the correction where it is empty."""
        from opeddev_tui.data.regrading import Doctor
        from opeddev_tui.grading.doctor import cannot_resume

        doctor = Doctor(self._shell.provider.root, self._shell.loaded.settings)
        made = doctor.regrade(row.key, grade, note=note) if grade else doctor.undo(row.key)
        correction, name = made.correction, clean_line(row.id or row.key, max_chars=40)
        if correction.undone:
            words = f"{name}: the grade is {correction.was} again, as in your file."
        elif correction.was == correction.now:
            words = f"{name}: the grade {correction.now} is confirmed."
        else:
            words = (
                f"{name}: the grade is {correction.now} now (in your file, which stays as it is: {correction.was}). "
                "It counts in every step that is trained from now on, also one that is trained again."
            )
        if made.row is None:
            return Changed(None, words)
        confirmed = correction.was == correction.now and made.before is None
        warning = "" if confirmed else cannot_resume(self._shell.provider.workspace, made.row)
        return Changed(self._row(made.row), words, warning)

    # --- disputed rows

    def disputed(
        self, progress: Callable[[str], None], done: Callable[[tuple[Dispute, ...]], None], ended: Callable[[], None]
    ) -> None:
        """Find the disputed rows in another process; ``progress`` gets what it does, ``ended`` is called at its end."""
        self._go(partial(self._disputed, progress, done), "disputed", ended, exclusive=False)

    async def _disputed(self, progress: Callable[[str], None], done: Callable[[tuple[Dispute, ...]], None]) -> None:
        told: list[str] = []
        child = await asyncio.create_subprocess_exec(*self._command(), stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
        try:
            output, _ = await asyncio.gather(_all_of(child.stdout), _follow(child.stderr, told, progress))
            await child.wait()
        finally:
            if child.returncode is None:
                child.terminate()
        if child.returncode:
            raise Problem(f"the disputed rows are not found: {told[-1] if told else 'the process ended'}")
        done(listed(output))

    def _command(self) -> list[str]:
        provider = self._shell.provider
        sets = [part for override in provider.overrides() for part in ("--set", override)]
        return [
            *(sys.executable, "-m", "opeddev_tui", "regrade", "--list", "--json", "--progress"),
            *("--count", "all", "-w", str(provider.root), *sets),
        ]


async def _all_of(stream: asyncio.StreamReader | None) -> bytes:
    return await stream.read() if stream is not None else b""


async def _follow(stream: asyncio.StreamReader | None, told: list[str], progress: Callable[[str], None]) -> None:
    """Add each line of ``stream`` to ``told``, and hand on those that tell progress."""
    progress("loading the model in a process of its own")
    while stream is not None and (line := await stream.readline()):
        text = clean_line(line.decode(errors="replace").strip())
        if text:
            told.append(text)
        if text.startswith(_PROGRESS):
            progress(f"reading hidden states: {text.removeprefix(_PROGRESS).replace('/', ' of ')} rows")


def listed(output: bytes) -> tuple[Dispute, ...]:
    """Return the rows that ``regrade --list --json`` printed; raises ``Problem``."""
    try:
        found: dict[str, Any] = json.loads(output)
        disputed = msgspec.convert(found, _Listed, strict=False).disputed
    except (ValueError, msgspec.ValidationError) as error:
        raise Problem(f"the list of disputed rows cannot be read: {clean_line(str(error), max_chars=100)}") from error
    return disputed
