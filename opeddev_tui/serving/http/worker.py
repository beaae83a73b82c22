"""The one thread that owns the model: it loads it, forms batches of what waits, and answers.

The queue is bounded; who comes when it is full is refused at once. Knows nothing of HTTP.
"""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable

from opeddev_tui.config.settings import Serve
from opeddev_tui.errors import Problem
from opeddev_tui.serving.answers import as_json
from opeddev_tui.serving.grader import Grader
from opeddev_tui.serving.http.figures import Figures
from opeddev_tui.serving.http.jobs import AnyJob, GradeJob, Refused, TextJob, fail, finish
from opeddev_tui.serving.http.texts import write_texts

_LOG = logging.getLogger(__name__)
_MOST_RETRY_SECONDS = 60


class Abandoned(Exception):
    """The service ends without answering what is under way."""


class Worker:
    """Owns the ``Grader`` that ``open_grader`` returns. ``failed`` is called on its thread if it cannot be opened."""

    def __init__(
        self, open_grader: Callable[[], Grader], serve: Serve, figures: Figures, failed: Callable[[], None]
    ) -> None:
        self._open, self._serve, self._figures, self._failed = open_grader, serve, figures, failed
        self.grader: Grader | None = None
        self.problem: BaseException | None = None
        self._jobs: deque[AnyJob] = deque()
        # those that are going through the model
        self._running: list[AnyJob] = []
        self._changed = threading.Condition()
        self._closing = False
        self._abandoned = threading.Event()
        # seconds per submission lately, for Retry-After
        self._pace = 0.1
        self._thread = threading.Thread(target=self._work, name="grader", daemon=True)

    def start(self) -> None:
        """Begin to load the model."""
        self._thread.start()

    @property
    def waiting(self) -> int:
        """The submissions and texts in the queue."""
        with self._changed:
            return sum(job.size for job in self._jobs)

    @property
    def closing(self) -> bool:
        """True once nothing more is taken."""
        return self._closing

    def put(self, job: AnyJob) -> None:
        """Queue ``job``; raises ``Refused`` if the model is not there or the queue is full."""
        with self._changed:
            if self._closing:
                raise Refused(503, "stopping", "The service is being stopped.", retry_after=10)
            if self.grader is None:
                raise Refused(503, "loading", "The model is being loaded.", retry_after=5)
            waiting = sum(other.size for other in self._jobs)
            if waiting + job.size > self._serve.queue:
                seconds = min(_MOST_RETRY_SECONDS, max(1, math.ceil(waiting * self._pace)))
                raise Refused(
                    429, "queue_full", f"{waiting} submissions wait already (serve.queue).", retry_after=seconds
                )
            self._jobs.append(job)
            self._changed.notify_all()

    def close(self) -> None:
        """Take nothing more, and end when what was taken is answered."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """End soon: whoever waits is told now that there is no answer, the model's thread at the end of its batch."""
        self.close()
        self._abandoned.set()
        with self._changed:
            left, self._jobs = [*self._jobs, *self._running], deque()
            self._changed.notify_all()
        for job in left:
            fail(job, Abandoned())

    def ended(self, seconds: float) -> bool:
        """Wait for the end of its thread for at most ``seconds``; return whether it has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    # --- on its own thread

    def _work(self) -> None:
        try:
            grader = self._open()
        except BaseException as error:  # noqa: BLE001 - whatever keeps the model from loading ends the service, with its reason
            self.problem = error
            self._failed()
            return
        with self._changed:
            self.grader = grader
        while (jobs := self._next()) and not self._abandoned.is_set():
            self._do(grader, jobs)
        with self._changed:
            left, self._jobs = [*jobs, *self._jobs], deque()
        for job in left:
            fail(job, Abandoned())

    def _next(self) -> list[AnyJob]:
        """Return jobs that go through the model together, the oldest first; empty when all is done."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._closing)
            if not self._jobs:
                return []
            most = self._most_together(self._jobs[0])
            end = time.monotonic() + self._serve.wait_ms / 1000
            # a moment for others that come at the same time: a batch costs little more than one
            self._changed.wait_for(
                lambda: self._closing or sum(job.size for job in self._jobs) >= most, max(0.0, end - time.monotonic())
            )
            return self._taken(self._jobs[0], most) if self._jobs else []

    def _most_together(self, first: AnyJob) -> int:
        assert self.grader is not None
        return self.grader.models.batch if isinstance(first, GradeJob) else self.grader.settings.generation.batch_size

    def _taken(self, first: AnyJob, most: int) -> list[AnyJob]:
        """Take the jobs out of the queue that go with ``first``, in their order, while they are at most ``most``."""
        taken: list[AnyJob] = []
        left: deque[AnyJob] = deque()
        for job in self._jobs:
            fits = not taken or sum(other.size for other in taken) + job.size <= most
            if fits and (job is first or first.goes_with(job)):
                # a client that has gone has cancelled it
                if job.done.set_running_or_notify_cancel():
                    taken.append(job)
            else:
                left.append(job)
        self._jobs = left
        return taken or self._taken_next(most)

    def _taken_next(self, most: int) -> list[AnyJob]:
        # all that went together were cancelled: whatever comes first now
        return self._taken(self._jobs[0], most) if self._jobs else [_nothing()]

    def _do(self, grader: Grader, jobs: list[AnyJob]) -> None:
        with self._changed:
            self._running += jobs
        try:
            grades = [job for job in jobs if isinstance(job, GradeJob) and job.rows]
            texts = [job for job in jobs if isinstance(job, TextJob)]
            if grades:
                self._grade(grader, grades)
            if texts:
                written = write_texts(grader, texts, lambda: self._between(grader))
                self._figures.add("texts", len(texts))
                self._figures.add("tokens", written)
        except BaseException as error:  # noqa: BLE001 - the clients are told; the service goes on
            self._figures.add("failures")
            if not isinstance(error, Problem | Refused | Abandoned):
                _LOG.exception("a batch of the service failed")
            for job in jobs:
                fail(job, error)
        finally:
            with self._changed:
                self._running = [job for job in self._running if job not in jobs]

    def _grade(self, grader: Grader, jobs: list[GradeJob]) -> None:
        begun = time.monotonic()
        asked = [grader.ask(row) for job in jobs for row in job.rows]
        graded = grader.grade(asked, feedback=jobs[0].feedback, raise_if_stopped=self._raise_if_abandoned)
        self._pace = 0.8 * self._pace + 0.2 * (time.monotonic() - begun) / len(asked)
        self._figures.add("graded", len(graded))
        self._figures.add("asked", sum(item.ask for item in graded))
        self._figures.add("batches")
        answers = [as_json(item, of.content) for item, of in zip(graded, asked, strict=True)]
        start = 0
        for job in jobs:
            finish(job, answers[start : start + job.size])
            start += job.size

    def _between(self, grader: Grader) -> None:
        """Grade what came while texts are being written: nobody waits for another one's long text."""
        self._raise_if_abandoned()
        with self._changed:
            first = next((job for job in self._jobs if isinstance(job, GradeJob) and not job.feedback), None)
            jobs = self._taken(first, self._most_together(first)) if first is not None else []
        grades = [job for job in jobs if isinstance(job, GradeJob)]
        if grades:
            self._do(grader, list(grades))

    def _raise_if_abandoned(self) -> None:
        if self._abandoned.is_set():
            raise Abandoned


def _nothing() -> GradeJob:
    return GradeJob([])
