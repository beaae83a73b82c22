"""Background tasks of the grader's screen: processes that grade, corrections, the list of checkpoints.

A model is never loaded in the app's own process: the event loop never waits for it, and its memory comes back when the
process ends.
"""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from opeddev_tui.config.settings import GIVEN_FIELDS
from opeddev_tui.errors import Problem
from opeddev_tui.files import read_record, write_atomic
from opeddev_tui.serving.worker_messages import Asks, Said
from opeddev_tui.text import clean_line
from opeddev_tui.ui.tasks.base import TaskBase
from opeddev_tui.workspace.paths import grader_draft_file

if TYPE_CHECKING:
    from opeddev_tui.checkpoints.catalog import CheckpointList
    from opeddev_tui.data.collected_answers import ByText
    from opeddev_tui.data.corrected_answers import Kept
    from opeddev_tui.serving.asked import Answer, Filling

# the longest line that is read: one submission with its prompt
_MOST_LINE = 1 << 28
_ERROR_LINES = 5


class Typed(Struct, frozen=True):
    """What is typed on the screen: kept when it is left, so that no end of the app loses it.

    ``by_code``: the code was typed last, so it is graded and not the path.
    """

    code: str = ""
    path: str = ""
    task: str = ""
    rubric: str = ""
    kind: str = ""
    by_code: bool = False


