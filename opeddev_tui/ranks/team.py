"""Rank 0's side of one attempt with several processes: start the hands, speak to them, deal work, end them all.

Whatever happens to one hand, all are ended, and the attempt with them; the next start resumes. Must not know what is
trained.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Protocol

from opeddev_tui.errors import Problem, TrainingProblem, ran_out_of_memory
from opeddev_tui.ranks import group, orders
from opeddev_tui.ranks.line import Line
from opeddev_tui.ranks.watch import RESUMES, RankEnded, Watch, problem_of
from opeddev_tui.ranks.words import Answer, AnyWord, Broken, End, Found, Hello, Join, Ready
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.control import Control
from opeddev_tui.runs.events import GpuReading, Sink

# is told of a hand's end: its rank, and how it ended in words
Ended = Callable[[int, str], None]
# seconds for the end of a hand's process to be noticed, once an exchange with it has failed
_NOTICE_SECONDS = 10.0
# the same, once numbers are not finite: an exchange that was broken off leaves some that mean nothing
_BROKEN_OFF_SECONDS = 3.0
# the least seconds that a hand has to begin, however short the silence allowed: it may import from a slow disk
_BEGIN_SECONDS = 600.0
# seconds after which an answer is late: all ranks have like shares
_LATE_SECONDS = 60.0


class Hands(Protocol):
    """How the other ranks of an attempt are reached: started here, or by a launcher."""

    def open(self) -> Line:
        """Return the line to the hands of the next attempt."""

    def begin(self, line: Line, folder: Path, given: orders.Orders, ended: Ended) -> None:
        """Have all hands take the orders in ``folder``, and answer on ``line``. ``ended`` is told of ends."""

    @property
    def place(self) -> group.Place:
        """Where rank 0 is."""

    def kill(self) -> None:
        """End those that can be ended from here."""

    def close(self, *, failed: bool) -> None:
        """Wait until those that were started for this attempt have ended."""


class Team:
    """All ranks of one attempt. Enter it to have the hands begin; leave it to end them.

    ``silence`` is how many seconds a rank may give no sign. ``raise_if_stopped`` is called while ranks begin. On
    leaving, an error that another rank caused becomes the ``Problem`` that says so.
    """

    def __init__(
        self,
        run_folder: Path,
        given: orders.Orders,
        hands: Hands,
        bus: Sink,
        control: Control,
        *,
        silence: float,
        raise_if_stopped: Callable[[], None],
    ) -> None:
        self.world = given.processes
        self._folder, self._orders, self._hands = run_folder, given, hands
        self._bus, self._control, self._silence = bus, control, silence
        self._raise_if_stopped = raise_if_stopped
        self._stack = contextlib.ExitStack()

    # --- beginning and end

    def __enter__(self) -> Team:
        orders.write(self._folder, self._orders)
        self._line = self._hands.open()
        self._watch = Watch(self._line, self.world, self._bus, self._lost, limit=self._silence)
        self._watch.begin()
        try:
            self._hands.begin(self._line, self._folder, self._orders, self._watch.exited)
        except BaseException:
            # nobody leaves what was not entered
            self._watch.close()
            self._hands.close(failed=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        cause = self._cause(error)
        try:
            self._watch.close()
            with contextlib.suppress(*([RuntimeError] if error is not None else [])):
                self.say(End())  # a launcher's store may have gone with it
            self._hands.close(failed=error is not None)
        finally:
            # last: a thread that saw a process end may tell the loss until all ends have been seen
            self._control.fail(None)
            self._stack.close()
        if cause is not None and cause is not error:
            raise cause from error

    def _cause(self, error: BaseException | None) -> BaseException | None:
        """Return what ``error`` is to a person: an exchange that failed is another rank's doing."""
        if isinstance(error, RankEnded):
            return error.cause
        patience = _patience(error)
        if error is None or patience is None:
            return None
        found = self._watch.reason(patience)
        if found is not None:
            return found.cause
        if group.is_of_exchange(error):
            return TrainingProblem(f"the ranks have lost each other: {_first_line(error)}", cure=RESUMES)
        return None

    def _lost(self, ended: RankEnded) -> None:
        """Have the training thread leave whatever it is in: a wait for a person, or an exchange."""
        self._control.fail(ended)
        # the others are in an exchange that cannot end
        self._hands.kill()
        with contextlib.suppress(RuntimeError):  # a launcher's store has gone with it
            self._line.post("broken", Broken())
        group.abort()

    # --- until all ranks are ready

    def greet(self) -> None:
        """Wait until all hands have begun; raises ``TrainingProblem`` where one has other versions."""
        mine = orders.hello(0, os.getpid())
        others: list[Hello] = []
        end = time.monotonic() + max(self._silence, _BEGIN_SECONDS)
        for rank in range(1, self.world):
            self._phase(f"{rank} of {self.world} ranks have begun")
            found = self._line.wait(f"hello/{rank}", Hello, partial(self._look_for, rank, end))
            self._watch.hosts[rank] = found.host
            others.append(found)
        orders.compare_versions(mine, others)
        self._known = [mine, *others]

    def assemble(self, mine: Ready) -> None:
        """Wait until all hands have read rows and model, compare them with rank 0's, and join the process group.

        Raises a ``Problem`` that names the rank whose rows or weights differ.
        """
        self.greet()
        others: dict[int, Ready] = {}
        for rank in range(1, self.world):
            self._phase(f"{rank} of {self.world} ranks are ready")
            found = self._line.wait(f"ready/{rank}", Ready, self._look)
            if found.fault is not None:
                self._watch.faulted(rank, found.fault)
                self._watch.raise_if_lost()
            others[rank] = found
        orders.compare_inputs(mine, others, self._watch.hosts)
        orders.forget_secret(self._orders)
        self._join()
        places = (
            ev.RankPlace(rank=known.rank, host=known.host, device=ready.device, pid=known.pid)
            for rank, (known, ready) in enumerate(zip(self._known, [mine, *others.values()], strict=True))
        )
        self._bus.emit(ev.RanksStarted(ranks=tuple(places), backend=group.backend()))

    def _join(self) -> None:
        self.say(Join("gradients"))
        # longer than the watch: who is lost is to be known first
        seconds = self._silence + 60
        name = f"{self._line.name}/gradients"
        self._stack.enter_context(group.joined(self._hands.place, self._line.store, name, seconds=seconds))

    def _look_for(self, rank: int, end: float) -> None:
        """Look as ever while ``rank`` has not begun; raises ``TrainingProblem`` where it has not until ``end``.

        A launcher's rank may have gone before this attempt: it has no process here that is watched.
        """
        self._look()
        if time.monotonic() > end:
            minutes = f"{max(self._silence, _BEGIN_SECONDS) / 60:.3g}"
            raise TrainingProblem(f"{self._watch.name_of(rank)} has not begun within {minutes} minutes.", cure=RESUMES)

    def _look(self) -> None:
        """Raise what ends this attempt while ranks begin: a lost one, or a person's stop."""
        self._watch.raise_if_lost()
        self._raise_if_stopped()

    def _phase(self, detail: str) -> None:
        self._bus.emit(ev.PhaseChanged(phase="starting ranks", detail=detail))

    # --- while they work

    def say(self, word: AnyWord) -> int:
        """Say ``word`` to all hands; return its number."""
        return self._line.say(word)

    def loads(self) -> list[GpuReading]:
        """Return the newest load of the GPU of every hand that has told one; a store that has gone has none."""
        try:
            return [gpu for rank in range(1, self.world) for gpu in self._line.load_of(rank).gpus]
        except RuntimeError:
            return []  # the watch says who has gone

    def answers(self, number: int) -> Iterator[tuple[int, Found]]:
        """Yield (rank, what it found) for the word ``number``; raises ``RankEnded``, a ``Problem``, MemoryError."""
        for rank in range(1, self.world):
            answer = self._line.wait(f"answer/{number}/{rank}", Answer, _Late(rank, self._watch, self._bus).look)
            if answer.fault is not None:
                raise problem_of(answer.fault, self._watch.name_of(rank))
            yield rank, answer.found if answer.found is not None else Found()


