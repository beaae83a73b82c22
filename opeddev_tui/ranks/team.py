"""Rank 0's side of one attempt with several processes: start the hands, speak to them, deal work, end them all.

Whatever happens to one hand, all are ended, and the attempt with them; the next start resumes. Must not know what is
trained.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from opeddev_tui.errors import Problem, TrainingProblem, ran_out_of_memory
from opeddev_tui.ranks import children, group, orders
from opeddev_tui.ranks.line import Line, open_store
from opeddev_tui.ranks.watch import RESUMES, RankEnded, Watch, problem_of
from opeddev_tui.ranks.words import Answer, AnyWord, End, Found, Hello, Join, Ready
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.control import Control
from opeddev_tui.runs.events import Sink

LOOPBACK = "127.0.0.1"
# where a hand finds the line, in its environment
PORT, SECRET, NAME = "OPEDDEV_RANKS_PORT", "OPEDDEV_RANKS_SECRET", "OPEDDEV_RANKS_NAME"
# seconds for the end of a hand's process to be noticed, once an exchange with it has failed
_NOTICE_SECONDS = 10.0


class Team:
    """All ranks of one attempt. Enter it to start the hands of this machine; leave it to end them.

    ``silence`` is how many seconds a rank may give no sign. On leaving, an error that another rank caused becomes the
    ``Problem`` that says so.
    """

    def __init__(
        self,
        run_folder: Path,
        given: orders.Orders,
        bus: Sink,
        control: Control,
        *,
        silence: float,
    ) -> None:
        self.world = given.processes
        self._folder, self._orders = run_folder, given
        self._bus, self._control, self._silence = bus, control, silence
        self._stack = contextlib.ExitStack()
        self._line = Line(None, 0, "run")
        self._watch = Watch(self._line, self.world, bus, self._lost, limit=silence)
        self._children = children.Children(lambda rank, code: self._watch.exited(rank, children.exit_words(code)))

    # --- beginning and end

    def __enter__(self) -> Team:
        orders.write(self._folder, self._orders)
        self._line.store = open_store(LOOPBACK, 0, leads=True)
        self._watch.begin()
        for rank in range(1, self.world):
            words, log = ["rank", str(self._folder)], self._folder / orders.FOLDER / f"{rank}.log"
            self._children.add(rank, children.start_process(words, self._environment(rank), log))
        return self

    def _environment(self, rank: int) -> dict[str, str]:
        place = group.Place(rank, self.world, rank, self.world)
        return {
            **place.environment,
            **_one_machine(),
            PORT: str(self._line.store.port),
            SECRET: self._orders.secret,
            NAME: self._line.name,
            "OMP_NUM_THREADS": str(self._orders.threads),
        }

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        cause = self._cause(error)
        try:
            self._watch.close()
            self._control.fail(None)
            if error is None:
                self.say(End())
                self._children.close()
            else:
                self._children.kill()
                self._children.close()
        finally:
            self._stack.close()
            self._line.store = None
        if cause is not None and cause is not error:
            raise cause from error

    def _cause(self, error: BaseException | None) -> BaseException | None:
        """Return what ``error`` is to a person: an exchange that failed is another rank's doing."""
        if isinstance(error, RankEnded):
            return error.cause
        if not isinstance(error, RuntimeError) or ran_out_of_memory(error):
            return None
        found = self._watch.reason(_NOTICE_SECONDS)
        if found is not None:
            return found.cause
        if group.is_of_exchange(error):
            return TrainingProblem(f"the ranks have lost each other: {_first_line(error)}", cure=RESUMES)
        return None

    def _lost(self, ended: RankEnded) -> None:
        """Have the training thread leave whatever it is in: a wait for a person, or an exchange."""
        self._control.fail(ended)
        # the others are in an exchange that cannot end
        self._children.kill()
        group.abort()

    # --- until all ranks are ready

    def greet(self) -> None:
        """Wait until all hands have begun; raises ``TrainingProblem`` where one has other versions."""
        mine = orders.hello(0, os.getpid())
        others: list[Hello] = []
        for rank in range(1, self.world):
            self._phase(f"{rank} of {self.world} ranks have begun")
            found = self._line.wait(f"hello/{rank}", Hello, self._look)
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
        place = group.Place(0, self.world, 0, self.world)
        self._stack.enter_context(group.environment(_one_machine()))
        # longer than the watch: who is lost is to be known first
        seconds = self._silence + 60
        name = f"{self._line.name}/gradients"
        self._stack.enter_context(group.joined(place, self._line.store, name, seconds=seconds))

    def _look(self) -> None:
        """Raise what ends this attempt while it waits for a hand: a lost rank; a person's stop comes later."""
        self._watch.raise_if_lost()

    def _phase(self, detail: str) -> None:
        self._bus.emit(ev.PhaseChanged(phase="starting ranks", detail=detail))

    # --- while they work

    def say(self, word: AnyWord) -> int:
        """Say ``word`` to all hands; return its number."""
        return self._line.say(word)

    def answers(self, number: int) -> Iterator[tuple[int, Found]]:
        """Yield (rank, what it found) for the word ``number``; raises ``RankEnded``, a ``Problem``, MemoryError."""
        for rank in range(1, self.world):
            answer = self._line.wait(f"answer/{number}/{rank}", Answer, self._look)
            if answer.fault is not None:
                raise problem_of(answer.fault, self._watch.name_of(rank))
            yield rank, answer.found if answer.found is not None else Found()


def _one_machine() -> dict[str, str]:
    """Return what has gloo talk through the loopback interface, whatever this machine's name is elsewhere."""
    return {} if "GLOO_SOCKET_IFNAME" in os.environ else {"GLOO_SOCKET_IFNAME": "lo"}


def _first_line(error: Problem | BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
