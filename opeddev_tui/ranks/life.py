"""Keep a hand alive exactly as long as rank 0 is: it beats, and ends itself where rank 0 has gone or is silent.

A hand holds nothing worth keeping, so it leaves at once, whatever it is in.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from opeddev_tui.ranks.line import Line
from opeddev_tui.ranks.watch import BEAT_SECONDS
from opeddev_tui.ranks.words import Load

# the exit code of a hand that has lost rank 0
ALONE = 74
# seconds without a beat of rank 0 for a hand that was asked to end; rank 0 may be saving
_HURRIED_SECONDS = 10.0


def end_with_parent() -> None:
    """End this process when its standard input ends: the process that started it has gone."""
    threading.Thread(target=_read_to_end, name="parent", daemon=True).start()


def _read_to_end() -> None:
    # not sys.stdin: Python would wait for its lock at exit, and abort
    try:
        while os.read(0, 1024):
            pass
    except OSError:
        pass
    leave()


def leave() -> NoReturn:
    """End this process at once."""
    os._exit(ALONE)


class Life:
    """Beats for a hand on ``line``, and ends it after ``limit`` seconds without a beat of rank 0.

    ``first``: seconds for the first one, where they are others. ``broken`` is called, from a thread, once rank 0 has
    said that a rank was lost.
    """

    def __init__(
        self, line: Line, limit: float, *, first: float | None = None, broken: Callable[[], object] | None = None
    ) -> None:
        self._line, self._limit = line, limit
        self._broken = broken
        self._first = limit if first is None else first
        self._load: Callable[[], Load] | None = None
        self._seen_at = time.monotonic()
        self._closed = threading.Event()

    def begin(self) -> None:
        """Begin to beat."""
        for work in (self._beat, self._look):
            threading.Thread(target=work, name="beats", daemon=True).start()

    def tell_load(self, load: Callable[[], Load]) -> None:
        """Tell with every beat from now on what ``load`` returns, the load of this rank's GPUs."""
        self._load = load

    def hurry(self) -> None:
        """Wait for rank 0 only a moment longer than it is seen: this process was asked to end."""
        self._limit = min(self._limit, _HURRIED_SECONDS)

    def close(self) -> None:
        """Stop looking for rank 0."""
        self._closed.set()

    def _beat(self) -> None:
        count, seen = 0, ""
        while not self._closed.wait(BEAT_SECONDS if count else 0.0):
            count += 1
            try:
                self._line.beat(count)
                beat = self._line.beat_of(0)
                self._look_for_loss()
            except RuntimeError:
                leave()  # the store has gone, and rank 0 with it
            if beat != seen:
                seen, self._seen_at = beat, time.monotonic()
                self._first = self._limit
            self._tell_load()

    def _look_for_loss(self) -> None:
        if self._broken is not None and self._line.posted("broken"):
            broken, self._broken = self._broken, None
            broken()

    def _tell_load(self) -> None:
        load = self._load() if self._load is not None else None
        if load is not None and load.gpus:
            with contextlib.suppress(RuntimeError):
                self._line.tell_load(load)

    def _look(self) -> None:
        # a thread of its own: the other one hangs in the store where a cable is cut
        while not self._closed.wait(1.0):
            if time.monotonic() - self._seen_at > min(self._limit, self._first):
                leave()