class _Late:
    """Looks for the answer of ``rank``, which may give signs and yet do nothing: such a wait is told, and ends."""

    def __init__(self, rank: int, watch: Watch, bus: Sink) -> None:
        self._rank, self._watch, self._bus = rank, watch, bus
        self._began = time.monotonic()
        self._told = False

    def look(self) -> None:
        """Tell once that the answer is late; raises ``RankEnded`` where a rank is lost, also by this."""
        self._watch.raise_if_lost()
        passed = time.monotonic() - self._began
        if passed > _LATE_SECONDS and not self._told:
            self._told = True
            name = self._watch.name_of(self._rank)
            self._bus.emit(ev.Warned(message=f"{name} has not answered for a minute; the training waits for it."))
        self._watch.late(self._rank, passed)


def _patience(error: BaseException | None) -> float | None:
    """Return for how many seconds to look whether a lost rank has caused ``error``; None: it cannot have."""
    if isinstance(error, RuntimeError) and not ran_out_of_memory(error):
        return _NOTICE_SECONDS if group.is_of_exchange(error) else 0.0
    if isinstance(error, ValueError):
        return 0.0  # torch's answer where there is no process group any more
    if isinstance(error, TrainingProblem) and group.breaks_off():
        return _BROKEN_OFF_SECONDS
    return None


def _first_line(error: Problem | BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
