"""Worker thread that trains in this process, with its event queue and its control. Knows no widget.

The training stack is imported on that thread, so the first picture does not wait for it.
"""

from __future__ import annotations

import traceback
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from opeddev_tui import launch
from opeddev_tui.config.loading import LoadedSettings
from opeddev_tui.errors import Problem
from opeddev_tui.launch import Runner
from opeddev_tui.runs.control import AnyCommand, Control, StepRequest, Stop
from opeddev_tui.runs.state import RunState
from opeddev_tui.ui.state.queue import EventQueue

# where a start finds another process at work in the workspace
RUNS_ALREADY = "A training runs here already: it is shown."


class TrainingThread:
    """At most one training at a time in this process."""

    def __init__(self, runner: Runner = launch.train) -> None:
        self._runner = runner
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="training")
        self._future: Future[object] | None = None
        self.queue = EventQueue()
        self.control = Control()
        self._all_steps = False

    def start(self, root: Path, loaded: LoadedSettings, start: StepRequest) -> None:
        """Begin to train; does nothing while a training runs."""
        if self.running:
            return
        self.queue, self.control = EventQueue(), Control()
        self._all_steps = start.which == "all"
        self._future = self._executor.submit(self._runner, root, loaded, start, self.queue, self.control)

    @property
    def running(self) -> bool:
        """True while the thread is busy."""
        return self._future is not None and not self._future.done()

    @property
    def afterwards(self) -> str:
        """What is still done after the training has released the workspace, as a text; "" where nothing is."""
        return self.queue.afterwards if self.running else ""

    def ends_with(self, state: RunState) -> bool:
        """Return whether nothing is trained after the run of ``state``: at most plots and notices remain."""
        return bool(self.afterwards) or (state.over and state.started is not None and not self._all_steps)

    def request(self, command: AnyCommand) -> None:
        """Hand a command to the training and return at once."""
        self.control.request(command)

    def take_outcome(self) -> BaseException | bool | None:
        """Return once how the training ended: its exception, or True; None where no training has ended."""
        # not before its last events have been drained
        if self._future is None or not self._future.done() or len(self.queue):
            return None
        error, self._future = self._future.exception(), None
        return error or True

    def wait(self) -> None:
        """Wait for the training to end, once the screen is closed."""
        if self._future is not None:
            self._future.exception()

    def stop(self, reason: str) -> None:
        """Ask the training to save and end."""
        if self.running:
            self.request(Stop(reason=reason))


def in_words(error: BaseException) -> str:
    """Return the cause of a failed training as sentences a person can act on."""
    if isinstance(error, Problem):
        return str(error)
    what = f"An unexpected {type(error).__name__} ended the training"
    return f"{what}: {error}. The traceback is in the log ({{everywhere.log}})."


def traceback_text(error: BaseException) -> str:
    """Return the traceback for the log."""
    return "".join(traceback.format_exception(error))
