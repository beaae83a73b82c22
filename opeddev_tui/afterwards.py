"""Owns what follows a training's events besides the screen: plots after each step, notices to people."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opeddev_tui import events as ev
from opeddev_tui.events import Sink
from opeddev_tui.history import list_runs
from opeddev_tui.notify import Deliver, with_notices
from opeddev_tui.settings import Settings
from opeddev_tui.workspace import Workspace


class StepPlots:
    """A sink that draws the plots of a step when it is trained. A failed drawing is a note, never a failure."""

    def __init__(self, sink: Sink, workspace: Workspace) -> None:
        self._sink = sink
        self._workspace = workspace

    def emit(self, event: ev.AnyEvent) -> None:
        """Show ``event``; after the end of a step, draw."""
        self._sink.emit(event)
        if isinstance(event, ev.RunFinished):
            from opeddev_tui.plots import plots_after_step

            warning = plots_after_step(self._workspace, list_runs(self._workspace))
            if warning is not None:
                self._sink.emit(ev.Warned(message=warning))


@contextmanager
def attended(root: Path, settings: Settings, sink: Sink, *, terminal: Deliver | None = None) -> Iterator[Sink]:
    """Give a sink that tells ``sink``, draws after each step and sends the notices that the settings ask for."""
    with with_notices(sink, settings, terminal=terminal) as told:
        yield StepPlots(told, Workspace(root, settings.paths))
