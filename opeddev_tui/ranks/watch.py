"""Watch the ranks from rank 0: who has ended or is silent, and why; the training thread learns of it where it waits.

Must not end a training itself: it records what happened, and has the training's next look raise it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from opeddev_tui.errors import (
    DataProblem,
    ModelProblem,
    Problem,
    SettingsProblem,
    StorageProblem,
    TrainingProblem,
)
from opeddev_tui.ranks.line import Line
from opeddev_tui.ranks.words import Fault
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.events import Sink

# seconds between two beats, and without one after which a rank is called silent
BEAT_SECONDS = 2.0
SILENT_SECONDS = 15.0
_LOOK_SECONDS = 0.5
# seconds without a beat after which a rank is the reason for an exchange that has failed
_GONE_SECONDS = 3 * BEAT_SECONDS
# the kind of a fault that smaller batches cure
NO_MEMORY = "out-of-memory"
RESUMES = "Start again: it resumes from the last checkpoint."
_KINDS: Mapping[str, type[Problem]] = {
    kind.kind: kind for kind in (SettingsProblem, DataProblem, StorageProblem, ModelProblem, TrainingProblem)
}


class RankEnded(BaseException):
    """A rank can do no more, and the attempt ends. Passes through handlers of what costs only a part of a training."""

    def __init__(self, cause: Problem | MemoryError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def problem_of(fault: Fault, where: str) -> Problem | MemoryError:
    """Return what the ``fault`` of the rank ``where`` is here; a lack of memory is one here too."""
    if fault.kind == NO_MEMORY:
        return MemoryError(f"{where}: {fault.message}")
    message = f"{fault.where}: {fault.message}" if fault.where else fault.message
    problem = _KINDS.get(fault.kind, TrainingProblem)(f"{where}: {message}", cure=fault.cure)
    problem.kind = fault.kind
    return problem


class Watch:
    """Watches the hands of one attempt. ``hosts`` names their machines as they become known.

    ``lost`` is told once, from any thread, when the first rank ends. After ``limit`` seconds of silence a rank counts
    as ended.
    """

    def __init__(self, line: Line, world: int, bus: Sink, lost: Callable[[RankEnded], None], *, limit: float) -> None:
        self.hosts: dict[int, str] = {}
        self._line, self._world, self._bus = line, world, bus
        self._lost, self._limit = lost, limit
        self._ended: RankEnded | None = None
        self._closing = threading.Event()
        self._noticed = threading.Event()
        self._turn = threading.Lock()
        # since when ranks are known to have ended for another one's sake
        self._alone: dict[int, float] = {}
        # when each rank's beat last changed, and to what
        self._seen = dict.fromkeys(range(1, world), (time.monotonic(), ""))
        self._thread = threading.Thread(target=self._watch, name="ranks", daemon=True)

    def begin(self) -> None:
        """Begin to beat and to look for the others' beats."""
        self._thread.start()

    def close(self) -> None:
        """Ends from now on are no losses."""
        self._closing.set()
        self._thread.join()

    @property
    def failed(self) -> bool:
        """Whether a rank was lost."""
        return self._ended is not None

    def raise_if_lost(self) -> None:
        """Raise ``RankEnded`` if a rank was lost."""
        if self._ended is not None:
            raise self._ended

    def reason(self, patience: float) -> RankEnded | None:
        """Return why a rank was lost, as soon as that is known; None if nothing is after ``patience`` seconds.

        Of an exchange that has failed a silent rank is the reason, long before its silence alone would be one.
        """
        end = time.monotonic() + patience
        while not self._noticed.wait(_LOOK_SECONDS) and time.monotonic() < end:
            for rank, (since, _) in sorted(self._seen.items(), key=lambda item: item[1][0]):
                if time.monotonic() - since > _GONE_SECONDS and rank not in self._alone:
                    self._lose(rank, "has gone", TrainingProblem(f"{self.name_of(rank)} has gone.", cure=RESUMES))
        return self._ended

    def name_of(self, rank: int) -> str:
        """Return what to call ``rank``."""
        host = self.hosts.get(rank, "")
        return f"rank {rank} of {self._world} on {host}" if host else f"rank {rank} of {self._world}"

    def exited(self, rank: int, words: str) -> None:
        """Take the end of ``rank``, whose process ``words`` (was killed by SIGKILL); what it said of it comes first."""
        if self._closing.is_set():
            return
        if self._line.posted(f"fault/{rank}"):
            self.faulted(rank, self._line.read(f"fault/{rank}", Fault, keep=True))
        elif not self._line.posted(f"alone/{rank}"):
            self._lose(rank, words, TrainingProblem(f"{self.name_of(rank)} {words}.", cure=RESUMES))

    def faulted(self, rank: int, fault: Fault) -> None:
        """Take a fault that ``rank`` has told."""
        self._lose(rank, fault.message, problem_of(fault, self.name_of(rank)))

    def _lose(self, rank: int, reason: str, cause: Problem | MemoryError) -> None:
        self._end(cause, ev.RankLost(rank=rank, host=self.hosts.get(rank, ""), reason=reason))

    def _end(self, cause: Problem | MemoryError, event: ev.RankLost | None = None) -> None:
        """End the attempt for ``cause`` and record ``event``; nothing where it has ended before."""
        with self._turn:
            if self._ended is not None or self._closing.is_set():
                return
            self._ended = RankEnded(cause)
        if event is not None:
            self._bus.emit(event)
        self._lost(self._ended)
        self._noticed.set()

    # --- the thread

    def _watch(self) -> None:
        try:
            self._look_at_all()
        except RuntimeError:
            # a launcher's store has gone with the launcher: without it nobody would wake a training that waits
            self._end(TrainingProblem("the launcher of the ranks has gone.", cure=RESUMES))

    def _look_at_all(self) -> None:
        seen = self._seen
        silent: set[int] = set()
        count = 0
        while not self._closing.wait(_LOOK_SECONDS):
            if count % 4 == 0:
                self._line.beat(count)
            count += 1
            for rank in list(seen):
                if self._line.posted(f"fault/{rank}"):
                    self.faulted(rank, self._line.read(f"fault/{rank}", Fault, keep=True))
                beat = self._line.beat_of(rank)
                if beat != seen[rank][1]:
                    seen[rank] = (time.monotonic(), beat)
                if beat:  # before its first one it is starting, and its process is watched
                    self._look(rank, time.monotonic() - seen[rank][0], silent)
                self._look_for_alone(rank)

    def _look_for_alone(self, rank: int) -> None:
        """Note that ``rank`` has lost the others; it is the reason only where none is found within seconds."""
        if self._line.posted(f"alone/{rank}"):
            since = self._alone.setdefault(rank, time.monotonic())
            if time.monotonic() - since > _GONE_SECONDS:
                words = "has lost the other ranks"
                self._lose(rank, words, TrainingProblem(f"{self.name_of(rank)} {words}.", cure=RESUMES))

    def _look(self, rank: int, quiet: float, silent: set[int]) -> None:
        """Say that ``rank`` is silent, or speaks again; after the limit it is lost."""
        if quiet < SILENT_SECONDS:
            if rank in silent:
                silent.remove(rank)
                self._bus.emit(ev.Warned(message=f"{self.name_of(rank)} answers again."))
            return
        if rank not in silent:
            silent.add(rank)
            since = time.time() - quiet
            self._bus.emit(ev.RankSilent(rank=rank, host=self.hosts.get(rank, ""), since=since))
        self._lose_after(rank, quiet, "has given no sign for")

    def late(self, rank: int, seconds: float) -> None:
        """Take that ``rank`` has not answered for ``seconds``; after the limit it is lost though it gives signs.

        One that gives none is lost by its silence alone.
        """
        if time.monotonic() - self._seen[rank][0] < SILENT_SECONDS:
            self._lose_after(rank, seconds, "has given signs but no answer for")
        self.raise_if_lost()

    def _lose_after(self, rank: int, seconds: float, what: str) -> None:
        if seconds > self._limit:
            words = f"{what} {self._limit / 60:.3g} minutes (training.rank_timeout_minutes)"
            self._lose(rank, words, TrainingProblem(f"{self.name_of(rank)} {words}.", cure=RESUMES))
