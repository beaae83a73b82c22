"""What became of a job of the model's thread: its result, or why the client gets none."""

import asyncio
from typing import Any

from opeddev_tui.errors import Problem
from opeddev_tui.serving.http.jobs import Refused, Text, TextJob
from opeddev_tui.serving.http.worker import Abandoned

_RETRY_SECONDS = 10


def result_of(done: "asyncio.Future[Any]") -> Any:
    """Return the result of a job that is done; raises ``Refused``."""
    if done.cancelled():
        raise _stopped()
    error = done.exception()
    if error is not None:
        raise _refusal(error)
    return done.result()


def text_of(job: TextJob) -> Text:
    """Return the text of a job that is done; raises ``Refused``."""
    if job.done.cancelled():
        raise _stopped()
    error = job.done.exception()
    if error is not None:
        raise _refusal(error)
    return job.done.result()


def _stopped() -> Refused:
    message = "The service was stopped before this was answered."
    return Refused(503, "stopping", message, retry_after=_RETRY_SECONDS)


def _refusal(error: BaseException) -> Refused:
    if isinstance(error, Refused):
        return error
    if isinstance(error, Abandoned):
        return _stopped()
    if isinstance(error, Problem):
        return Refused(500, error.kind, str(error))
    return Refused(500, "bug", "The model failed at this; the reason is in the service's log.")
