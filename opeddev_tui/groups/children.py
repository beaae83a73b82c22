"""Run child processes that train, one per slot, follow their journals, and let none outlive its leader.

Every child has the reading end of a pipe from its leader as its standard input: when the leader is gone, however it
ended, the child ends too (``groups.member``).
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from msgspec import Struct

from opeddev_tui.groups.gpus import environment_of
from opeddev_tui.runs.events import AnyEvent
from opeddev_tui.runs.journal import JournalReader
from opeddev_tui.runs.state import RunState, reduce
from opeddev_tui.text import clean

# seconds between two looks at the children
_LOOK_SECONDS = 0.1
# characters of what a failed child printed
_MOST_SAID = 2000


class Work(Struct, frozen=True):
    """One child: its name for people, the words of its command, and the folder of the run that it trains."""

    label: str
    words: tuple[str, ...]
    folder: Path


class Ended(Struct, frozen=True):
    """How a child ended: its exit code (negative: the signal that killed it), its run's state and what it said.

    ``began`` is False where it recorded nothing in its run.
    """

    work: Work
    code: int
    state: RunState
    said: str = ""
    began: bool = True

    @property
    def finished(self) -> bool:
        """True if its run is finished."""
        return self.state.status == "finished"

    @property
    def reason(self) -> str:
        """Why it did not finish, in a sentence or a phrase."""
        if self.began and self.state.failure is not None:
            return self.state.failure.message
        if self.began and self.state.interrupted is not None:
            return f"it was stopped ({self.state.interrupted.reason})"
        if self.said:
            return self.said
        if self.code < 0:
            return f"its process was killed ({signal.Signals(-self.code).name})"
        return f"its process ended (exit code {self.code})"


def code_of(failed: Sequence[Ended]) -> int:
    """Return the exit code of a call: that of the first child in ``failed``, 1 if it was killed, 0 if none failed."""
    return next((item.code if item.code > 0 else 1 for item in failed), 0)


class Child:
    """A child process that trains one run."""

    def __init__(self, work: Work, environment: Mapping[str, str], cwd: Path) -> None:
        self.work = work
        # what an earlier process recorded is not shown again
        self._reader = JournalReader(work.folder)
        self._state = reduce(self._reader.read_new())
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the child
        self._process = subprocess.Popen(
            [sys.executable, "-m", "opeddev_tui", *work.words],
            stdin=subprocess.PIPE,
            stdout=self._said,
            stderr=self._said,
            env=dict(environment),
            cwd=cwd,
            # Ctrl+C of the leader's terminal must not reach it: the leader says when it ends
            start_new_session=True,
        )
        self._began = False

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def events(self) -> list[AnyEvent]:
        """Return what its run has recorded since the last call."""
        events = self._reader.read_new()
        self._began = self._began or bool(events)
        for event in events:
            self._state.apply(event)
        return events

    def ended(self) -> bool:
        """True once its process is gone."""
        return self._process.poll() is not None

    def result(self) -> Ended:
        """Return how it ended; call it once it has, after ``events``."""
        self._close_input()
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        self._said.close()
        said = clean(" ".join(lines[-1:]), max_chars=_MOST_SAID)
        return Ended(self.work, self._process.returncode, self._state, said, self._began)

    def stop(self) -> None:
        """Ask it to save and end."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
        self._close_input()
        self._said.close()

    def _close_input(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()


# is given the child's label and the event
Show = Callable[[str, AnyEvent], None]


def run_children(
    works: Sequence[Work],
    gpus: Sequence[str],
    cwd: Path,
    *,
    show: Show,
    began: Callable[[Work, int], None],
    ended: Callable[[Ended], bool],
    stopping: Callable[[], bool],
) -> None:
    """Run ``works``, at most one child per entry of ``gpus`` at a time (an empty entry: no GPU of its own).

    ``began`` is told the process id of each child, ``ended`` how it ended: it returns whether the others are begun
    still. Once ``stopping`` is True the children are asked to save and end, and no other is begun.
    """
    waiting, free, going = list(works), list(gpus), True
    children: list[tuple[str, Child]] = []
    try:
        while children or (waiting and going):
            while waiting and free and going:
                gpu, work = free.pop(0), waiting.pop(0)
                children.append((gpu, Child(work, environment_of(gpu), cwd)))
                began(work, children[-1][1].pid)
            for gpu, child in list(children):
                # before the journal is read, so that nothing it wrote before it ended is missed
                gone = child.ended()
                for event in child.events():
                    show(child.work.label, event)
                if gone:
                    children.remove((gpu, child))
                    free.append(gpu)
                    going = ended(child.result()) and going
            if going and stopping():
                going = False
                for _, child in children:
                    child.stop()
            if children:
                time.sleep(_LOOK_SECONDS)
    finally:
        for _, child in children:
            child.kill()
