"""Keep in a run's journal what is warned of beside its training: by trackers, notices and plots.

The training alone writes the journal while it lives. It is handed such a warning as it is handed a note, and shows it
with its own events. What it did not take is shown and recorded once it is over.
"""

import contextlib
import threading

from opeddev_tui.errors import Problem
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.bus import Guarded
from opeddev_tui.runs.control import Control, Record
from opeddev_tui.runs.events import Sink
from opeddev_tui.runs.notes import record
from opeddev_tui.workspace.paths import Workspace


class Asides:
    """A sink for warnings; ``control`` leads to the training of this process, None where children train."""

    def __init__(self, sink: Sink, workspace: Workspace, control: Control | None) -> None:
        self._sink, self._workspace, self._control = Guarded(sink), workspace, control
        self._lock = threading.RLock()
        self._run = ""
        # in no journal yet
        self._left: list[ev.Warned] = []

    def emit(self, event: ev.AnyEvent) -> None:
        """Take a warning and return at once; safe to use from any thread."""
        assert isinstance(event, ev.Warned)
        with self._lock:
            self._left.append(event)
            self._hand_over([event])

    def _hand_over(self, warnings: list[ev.Warned]) -> None:
        if self._control is not None and self._run:
            for warning in warnings:
                self._control.request(Record(warning, run=self._run))

    @property
    def heard(self) -> Sink:
        """A sink for the training's own events: it tells which run there is, and which warnings it has recorded."""
        return _Heard(self)

    def hear(self, event: ev.AnyEvent) -> None:
        """Take an event of the training into account."""
        with self._lock:
            if isinstance(event, ev.RunStarted) and event.run != self._run:
                self._run = event.run
                self._hand_over(self._left)
            elif isinstance(event, ev.Warned) and event in self._left:
                self._left.remove(event)

    def close(self) -> None:
        """Show and record what the training did not take; call it when that has let go of its lock."""
        with self._lock:
            left, self._left = self._left, []
        for warning in left:
            self._sink.emit(warning)
        if left and self._run:
            # a disk that is full, or another training by now: the log has it
            with contextlib.suppress(Problem):
                record(self._workspace, self._run, left)


class _Heard:
    """Passes events on to ``Asides.hear``."""

    def __init__(self, asides: Asides) -> None:
        self._asides = asides

    def emit(self, event: ev.AnyEvent) -> None:
        """Pass ``event`` on."""
        self._asides.hear(event)