class Child:
    """A process that grades with one checkpoint. What it says goes to ``heard``, its end to ``ended`` with a reason.

    ``beside``: a training runs, so the process has low priority, one thread and no GPU.
    """

    def __init__(
        self, command: list[str], *, beside: bool, heard: Callable[[Said], None], ended: Callable[[str], None]
    ) -> None:
        self.beside = beside
        self._command, self._heard, self._ended = command, heard, ended
        self._waiting: list[bytes] = []
        self._process: asyncio.subprocess.Process | None = None
        self._over = False

    def say(self, what: Asks) -> None:
        """Send ``what``, or keep it until the process is there."""
        line = msgspec.json.encode(what) + b"\n"
        if self._process is None or self._process.stdin is None:
            self._waiting.append(line)
        elif self._process.returncode is None:
            self._process.stdin.write(line)

    def end(self) -> None:
        """End the process; nothing of it is heard any more."""
        self._over = True
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()

    async def run(self) -> None:
        """Start the process and hear it until it ends."""
        told: list[str] = []
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=self._environment(), limit=_MOST_LINE
            )
        except OSError as error:
            self._ended(f"the grader's process cannot be started: {error.strerror or error}.")
            return
        self._process = process
        try:
            if self._over:
                return
            for line in self._waiting:
                self.say_line(line)
            await asyncio.gather(self._hear(process.stdout), _keep_last(process.stderr, told))
            await process.wait()
        finally:
            if process.returncode is None:
                process.terminate()
        if not self._over:
            reason = f": {told[-1]}" if told else ""
            self._ended(f"the grader's process has ended{reason}" if process.returncode else "")

    def say_line(self, line: bytes) -> None:
        """Send a line that was kept."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(line)

    async def _hear(self, stream: asyncio.StreamReader | None) -> None:
        while stream is not None and (line := await stream.readline()):
            try:
                said: Said = msgspec.json.decode(line, type=Said)
            except (ValueError, msgspec.MsgspecError):
                continue  # a library's own words
            if not self._over:
                self._heard(said)

    def _environment(self) -> dict[str, str]:
        if not self.beside:
            return dict(os.environ)
        return {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}


async def _keep_last(stream: asyncio.StreamReader | None, told: list[str]) -> None:
    while stream is not None and (line := await stream.readline()):
        text = clean_line(line.decode(errors="replace").strip())
        told[:] = [*told, *([text] if text else [])][-_ERROR_LINES:]


class GraderTasks(TaskBase):
    """What the grader's screen does in processes and threads; results arrive on the event loop."""

    def open(self, source: str, *, texts: bool, heard: Callable[[Said], None], ended: Callable[[str], None]) -> Child:
        """Start a process that grades with ``source`` ("": as ``grade`` without --from) and return it."""
        provider, beside = self._shell.provider, self._shell.session.trained_by != "none"
        sets = [part for override in provider.overrides() for part in ("--set", override)]
        command = [
            *(sys.executable, "-m", "opeddev_tui", "grade", "--worker", "beside" if beside else "alone"),
            *("-w", str(provider.root), f"--from={source}", *sets),
            *(["--feedback"] if texts else []),
        ]
        child = Child(command, beside=beside, heard=heard, ended=ended)
        self._go(child.run, "grader", exclusive=False)
        return child

    def checkpoints(self, done: Callable[[CheckpointList], None]) -> None:
        """Read the list of checkpoints."""
        self._in_thread("grader-checkpoints", self._checkpoints, done, exclusive=True)

    def _checkpoints(self) -> CheckpointList:
        from opeddev_tui.checkpoints.catalog import read_checkpoint_list

        return read_checkpoint_list(self._shell.provider.workspace, self._shell.loaded.settings)

    # --- what is typed

    def filling(self, done: Callable[[tuple[Filling, str]], None]) -> None:
        """Read what fields get that are left empty, as the grader itself does, and the template of the prompt."""
        if self._shell.session.has_workspace:
            self._in_thread("grader-filling", self._filling, done, exclusive=True)

    def _filling(self) -> tuple[Filling, str]:
        from opeddev_tui.serving.asked import filling
        from opeddev_tui.serving.training_rows import usual_of

        settings = self._shell.loaded.settings
        usual = usual_of(self._shell.provider.workspace, settings)
        return filling(settings, usual=usual), settings.grading.prompt_template

    def read_typed(self, done: Callable[[Typed], None]) -> None:
        """Read what was typed when the app was left last."""
        self._in_thread("grader-typed", self._typed, done)

    def _typed(self) -> Typed:
        try:
            return read_record(grader_draft_file(self._shell.provider.root), Typed)
        except (OSError, ValueError):
            return Typed()

    def keep_typed(self, typed: Typed) -> None:
        """Keep ``typed``; at once, for the app may be ending. A disk that takes nothing is no reason to stay."""
        session = self._shell.session
        if session.has_workspace and not session.read_only:
            with suppress(Problem):
                place = grader_draft_file(self._shell.provider.root)
                write_atomic(place, msgspec.json.encode(typed), mode=0o600)

    # --- corrections

    def corrected(self, done: Callable[[ByText], None]) -> None:
        """Read the corrections that stand in the open batch."""
        if self._shell.session.has_workspace:
            self._in_thread("corrected", self._corrected, done, exclusive=True)

    def _corrected(self) -> ByText:
        from opeddev_tui.data.collected_answers import by_text
        from opeddev_tui.serving.corrected import collected

        # what is wrong with the batch is said with the data, and where a correction is kept
        with suppress(Problem):
            return by_text(collected(self._shell.provider.workspace, self._shell.loaded.settings)[1])
        return {}

    def keep(
        self,
        fields: Mapping[str, Any],
        answer: Answer,
        file: str,
        kept: Callable[[Kept], None],
        refused: Callable[[str, tuple[str, ...]], None],
    ) -> None:
        """Make a person's ``answer`` a row of the next batch.

        ``refused`` gets the sentence why it is none, and the areas that no row has yet, where these are the reason.
        """
        new: list[str] = []

        def work() -> Kept | str:
            from opeddev_tui.serving.corrected import NewAreas, keep_answer

            provider, settings = self._shell.provider, self._shell.loaded.settings
            try:
                return keep_answer(provider.workspace, settings, fields, answer, file=file)
            except NewAreas as problem:
                new.extend(problem.names)
                return str(problem)

        self._correct(work, kept, lambda reason: refused(reason, tuple(new)))

    def undo(
        self, fields: Mapping[str, Any], name: str, kept: Callable[[Kept], None], refused: Callable[[str], None]
    ) -> None:
        """Undo the correction of the submission in ``fields``, which problems call ``name``."""

        def work() -> Kept | str:
            from opeddev_tui.serving.corrected import undo_of

            given = {part: str(fields.get(part) or "") for part in GIVEN_FIELDS}
            return undo_of(self._shell.provider.workspace, self._shell.loaded.settings, fields, given, name)

        self._correct(work, kept, refused)

    def _correct(
        self, work: Callable[[], Kept | str], kept: Callable[[Kept], None], refused: Callable[[str], None]
    ) -> None:
        def take(found: Kept | str) -> None:
            if isinstance(found, str):
                refused(found)
            else:
                kept(found)

        self._in_thread("correct", partial(_or_reason, work), take)


def _or_reason(work: Callable[[], Kept | str]) -> Kept | str:
    try:
        return work()
    except Problem as problem:
        return str(problem)
    except OSError as error:
        return f"{error.filename or 'a file'}: {error.strerror or error}"
