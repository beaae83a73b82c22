"""Owns what follows a training's events besides the screen: plots after each step, notices to people."""

import logging
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opeddev_tui import events as ev
from opeddev_tui.bus import FanOut
from opeddev_tui.events import AFTERWARDS, Sink
from opeddev_tui.notify import Deliver, with_notices
from opeddev_tui.settings import Settings
from opeddev_tui.workspace import Workspace

_LOG = logging.getLogger(__name__)


class StepPlots:
    """A sink that draws the plots of every trained step, on a thread of its own: no training waits for a picture.

    A failed drawing is a warning to ``sink``, never a failure.
    """

    def __init__(self, sink: Sink, workspace: Workspace) -> None:
        self._sink = sink
        self._workspace = workspace
        self._steps: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._step = 0

    def emit(self, event: ev.AnyEvent) -> None:
        """Have the plots drawn after the end of a step."""
        if isinstance(event, ev.RunStarted):
            self._step = event.step
        elif isinstance(event, ev.RunFinished):
            self._steps.put(self._step)
            if self._thread is None:
                # not a daemon: a process that ends leaves no step without its plots
                self._thread = threading.Thread(target=self._draw, name="plots")
                self._thread.start()

    def close(self) -> None:
        """Wait until everything is drawn."""
        if self._thread is not None:
            self._sink.emit(ev.PhaseChanged(phase=AFTERWARDS, detail="drawing the plots"))
            self._steps.put(None)
            self._thread.join()

    def _draw(self) -> None:
        from opeddev_tui.plots import plots_after_step

        while (step := self._steps.get()) is not None:
            warning = plots_after_step(self._workspace, step)
            if warning is not None:
                _LOG.warning("%s", warning)
                self._sink.emit(ev.Warned(message=warning))


@contextmanager
def attended(root: Path, settings: Settings, sink: Sink, *, terminal: Deliver | None = None) -> Iterator[Sink]:
    """Give a sink that tells ``sink``, draws after each step and sends the notices that the settings ask for.

    Leave the block when the training has let go of its lock: what is left to be drawn and sent is waited for here.
    """
    with with_notices(sink, settings, terminal=terminal) as told:
        plots = StepPlots(told, Workspace(root, settings.paths))
        try:
            yield FanOut([told, plots])
        finally:
            plots.close()
            told.emit(ev.PhaseChanged(phase=AFTERWARDS, detail="sending the last notices"))
