"""Publish the events of a training: first to the journal, then to the run's state, then to every sink."""

import logging
import threading
from collections.abc import Sequence

from opeddev_tui.runs.events import AnyEvent, Sink
from opeddev_tui.runs.journal import Journal
from opeddev_tui.runs.state import RunState

_LOG = logging.getLogger(__name__)


class Guarded:
    """A sink that never raises: when the sink behind it fails, the failure is logged and it gets no more events."""

    def __init__(self, sink: Sink) -> None:
        self._sink: Sink | None = sink

    def emit(self, event: AnyEvent) -> None:
        """Pass ``event`` on, unless the sink behind failed before."""
        if self._sink is None:
            return
        try:
            self._sink.emit(event)
        except Exception:  # noqa: BLE001 - whatever a screen does, the training goes on
            self._sink = None
            _LOG.exception("a view of the training failed; the training goes on without it")


class FanOut:
    """Several sinks as one: all get the same events in the same order, even if several threads emit."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = tuple(sinks)
        self._turn = threading.RLock()

    def emit(self, event: AnyEvent) -> None:
        """Pass ``event`` to every sink, in their order."""
        with self._turn:
            for sink in self._sinks:
                sink.emit(event)


class Bus:
    """Records and publishes events; safe to use from any thread. ``past`` are the events recorded so far."""

    def __init__(self, journal: Journal, sinks: Sequence[Sink], past: Sequence[AnyEvent] = ()) -> None:
        self._journal = journal
        self._listeners = FanOut(sinks)
        self._lock = threading.RLock()
        self.state = RunState()
        for event in past:
            self.state.apply(event)

    def emit(self, event: AnyEvent) -> None:
        """Record ``event``, then show it; raises ``StorageProblem`` if it cannot be recorded."""
        with self._lock:
            self._journal.emit(event)
            self.state.apply(event)
            self._listeners.emit(event)

    def show_only(self, event: AnyEvent) -> None:
        """Show ``event`` without recording it: a transient one, or a failure that is itself a full disk."""
        with self._lock:
            self.state.apply(event)
            self._listeners.emit(event)
