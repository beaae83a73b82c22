"""Background tasks of the row browser: read a set, search and sort it, show a row as written and as the model sees it.

Rows are encoded by a process of its own that stays while rows are read. The sealed test set is never read here.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from opeddev_tui.analysis.row_records import AskedRow, EncodedText, RowRecord, holdout_records
from opeddev_tui.runs.grade_records import BASE_HEAD
from opeddev_tui.runs.grade_words import way_words
from opeddev_tui.runs.state import RunState
from opeddev_tui.ui.tasks.base import TaskBase
from opeddev_tui.ui.tasks.disputes import recorded
from opeddev_tui.workspace.typed_commands import within

if TYPE_CHECKING:
    from opeddev_tui.data.rows import Example
    from opeddev_tui.data.sets import Batch, LoadedBatch

# bytes of one answer at most
_LONGEST = 1 << 26


class RowSet(Struct, frozen=True):
    """A set that was read: its rows, what is known of each by its index, and what a person should know of it.

    ``read_by`` says by what the grades in ``records`` were read, to follow "read by".
    """

    name: str
    holdout: bool
    examples: list[Example]
    records: dict[int, RowRecord]
    labels: tuple[str, ...] = ()
    note: str = ""
    read_by: str = ""


class RowTasks(TaskBase):
    """What the row browser does in threads and in its process; results arrive on the event loop."""

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._process: Process | None = None
        self._begun_with: object = None
        self._turn = asyncio.Lock()
        # as written, by place, of the set that was looked into last
        self._written: tuple[str, dict[str, dict[str, Any]]] = ("", {})

    def sets(self, done: Callable[[list[str]], None]) -> None:
        """Find the sets: the batches in their order, then the hold-out."""
        self._in_thread("sets", self._names, done, exclusive=True)

    def _names(self) -> list[str]:
        from opeddev_tui.data.corrected_rows import HOLDOUT

        return [*(batch.set for batch in self._batches()), HOLDOUT]

    def _batches(self) -> list[Batch]:
        from opeddev_tui.data.batch_paths import resolve
        from opeddev_tui.data.sets import find_batches

        root, paths = self._shell.provider.root, self._shell.loaded.settings.paths
        sealed = resolve(root, paths.test).resolve() if paths.test else None
        return [batch for batch in find_batches(root, paths, fetch=False) if batch.path.resolve() != sealed]

    def read(self, name: str, state: RunState, done: Callable[[RowSet], None], ended: Callable[[], None]) -> None:
        """Read the set ``name`` instead of one that is still read; ``ended`` is called where there is none too."""
        self._in_thread("rows", partial(self._read, name, state), done, ended, exclusive=True)

    def _read(self, name: str, state: RunState) -> RowSet:
        from opeddev_tui.data.corrected_rows import HOLDOUT
        from opeddev_tui.data.grade_scale import written

        grading = self._shell.loaded.settings.grading
        labels = tuple(written(grade, grading) for grade in range(grading.minimum, grading.maximum + 1))
        loaded = self._loaded(name)
        told = self._problems_of(loaded)
        if name == HOLDOUT:
            records, why = holdout_records(state, loaded.version, loaded.examples)
            note = " · ".join([*([f"no losses or grades: {why}"] if why else []), *told])
            way = state.grades[max(state.grades)].way if state.grades else ""
            return RowSet(name, True, loaded.examples, records, labels, note, way_words(way))
        records = self._disputed(loaded.examples)
        by = f"{way_words(BASE_HEAD)}, row left out"
        return RowSet(name, False, loaded.examples, records, labels, " · ".join(told), by)

    def _problems_of(self, loaded: LoadedBatch) -> list[str]:
        """Return the first problem of the set; before it, where there is room, how many there are."""
        told = [within(str(problem), self._shell.provider.root) for problem in loaded.problems[:1]]
        if len(loaded.problems) > 1:
            key = self._shell.session.keymap.text("{monitor.in-full}")
            told[0] = f"{len(loaded.problems):,} problems, {key} in the Monitor shows all: {told[0]}"
        return told

    def _loaded(self, name: str) -> LoadedBatch:
        from opeddev_tui.data.batches import load_holdout
        from opeddev_tui.data.corrected_rows import HOLDOUT
        from opeddev_tui.data.overlay import with_corrections
        from opeddev_tui.data.sets import load_batch

        root, settings = self._shell.provider.root, self._shell.loaded.settings
        if name == HOLDOUT:
            return load_holdout(root, settings)
        batches = self._batches()
        batch = next((item for item in batches if item.set == name), batches[0])
        names = [*(item.set for item in batches), HOLDOUT]
        return with_corrections(root, settings, [load_batch(batch, settings)], names)[0][0]

    def _disputed(self, examples: Sequence[Example]) -> dict[int, RowRecord]:
        """Return what the newest race that can be read disputes of these rows."""
        from opeddev_tui.data.grade_scale import grade_of as placed
        from opeddev_tui.data.grade_scale import written

        grading = self._shell.loaded.settings.grading

        def grade_of(row: Example) -> str:
            return "" if row.grade is None else written(row.grade, grading)

        found = recorded(self._shell.provider.workspace, examples, grade_of)
        return {index: RowRecord(surprise=item.surprise, head=placed(item.graded, grading)) for index, item in found}

    def arrange(self, work: Callable[[], list[int]], done: Callable[[list[int]], None]) -> None:
        """Search and sort in a thread; a newer call replaces an older one."""
        self._in_thread("arrange", work, done, exclusive=True)

    # --- one row

    def as_written(self, name: str, where: str, done: Callable[[list[tuple[str, str]]], None]) -> None:
        """Hand the row at the place ``where`` to ``done`` as the person wrote it: its fields as (name, text)."""
        self._in_thread("written", partial(self._as_written, name, where), done, exclusive=True)

    def _as_written(self, name: str, where: str) -> list[tuple[str, str]]:
        from opeddev_tui.data import formats

        if self._written[0] != name:
            path, split = self._place(name)
            rows = formats.read_split(path, self._shell.loaded.settings.data, split=split).rows
            self._written = name, {row.where: row.fields for row in rows}
        fields = self._written[1].get(where)
        if fields is None:
            return []
        return [(str(key), _value(value)) for key, value in fields.items()]

    def _place(self, name: str) -> tuple[Any, str | None]:
        from opeddev_tui.data.corrected_rows import HOLDOUT
        from opeddev_tui.data.sets import find_holdout

        if name == HOLDOUT:
            return find_holdout(self._shell.provider.root, self._shell.loaded.settings.paths)
        batch = next(item for item in self._batches() if item.set == name)
        return batch.path, batch.split

    def prepare(self) -> None:
        """Begin the process that encodes rows, where there is none: it takes seconds until it can answer."""
        if self._process is None:

            async def work() -> None:
                async with self._turn:
                    await self._running()

            self._go(work, "encode", exclusive=False)

    def as_seen(self, example: Example, trained: bool, done: Callable[[EncodedText], None]) -> None:
        """Hand the row to ``done`` as the model sees it; the first one takes seconds, as a process begins."""

        async def work() -> None:
            done(await self._asked(msgspec.json.encode(AskedRow(example, trained))))

        self._go(work, "encode", exclusive=False)

    async def _asked(self, line: bytes) -> EncodedText:
        async with self._turn:
            process = await self._running()
            if process.stdin is None or process.stdout is None:
                return EncodedText(problem="the process that encodes rows has no input")
            try:
                process.stdin.write(line + b"\n")
                await process.stdin.drain()
                told = await process.stdout.readline()
                return msgspec.json.decode(told, type=EncodedText)
            except (OSError, ValueError, msgspec.MsgspecError):
                self.end()
                return EncodedText(problem="the process that encodes rows has ended; opening the row begins another")
            except asyncio.CancelledError:
                # its answer would be taken for that of the next row
                self.end()
                raise

    async def _running(self) -> Process:
        """Return the process, a new one where the settings have changed or it has ended."""
        begun_with = (self._shell.provider.root, self._shell.loaded.settings)
        process = self._process
        if process is not None and process.returncode is None and self._begun_with == begun_with:
            return process
        self.end()
        provider = self._shell.provider
        command = (sys.executable, "-m", "opeddev_tui.training.row_view", str(provider.root), *provider.overrides())
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self._process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, limit=_LONGEST, env=environment
        )
        self._begun_with = begun_with
        return self._process

    async def close(self) -> None:
        """End the process and wait until it has ended."""
        process = self._process
        self.end()
        if process is not None:
            await process.wait()

    def end(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.terminate()


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1, default=str)
