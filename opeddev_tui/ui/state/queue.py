"""Owns the bounded queue between the training thread and the screen.

``emit`` never waits for the screen: measurements replace each other, and where the screen does not keep up the
queue empties itself and says so; the journal has everything, and the screen reads on from there.
"""

import threading
from collections import deque

from opeddev_tui.runs.events import AFTERWARDS, AnyEvent, HardwareSampled, PhaseChanged

# about a minute of a fast training that the screen did not look at
LIMIT = 4096


class EventQueue:
    """A ``Sink`` with a bound. Written by the training thread, drained by a timer of the screen."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._events: deque[AnyEvent] = deque()
        self._limit = limit
        self._lock = threading.Lock()
        self._overflowed = False
        # what is left after the training has let go of the workspace; not in the journal, so kept beside the events
        self.afterwards = ""

    def emit(self, event: AnyEvent) -> None:
        """Take one event and return at once."""
        if isinstance(event, PhaseChanged) and event.phase == AFTERWARDS:
            self.afterwards = event.detail
            return
        with self._lock:
            if self._overflowed:
                return
            if len(self._events) >= self._limit:
                self._events.clear()
                self._overflowed = True
                return
            if isinstance(event, HardwareSampled) and self._events and isinstance(self._events[-1], HardwareSampled):
                self._events.pop()
            self._events.append(event)

    def drain(self, most: int = LIMIT) -> list[AnyEvent]:
        """Return up to ``most`` events, oldest first."""
        with self._lock:
            count = min(most, len(self._events))
            return [self._events.popleft() for _ in range(count)]

    def abandon(self) -> None:
        """Take nothing more: a fresh screen reads the journal, where everything is."""
        with self._lock:
            self._events.clear()
            self._overflowed = True

    @property
    def overflowed(self) -> bool:
        """True once events were dropped; from then on only the journal is complete."""
        return self._overflowed

    def __len__(self) -> int:
        return len(self._events)
