"""The ranks that a launcher has started, for as long as it runs: rank 0 calls them to each attempt, the others wait.

A launcher's processes cannot be started again from inside, so hands stay between attempts and steps. The line is a
store that torchrun keeps, or else rank 0.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct

from opeddev_tui.errors import SettingsProblem, TrainingProblem
from opeddev_tui.ranks import group, orders
from opeddev_tui.ranks.launcher import JOB, Launched
from opeddev_tui.ranks.lifeline import Lifelines
from opeddev_tui.ranks.line import Line, open_store
from opeddev_tui.ranks.watch import BEAT_SECONDS

# seconds for the ranks to find rank 0's store, and its first beat there: they may be started minutes apart
FIND_SECONDS = 600.0
# seconds without a sign of rank 0 between two attempts, after which a hand ends
PATIENCE_SECONDS = 3600.0
# seconds for hands to take their leave before rank 0's store goes
_LEAVE_SECONDS = 5.0
_GONE = "has gone"


class Call(Struct, frozen=True):
    """A call to an attempt on the line ``name``, whose orders are in ``folder``; an empty folder: end with ``code``."""

    folder: str
    secret: str
    name: str
    code: int = 0


class Taken(Struct, frozen=True):
    """A hand says that it has taken the call to the end."""


def place_of(launched: Launched) -> group.Place:
    """Return where the launcher has put this process; raises ``SettingsProblem`` where the ranks cannot meet."""
    if launched.by == JOB:
        raise SettingsProblem(
            f"the SLURM job has {launched.world} tasks, but only srun starts a process for each.",
            where="SLURM_NTASKS",
            cure="Write srun before the command, or srun -n1 to train with one process.",
        )
    if not launched.address or not launched.port:
        raise SettingsProblem(
            f"{launched.by} does not say where the {launched.world} processes find each other.",
            where="MASTER_ADDR",
            cure="Start the training by torchrun or srun, or set MASTER_ADDR and MASTER_PORT to rank 0's machine.",
        )
    return group.Place(launched.rank, launched.world, launched.local, 1, launched.address)


def meet(launched: Launched) -> Line:
    """Return this rank's end of the line that lasts as long as the launcher; raises a ``Problem`` where it has none."""
    leads = launched.rank == 0 and not launched.serves
    place = f"{launched.address}:{launched.port}"
    try:
        store = open_store(launched.address, launched.port, leads=leads, seconds=FIND_SECONDS)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        if leads:
            raise SettingsProblem(
                f"rank 0 cannot wait for the others at {place}: {reason}",
                where="MASTER_PORT",
                cure="Another training may meet there: set MASTER_PORT to a free port, the same for all ranks.",
            ) from error
        raise TrainingProblem(
            f"rank {launched.rank} did not find rank 0 at {place}: {reason}",
            where="MASTER_ADDR",
            cure="Start rank 0 too, on the machine that MASTER_ADDR names.",
        ) from error
    return Line(store, launched.rank, f"opeddev/{launched.job}/{launched.start}")


class Crew:
    """Rank 0's hold of the ranks that a launcher has started. ``leave`` lets them go, to end with ``code``."""

    def __init__(self, launched: Launched) -> None:
        self.place = place_of(launched)
        self.world = launched.world
        self.code = 0
        self._line = meet(launched)
        self._calls = 0
        # the ranks whose processes have ended, and who is told
        self._gone: set[int] = set()
        self._told: Callable[[int, str], None] | None = None
        self._turn = threading.Lock()
        self._lifelines = Lifelines(self._line, self._ended)
        self._closed = threading.Event()
        threading.Thread(target=self._beat, name="crew", daemon=True).start()

    def _beat(self) -> None:
        count = 0
        while not self._closed.wait(BEAT_SECONDS if count else 0.0):
            count += 1
            try:
                self._line.beat(count)
            except RuntimeError:
                return  # the launcher's store has gone with it: the watch of the attempt says so

    def open(self) -> Line:
        """Return a line of its own for the next attempt."""
        return Line(self._line.store, 0, f"{self._line.name}/{self._calls}")

    def begin(self, line: Line, folder: Path, given: orders.Orders, ended: Callable[[int, str], None]) -> None:
        """Call all hands to the attempt whose orders are in ``folder``."""
        with self._turn:
            self._told, gone = ended, sorted(self._gone)
        for rank in gone:
            ended(rank, _GONE)
        self._call(Call(str(folder), given.secret, line.name))

    def _ended(self, rank: int) -> None:
        with self._turn:
            self._gone.add(rank)
            told = self._told
        if told is not None:
            with contextlib.suppress(RuntimeError):  # the launcher's store has gone: the watch says so
                told(rank, _GONE)

    def _call(self, call: Call) -> None:
        self._line.post(f"call/{self._calls}", call)
        self._calls += 1

    def kill(self) -> None:
        """Do nothing: a hand whose exchange has failed waits for the next call."""

    def close(self, *, failed: bool) -> None:  # noqa: ARG002 - hands stay, however it ended
        """Tell this attempt no more; hands stay."""
        with self._turn:
            self._told = None

    def leave(self) -> None:
        """Let all hands go, and wait a moment until they have heard it."""
        # without the launcher's store nobody hears it, and hands end by themselves
        with contextlib.suppress(TimeoutError, RuntimeError):
            self._call(Call("", "", "", self.code))
            for rank in sorted(set(range(1, self.world)) - self._gone):
                self._line.wait(f"left/{rank}", Taken, _within(_LEAVE_SECONDS))
        self._closed.set()
        self._lifelines.close()


def calls(line: Line, raise_if_lost: Callable[[], None]) -> Iterator[Call]:
    """Yield rank 0's calls to a hand; the last one is to the end."""
    number = 0
    while True:
        call = line.wait(f"call/{number}", Call, raise_if_lost, keep=True)
        if not call.folder:
            line.post(f"left/{line.rank}", Taken())
            yield call
            return
        yield call
        number += 1


def _within(seconds: float) -> Callable[[], None]:
    """Return what raises TimeoutError after ``seconds``."""
    end = time.monotonic() + seconds

    def check() -> None:
        if time.monotonic() > end:
            raise TimeoutError

    return check
