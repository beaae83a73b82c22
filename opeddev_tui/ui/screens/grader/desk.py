"""One or two checkpoints at work: what they were asked, what they have answered, what they are doing now.

Knows no widget. Processes are opened and ended here, so that a training never lacks memory because of a grader.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

from opeddev_tui.format import duration, plural
from opeddev_tui.serving.worker_messages import (
    Answered,
    Asks,
    Begun,
    Done,
    Failed,
    Loading,
    Ready,
    Request,
    Said,
    Stop,
)

_GAVE_WAY = (
    "a training has begun: the grader was closed, so that the training has the memory. {grader.grade} grades beside it."
)


class Process(Protocol):
    """A process that grades."""

    beside: bool

    def say(self, what: Asks) -> None: ...
    def end(self) -> None: ...


class Opens(Protocol):
    """The tasks, as far as a desk needs them."""

    def open(
        self, source: str, *, texts: bool, heard: Callable[[Said], None], ended: Callable[[str], None]
    ) -> Process: ...


class Asked(Struct, frozen=True):
    """A request: what is graded in words, and the number of the one answer that it renews, None: all are new."""

    request: Request
    what: str
    renews: int | None = None


class Side:
    """One checkpoint: ``source`` as --from takes it, its answers by number, and what it does in ``words``."""

    def __init__(self, tasks: Opens, changed: Callable[[], None], source: str = "") -> None:
        self.source = source
        self.ready: Ready | None = None
        self.answers: dict[int, Answered] = {}
        self.problem = ""
        self.total: int | None = None
        self.count = 0
        self.skipped = ""
        self.stopped = False
        self._tasks, self._changed = tasks, changed
        self._child: Process | None = None
        self._texts = False
        self._loading = ""
        self._asked: Asked | None = None
        self._waits = False
        self._began = 0.0

    # --- asking

    @property
    def busy(self) -> bool:
        """True while a request is not answered."""
        return self._asked is not None

    def ask(self, asked: Asked) -> None:
        """Ask for grades; what was asked before and is not answered yet ends."""
        self.stop()
        self._asked, self.problem, self._waits = asked, "", False
        if asked.renews is None:
            self.answers, self.total, self.count, self.skipped, self.stopped = {}, None, 0, "", False
        if self._child is not None and asked.request.feedback and not self._texts:
            self.close()  # opened without what writes texts
        if self._child is None:
            self._open(texts=self._texts or asked.request.feedback)
        elif self.ready is not None:
            self._say(asked.request)
        self._changed()

    def _open(self, *, texts: bool) -> None:
        self._texts, self._loading, self.ready = texts, "starting a process", None
        self._began = time.monotonic()
        heard: Callable[[Said], None] = lambda said: self._heard(child, said)  # noqa: E731
        ended: Callable[[str], None] = lambda reason: self._ended(child, reason)  # noqa: E731
        child = self._child = self._tasks.open(self.source, texts=texts, heard=heard, ended=ended)

    def _say(self, request: Request) -> None:
        self._began = time.monotonic()
        if self._child is not None:
            self._child.say(request)

    def stop(self) -> None:
        """End the request; what is graded stays."""
        if self._asked is None:
            return
        self._asked, self.stopped = None, True
        if self._child is not None and self.ready is not None:
            self._child.say(Stop())
        self._changed()

    def close(self) -> None:
        """End the process and give its memory back; the answers stay."""
        if self._child is not None:
            self._child.end()
        self._child, self.ready, self._loading = None, None, ""

    def mind_training(self, *, trains: bool) -> None:
        """Give way to a training that has begun; ask again what waited for one that has ended."""
        if trains and self._child is not None and not self._child.beside:
            asked = self._asked
            self.stop()
            self.close()
            self.problem = _GAVE_WAY if asked is not None or not self.answers else ""
            self._changed()
        elif not trains and self._waits and self._asked is not None:
            self.ask(self._asked)
        elif not trains and self._child is not None and self._child.beside and self._asked is None:
            self.close()  # the next request may use the GPU again

    # --- hearing

    def _heard(self, child: Process, said: Said) -> None:
        if child is not self._child:
            return
        if isinstance(said, Loading):
            self._loading = said.words
        elif isinstance(said, Ready):
            self.ready, self._loading = said, ""
            if self._asked is not None:
                self._say(self._asked.request)
        elif isinstance(said, Failed) and said.id == 0:
            self.close()
            self.problem, self._waits = said.words, said.waits
            self._asked = self._asked if said.waits else None
        elif self._asked is not None and said.id == self._asked.request.id:
            self._take(self._asked, said)
        self._changed()

    def _take(self, asked: Asked, said: Begun | Answered | Done | Failed) -> None:
        if isinstance(said, Begun) and asked.renews is None:
            self.total = said.total
        elif isinstance(said, Answered) and asked.renews is None:
            self.answers[said.number] = said
            self.count = len(self.answers)
        elif isinstance(said, Answered):
            self.answers[asked.renews or 0] = _renewed(self.answers.get(asked.renews or 0), said)
        elif isinstance(said, Done):
            self._asked = None
            if asked.renews is None:
                self.skipped, self.stopped = said.skipped, said.stopped
        elif isinstance(said, Failed):
            self._asked, self.problem = None, said.words

    def _ended(self, child: Process, reason: str) -> None:
        if child is not self._child:
            return
        self.close()
        if self._asked is not None or reason:
            self.problem = self.problem or reason or "the grader's process has ended."
            self._asked = None
        self._changed()

    # --- in words

    @property
    def grader(self) -> str:
        """What grades, for people: the base model where its head does, whichever checkpoint is chosen."""
        if self.ready is None and (answer := next(iter(self.answers.values()), None)) is not None:
            return answer.graded.grader or self.name
        return (self.ready.grader if self.ready is not None else "") or self.name

    @property
    def name(self) -> str:
        """The checkpoint that is chosen, for people."""
        return self.ready.checkpoint if self.ready is not None else self.source or "the best checkpoint"

    @property
    def words(self) -> str:
        """What it does now, with the time that is left."""
        took = time.monotonic() - self._began
        if self._loading:
            return f"{self._loading}, {duration(took)}"
        if self._waits and self.problem:
            return self.problem
        if self._asked is not None and self._asked.renews is not None:
            return f"writing feedback, {duration(took)}"
        if self._asked is not None and self.ready is not None:
            return self._pace(took)
        if self.problem:
            return self.problem
        if self.answers and self.total != 1:
            left = f"; left out: {self.skipped}" if self.skipped else ""
            return f"{plural(self.count, 'submission')}{', stopped' if self.stopped else ''}{left}"
        if self.stopped:
            return "stopped"
        return ""

    def _pace(self, took: float) -> str:
        if self.total == 1:
            return f"grading, {duration(took)}"
        of = f" of {self.total:,}" if self.total is not None else ""
        told = f"{self.count:,}{of} graded"
        if not self.count:
            return told
        left = (
            ""
            if self.total is None
            else f", about {duration(max(0, self.total - self.count) * took / self.count)} left"
        )
        return f"{told}, {self.count / max(took, 1e-9):.1f} per second{left}"


def _renewed(before: Answered | None, now: Answered) -> Answered:
    """Return the answer with a text: what the first one said of the file and of what was assumed still holds."""
    if before is None:
        return now
    was = before.graded
    graded = replace(now.graded, id=was.id, file=was.file, assumed=was.assumed, why=was.why, ask=was.ask)
    return replace(now, number=before.number, graded=graded, fields=before.fields)


class Desk:
    """The checkpoint that grades, and one beside it where a person wants that."""

    def __init__(self, tasks: Opens, changed: Callable[[], None]) -> None:
        self._tasks, self._changed = tasks, changed
        self.sides: list[Side] = [Side(tasks, changed)]
        self._last = 0
        self._asked: Asked | None = None

    @property
    def busy(self) -> bool:
        """True while something is not answered."""
        return any(side.busy for side in self.sides)

    def grade(self, what: str, *, text: str = "", path: str = "", given: Mapping[str, str]) -> None:
        """Grade a text, or what lies at ``path``, with every checkpoint."""
        self._last += 1
        self._asked = Asked(Request(id=self._last, text=text, path=path, given=dict(given)), what)
        for side in self.sides:
            side.ask(self._asked)

    def write_feedback(self, number: int) -> None:
        """Let every checkpoint write a text for the submission ``number``."""
        for side in self.sides:
            answer = side.answers.get(number)
            if answer is not None and answer.fields and not side.busy:
                self._last += 1
                fields: dict[str, Any] = dict(answer.fields)
                side.ask(Asked(Request(id=self._last, fields=fields, feedback=True), "feedback", number))

    def choose(self, place: int, source: str) -> None:
        """Let ``source`` grade at ``place`` (0, or 1: beside); what was asked last is asked again."""
        side = Side(self._tasks, self._changed, source)
        if place < len(self.sides):
            self.sides[place].close()
            self.sides[place] = side
        else:
            self.sides.append(side)
        if self._asked is not None:
            side.ask(self._asked)
        self._changed()

    def alone(self) -> None:
        """End the checkpoint beside."""
        for side in self.sides[1:]:
            side.close()
        del self.sides[1:]
        self._changed()

    def stop(self) -> None:
        """End what is asked; what is graded stays."""
        for side in self.sides:
            side.stop()

    def close(self) -> None:
        """End all processes."""
        for side in self.sides:
            side.close()

    def mind_training(self, *, trains: bool) -> None:
        """Give way to a training, or ask again what waited for it."""
        for side in self.sides:
            side.mind_training(trains=trains)
