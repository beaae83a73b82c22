"""What the service asks its one thread with the model: submissions to grade, texts to write; and why it may refuse."""

import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from typing import Any

from opeddev_tui.config.settings import Generation
from opeddev_tui.data.rows import Message


class Refused(Exception):
    """A request that is not answered: HTTP ``status``, a ``code`` for programs, a sentence, and the place in the body.

    ``retry_after`` is in seconds, 0 where another try makes no sense.
    """

    def __init__(self, status: int, code: str, message: str, *, place: str = "", retry_after: int = 0) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.place, self.retry_after = status, code, message, place, retry_after


class GradeJob:
    """Rows (fields of a grading row) that are graded together; ``done`` gets the answer to each, in their order."""

    def __init__(self, rows: Sequence[dict[str, Any]], *, feedback: bool = False) -> None:
        self.rows, self.feedback = rows, feedback
        self.done: Future[list[dict[str, Any]]] = Future()

    @property
    def size(self) -> int:
        """How many places in the queue it takes."""
        return len(self.rows)

    def goes_with(self, other: "AnyJob") -> bool:
        """Return whether both may go through the model together."""
        return isinstance(other, GradeJob) and other.feedback == self.feedback


class Text:
    """A text that was written: with ``prompt_tokens`` and ``tokens`` ids; ``ended`` is False where it was cut off."""

    def __init__(self, text: str, prompt_tokens: int, tokens: int, *, ended: bool, truncated: bool) -> None:
        self.text, self.prompt_tokens, self.tokens = text, prompt_tokens, tokens
        self.ended, self.truncated = ended, truncated


class TextJob:
    """A conversation that the model goes on with; ``told`` hears the text so far, on the model's thread.

    ``most`` bounds the new tokens. The text ends before the first of ``stops``.
    """

    size = 1

    def __init__(
        self,
        messages: Sequence[Message],
        sampling: Generation,
        most: int,
        *,
        stops: Sequence[str] = (),
        seed: int | None = None,
        told: Callable[[str], None] | None = None,
    ) -> None:
        self.messages, self.sampling, self.most, self.stops, self.seed = messages, sampling, most, tuple(stops), seed
        self.told = told
        # nobody waits for it any more: the model stops writing
        self.left = threading.Event()
        self.done: Future[Text] = Future()

    def goes_with(self, other: "AnyJob") -> bool:
        """Return whether both may go through the model together: a text with a seed of its own is drawn alone."""
        return (
            isinstance(other, TextJob)
            and other.sampling == self.sampling
            and (self.seed is None or not self.sampling.do_sample)
            and (other.seed is None or not self.sampling.do_sample)
        )


AnyJob = GradeJob | TextJob


def finish(job: AnyJob, result: Any) -> None:
    """Give ``job`` its result, unless its client was told meanwhile that the service stops."""
    with contextlib.suppress(InvalidStateError):
        job.done.set_result(result)


def fail(job: AnyJob, error: BaseException) -> None:
    """Tell the client of ``job`` why it gets no result, unless it has one, or was told before."""
    with contextlib.suppress(InvalidStateError):
        job.done.set_exception(error)
