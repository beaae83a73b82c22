"""Owns the way out of a training: journal first, then the run's own state, then whoever listens."""

import threading
from collections.abc import Sequence

from opeddev_tui.events import AnyEvent, Sink
from opeddev_tui.journal import Journal
from opeddev_tui.state import RunState


class Bus:
    """Takes events from the training; safe to use from any thread."""

    def __init__(self, journal: Journal, sinks: Sequence[Sink], past: Sequence[AnyEvent] = ()) -> None:
        self._journal = journal
        self._sinks = tuple(sinks)
        self._lock = threading.RLock()
        self.state = RunState()
        for event in past:
            self.state.apply(event)

    def emit(self, event: AnyEvent) -> None:
        """Record ``event``, then show it; raises ``StorageProblem`` if it cannot be recorded."""
        with self._lock:
            self._journal.emit(event)
            self.state.apply(event)
            for sink in self._sinks:
                sink.emit(event)

    def show_only(self, event: AnyEvent) -> None:
        """Show ``event`` without recording it: for a failure that is itself a full disk."""
        with self._lock:
            self.state.apply(event)
            for sink in self._sinks:
                sink.emit(event)
