"""Find out in a few seconds whether the hub can be reached, before its library tries for most of a minute.

The library repeats every request, which downloads on slow lines need; a machine without a network waits for nothing. So
it is asked once, shortly, and where no answer comes only what was fetched before is used.
"""

import functools
import os
import queue
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opeddev_tui.text import clean_line

# seconds that the hub has for any answer; a slow line answers within them, and HF_HUB_ETAG_TIMEOUT may allow more
_LEAST_SECONDS = 5.0
# seconds after which it is asked again
_KNOWN_FOR = 60.0
# the number of an error, in front of its words
_NUMBER = re.compile(r"^\[Errno -?\d+\] ")


def why_out_of_reach() -> str:
    """Return why the hub cannot be reached, "" if it can, or if the environment forbids the network anyway."""
    from huggingface_hub import constants

    if constants.is_offline_mode():
        return ""
    return _asked(constants.ENDPOINT, int(time.monotonic() / _KNOWN_FOR))


@functools.lru_cache(maxsize=1)
def _asked(endpoint: str, period: int) -> str:  # noqa: ARG001 - an answer is remembered for this period
    """Ask for any answer of ``endpoint``, once. Looking up its name can take longer than a timeout: a thread does."""
    seconds = max(_LEAST_SECONDS, timeout_that_is_set())
    answers: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_ask, args=(endpoint, seconds, answers), name="hub", daemon=True).start()
    try:
        return answers.get(timeout=seconds)
    except queue.Empty:
        return f"no answer within {seconds:.0f} s"


def timeout_that_is_set() -> float:
    """Return the timeout that a person has set for the hub's library, in seconds; 0 where none is."""
    text = os.environ.get("HF_HUB_ETAG_TIMEOUT", "")
    return float(text) if text.isdecimal() else 0.0


def _ask(endpoint: str, seconds: float, answers: "queue.Queue[str]") -> None:
    from huggingface_hub import get_session
    from huggingface_hub.errors import HfHubHTTPError

    # errors of the HTTP library below the hub's client, whichever it is, need not be OSErrors
    bases = tuple(kind for kind in HfHubHTTPError.__bases__ if issubclass(kind, Exception))
    failures: tuple[type[Exception], ...] = (*bases, OSError, RuntimeError, ValueError)
    try:
        get_session().head(endpoint, timeout=seconds)
    except failures as error:
        first = (str(error).strip().splitlines() or [""])[0]
        answers.put(clean_line(_NUMBER.sub("", first), max_chars=120).rstrip(".") or type(error).__name__)
    else:
        answers.put("")


@contextmanager
def as_far_as_it_is(source: str) -> Iterator[None]:
    """Keep the libraries in the block from asking for ``source``, no folder, where the hub cannot be reached.

    Their own switch is used: not all that they ask for obeys the argument of a single call.
    """
    from huggingface_hub import constants

    if Path(source).is_dir() or not why_out_of_reach():
        yield
        return
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = False
