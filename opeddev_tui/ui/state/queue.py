"""Bounded queue of events from the training thread to the screen.

``emit`` never waits for the screen. Where the screen does not keep up, the queue drops its events and says so; the
journal has all of them, and the screen goes on reading there.
"""

import threading
from collections import deque

from opeddev_tui.runs.events import AFTERWARDS, AnyEvent, HardwareSampled, PhaseChanged

# the events of about a minute of a fast training
LIMIT = 4096


class EventQueue:
    """A ``Sink`` of at most ``limit`` events. Written by the training thread, drained by a timer of the screen."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._events: deque[AnyEvent] = deque()
        self._limit = limit
        self._lock = threading.Lock()
        self._overflowed = False
        # what is done after the training has released the workspace; not an event of the journal
        self.afterwards = ""

    def emit(self, event: AnyEvent) -> None:
        """Add one event and return at once; a newer hardware sample replaces the one before it."""
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

    def drain(self) -> list[AnyEvent]:
        """Take and return all events, oldest first."""
        with self._lock:
            events = list(self._events)
            self._events.clear()
            return events

    def abandon(self) -> None:
        """Take nothing more: nobody drains the queue again."""
        with self._lock:
            self._events.clear()
            self._overflowed = True

    @property
    def overflowed(self) -> bool:
        """True once events were dropped; from then on only the journal is complete."""
        return self._overflowed

    def __len__(self) -> int:
        return len(self._events)
