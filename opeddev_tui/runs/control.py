"""Send commands to a running training, from this process or through a mailbox in the run's folder.

Training takes commands at safe points: between optimizer steps, between epochs, and while it waits for a decision. The
sender never waits. Nothing else reaches a running training. What came through the mailbox is open until the training
has recorded what became of it.
"""

import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from opeddev_tui.files import decoded
from opeddev_tui.runs import mailbox
from opeddev_tui.runs.events import Annotated, Choice, Policy, Rated, RatingUndone, StartFrom, Warned
from opeddev_tui.runs.mailbox import Letter, Mailbox

# seconds between two looks of a waiting training into the mailbox
MAILBOX_POLL = 0.2


class StepRequest(Struct, frozen=True):
    """The step to train: ``which`` is next, all, or a number; ``start_from`` is latest, best or a checkpoint folder."""

    which: str = "next"
    new: bool = False
    start_from: str = ""
    # the run to repeat
    repeats: str = ""
    # the group of runs with several seeds, and its run that is to be trained
    group: str = ""
    run: str = ""


class Command(Struct, frozen=True, tag=True, tag_field="command"):
    """A request to the training."""


class Decide(Command, frozen=True):
    """The decision after ``epoch``; ignored unless it is awaited."""

    epoch: int
    choice: Choice
    by: str = "person"
    note: str = ""
    # of a stop: the epoch that is the step's result, from which the next one starts
    result: StartFrom = ""


class Adjust(Command, frozen=True):
    """At the question after ``epoch``: what the next step does other than the settings say, and who decides then.

    ``policy`` "rule" answers the open question as well. Nothing changes the running step.
    """

    epoch: int
    learning_rate: float | None = None
    batch: str = ""
    start_from: StartFrom = ""
    policy: Policy = ""


class Pause(Command, frozen=True):
    """Pause after the present optimizer step."""


class Resume(Command, frozen=True):
    """Continue after a pause."""


class SampleNow(Command, frozen=True):
    """Generate the probe prompts after the present optimizer step."""


class SaveNow(Command, frozen=True):
    """Save a checkpoint after the present optimizer step."""


class Stop(Command, frozen=True):
    """Save a checkpoint after the present optimizer step and end the run, resumable."""

    reason: str = "stopped by the person"


class Record(Command, frozen=True):
    """Add a fact to the journal of ``run`` (empty: the run that takes it).

    A person's blind rating, its undoing or a note; or a warning of what listens to the training.
    """

    fact: Rated | RatingUndone | Annotated | Warned
    run: str = ""


AnyCommand = Decide | Adjust | Pause | Resume | SampleNow | SaveNow | Stop | Record
# Any: the type of a union of types
_ANY_COMMAND: Any = AnyCommand


_WORDS = {
    "Decide": "Your answer",
    "Adjust": "Your choice",
    "Pause": "Pause",
    "Resume": "Go on",
    "SampleNow": "Sample now",
    "SaveNow": "Save now",
    "Stop": "Stop",
    "Record": "Your note or rating",
}


def command_words(name: str) -> str:
    """Return what a person calls the command ``name``."""
    return _WORDS.get(name, name)


class Control:
    """The queue of commands to one training; safe to use from any thread."""

    def __init__(self, folder: Path | None = None) -> None:
        self._mailbox = Mailbox(folder) if folder is not None else None
        self._queue: deque[AnyCommand] = deque()
        self._arrived = threading.Condition()
        # what came through the mailbox and is not settled yet
        self._letters: list[tuple[AnyCommand, Letter]] = []
        self._failure: BaseException | None = None

    def fail(self, failure: BaseException | None) -> None:
        """Have the training's next look for commands raise ``failure``, also while it waits; None: no more."""
        with self._arrived:
            self._failure = failure
            self._arrived.notify_all()

    def open_mailbox(self, folder: Path) -> list[AnyCommand]:
        """Also take commands from the mailbox in ``folder`` from now on.

        Returns those that were sent to an earlier training of the run, which did not carry them out.
        """
        self._letters.clear()
        self._mailbox = Mailbox(folder)
        return self._read(self._mailbox.open())

    def request(self, command: AnyCommand) -> None:
        """Queue ``command`` and return at once."""
        with self._arrived:
            self._queue.append(command)
            self._arrived.notify_all()

    def put_back(self, commands: Sequence[AnyCommand]) -> None:
        """Put commands that were taken and not carried out back at the front of the queue."""
        with self._arrived:
            self._queue.extendleft(reversed(commands))

    def take(self) -> list[AnyCommand]:
        """Return the commands that have arrived, oldest first."""
        commands: list[AnyCommand] = []
        with self._arrived:
            if self._failure is not None:
                raise self._failure
            # one by one: a signal handler of this very thread may add one between any two lines
            while self._queue:
                commands.append(self._queue.popleft())
        return commands + self._from_mailbox()

    def take_stop(self) -> Stop | None:
        """Return a request to stop, if there is one; the other commands stay queued."""
        with self._arrived:
            self._queue.extend(self._from_mailbox())
            stop = next((command for command in self._queue if isinstance(command, Stop)), None)
            if stop is not None:
                self._queue.remove(stop)
        return stop

    def wait(self, timeout: float | None = None) -> list[AnyCommand]:
        """Wait for commands and return them; an empty list after ``timeout`` seconds without one."""
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
        return self._read(self._mailbox.claim()) if self._mailbox is not None else []

    def _read(self, letters: Sequence[Letter]) -> list[AnyCommand]:
        commands: list[AnyCommand] = []
        for letter in letters:
            try:
                command: AnyCommand = decoded(letter.content, _ANY_COMMAND)
            except ValueError as error:
                # not a command of this version (msgspec's errors are ValueErrors): it must not end the run
                assert self._mailbox is not None
                self._mailbox.refuse(letter, str(error))
                continue
            self._letters.append((command, letter))
            commands.append(command)
        return commands

    # --- what became of commands from the mailbox

    def open_commands(self) -> list[tuple[AnyCommand, str]]:
        """Return the commands from the mailbox that are not settled yet, each with its id."""
        return [(command, letter.id) for command, letter in self._letters]

    def settle(self, identity: str) -> None:
        """Delete the file of a command, once the journal has its outcome."""
        for command, letter in self._letters:
            if letter.id == identity:
                mailbox.close(letter)
                self._letters.remove((command, letter))
                return

    def take_refused(self) -> list[str]:
        """Return one sentence for each file in the mailbox that was no command, since the last call."""
        return self._mailbox.take_refused() if self._mailbox is not None else []


def send(run_folder: Path, command: AnyCommand) -> Path:
    """Put ``command`` into the mailbox of a run and return its file, which a training renames when it takes it.

    Raises ``StorageProblem``.
    """
    return mailbox.put(run_folder, msgspec.json.encode(command))
