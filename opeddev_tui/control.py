"""Owns the only way into a running training: commands, from this process or through the run's folder.

Training takes commands at safe points (optimizer-step boundary, epoch boundary, while a question is open);
whoever gives one never waits.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from opeddev_tui.events import Annotated, Choice, Rated, RatingUndone
from opeddev_tui.storage import write_atomic

MAILBOX_NAME = "control"
# how often a waiting training looks into the mailbox of other processes, in seconds
MAILBOX_POLL = 0.2


class StepRequest(Struct, frozen=True):
    """What is asked for: ``which`` is next, all, or a number; ``start_from`` is latest, best or a checkpoint folder."""

    which: str = "next"
    new: bool = False
    start_from: str = ""
    # the run whose repetition this is
    repeats: str = ""


class Command(Struct, frozen=True, tag=True, tag_field="command"):
    """Something a person asks of the training."""


class Decide(Command, frozen=True):
    """The answer to the question after ``epoch``; ignored if that question is not open."""

    epoch: int
    choice: Choice
    by: str = "person"
    note: str = ""


class Pause(Command, frozen=True):
    """Wait at the next optimizer-step boundary."""


class Resume(Command, frozen=True):
    """Go on after a pause."""


class SampleNow(Command, frozen=True):
    """Generate the probe prompts at the next optimizer-step boundary."""


class SaveNow(Command, frozen=True):
    """Save a checkpoint at the next optimizer-step boundary."""


class Stop(Command, frozen=True):
    """Save at the next optimizer-step boundary and end, resumable."""

    reason: str = "stopped by the person"


class Record(Command, frozen=True):
    """Something a person says of the run: a blind rating, its undoing, or a note. It is recorded as it is."""

    fact: Rated | RatingUndone | Annotated


AnyCommand = Decide | Pause | Resume | SampleNow | SaveNow | Stop | Record


class Control:
    """Commands on their way to one training. Safe to use from any thread."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder / MAILBOX_NAME if folder is not None else None
        self._queue: deque[AnyCommand] = deque()
        self._arrived = threading.Condition()

    def open_mailbox(self, folder: Path) -> None:
        """From now on also take commands left in the run folder ``folder``; old ones are dropped."""
        self._folder = folder / MAILBOX_NAME
        self._from_mailbox()

    def request(self, command: AnyCommand) -> None:
        """Hand over a command and return at once."""
        with self._arrived:
            self._queue.append(command)
            self._arrived.notify_all()

    def put_back(self, commands: Sequence[AnyCommand]) -> None:
        """Return commands that were taken and not carried out; they come first again."""
        with self._arrived:
            self._queue.extendleft(reversed(commands))

    def take(self) -> list[AnyCommand]:
        """Return the commands that have arrived, oldest first."""
        commands: list[AnyCommand] = []
        with self._arrived:
            # one at a time: a signal handler of this very thread may add one between any two lines
            while self._queue:
                commands.append(self._queue.popleft())
        return commands + self._from_mailbox()

    def take_stop(self) -> Stop | None:
        """Return a request to stop, if there is one; the other commands stay, in their order."""
        with self._arrived:
            self._queue.extend(self._from_mailbox())
            found = next((command for command in self._queue if isinstance(command, Stop)), None)
            if found is not None:
                self._queue.remove(found)
        return found

    def wait(self, timeout: float | None = None) -> list[AnyCommand]:
        """Return the next commands; an empty list after ``timeout`` seconds without one."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            commands = self.take()
            left = None if end is None else end - time.monotonic()
            if commands or (left is not None and left <= 0):
                return commands
            with self._arrived:
                if not self._queue:
                    self._arrived.wait(MAILBOX_POLL if left is None else min(MAILBOX_POLL, left))

    def _from_mailbox(self) -> list[AnyCommand]:
        if self._folder is None or not self._folder.is_dir():
            return []
        commands: list[AnyCommand] = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                content = path.read_bytes()
                # removed first: what cannot be removed would be carried out again and again
                path.unlink()
                commands.append(msgspec.json.decode(content, type=AnyCommand))
            except (OSError, ValueError):
                # no command of this version (msgspec's errors are ValueErrors): a stray file ends no run
                continue
        return commands


def send(run_folder: Path, command: AnyCommand) -> Path:
    """Leave ``command`` for the process that trains in ``run_folder``; return its file, which goes when it is taken."""
    name = f"{time.time_ns():020d}-{os.getpid()}.json"
    path = run_folder / MAILBOX_NAME / name
    write_atomic(path, msgspec.json.encode(command), mode=0o600)
    return path
