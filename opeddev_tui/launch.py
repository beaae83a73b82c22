"""Start a training: the lock first, then the heavy imports, with everything that listens; or a process that does so.

The only way from the app, from ``train`` and from ``train --detach`` into the engine. Knows no screen.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from opeddev_tui.config.loading import LoadedSettings
from opeddev_tui.config.settings import Settings
from opeddev_tui.errors import BusyProblem, TrainingProblem
from opeddev_tui.files import open_file, storage_errors
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.bus import FanOut
from opeddev_tui.runs.control import Control, StepRequest
from opeddev_tui.runs.events import AFTERWARDS, Sink
from opeddev_tui.runs.live_file import LiveFile
from opeddev_tui.workspace.lock import RunLock, busy, lock_holder
from opeddev_tui.workspace.paths import Workspace

if TYPE_CHECKING:
    import subprocess

    from opeddev_tui.notices.delivery import Deliver
    from opeddev_tui.ranks.crew import Crew
    from opeddev_tui.training.deciders import Decider

_LOG = logging.getLogger(__name__)
_START_SECONDS = 30.0


# trains in the calling thread; tests put a script in its place
Runner = Callable[[Path, LoadedSettings, StepRequest, Sink, Control], object]


def train(
    root: Path,
    loaded: LoadedSettings,
    start: StepRequest,
    sink: Sink,
    control: Control,
    *,
    decider: Decider | None = None,
    terminal: Deliver | None = None,
    crew: Crew | None = None,
) -> list[str]:
    """Train in this thread and return the ids of the runs; raises ``Problem`` for what a person can mend.

    Args:
        root: the workspace.
        loaded: its settings.
        start: what is trained.
        sink: is shown every event, also those before and after the run.
        control: takes commands, from here and from the run's mailbox.
        decider: answers after an epoch; None: the rule, or a person through ``control``, as the settings say.
        terminal: delivers notices to the terminal of this process; None without one.
        crew: the other ranks where a launcher has started them.
    """
    workspace = Workspace(root, loaded.settings.paths)
    # before the training stack is loaded, which takes seconds: a second start learns of it at once
    lock = RunLock(workspace)
    listening = attended(root, loaded.settings, sink, terminal=terminal, control=control)
    with listening as told, lock, LiveFile(workspace, told) as shown:
        lock.tell = lambda words: shown.emit(ev.Warned(message=words))
        shown.emit(
            ev.PhaseChanged(phase="loading", detail="the training libraries; this takes some seconds the first time")
        )
        load_training_stack()
        from opeddev_tui.training.steps import train_steps

        return train_steps(root, loaded, start, sink=shown, control=control, decider=decider, lock=lock, crew=crew)


def train_under(
    root: Path,
    loaded: LoadedSettings,
    start: StepRequest,
    sink: Sink,
    control: Control,
    lock: AbstractContextManager[object],
) -> list[str]:
    """Train in this thread under ``lock``, with nothing else that listens; return the ids of the runs."""
    load_training_stack()
    from opeddev_tui.training.steps import train_steps

    return train_steps(root, loaded, start, sink=sink, control=control, lock=lock)


def load_training_stack() -> None:
    """Import what trains, and hide what that leaves from the garbage collector.

    A full collection looks at every object of the libraries and holds Python's lock for 0.3 s meanwhile: no key is
    answered. There were nine while they are imported, and one now and then during the training.
    """
    gc.disable()
    try:
        _open_torch()
        importlib.import_module("opeddev_tui.training.steps")
    finally:
        collect_again()


def collect_again() -> None:
    """Let a garbage collector that was switched off work again, on what comes from now on."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def _open_torch() -> None:
    """Let the linker open torch's largest library; Python would hold its lock for the 0.3 s that takes.

    Where it cannot be opened so, importing torch does it, as always.
    """
    # both are for this alone: the app opens without them
    import ctypes
    import importlib.util

    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return
    # a foreign call, unlike ``CDLL(path)``, is made without Python's lock
    dlopen = ctypes.CDLL(None).dlopen
    dlopen.restype, dlopen.argtypes = ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_int]
    dlopen(str(Path(found.origin).parent / "lib" / "libtorch_cpu.so").encode(), os.RTLD_LAZY)


# --- what listens besides the screen


class StepPlots:
    """A sink that draws the plots of every trained step, on a thread of its own: no training waits for a picture.

    A failed drawing is a warning to ``warned``, never a failure.
    """

    def __init__(self, sink: Sink, workspace: Workspace, warned: Sink) -> None:
        self._sink, self._warned = sink, warned
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
        from opeddev_tui.reports.plots import plots_after_step

        while (step := self._steps.get()) is not None:
            warning = plots_after_step(self._workspace, step)
            if warning is not None:
                _LOG.warning("%s", warning)
                self._warned.emit(ev.Warned(message=warning))


@contextmanager
def attended(
    root: Path, settings: Settings, sink: Sink, *, terminal: Deliver | None = None, control: Control | None = None
) -> Iterator[Sink]:
    """Give a sink that passes events to ``sink``, draws after each step, sends the notices and feeds the trackers.

    What goes wrong with that is recorded in the run's journal, by the training behind ``control`` where there is one.
    Leave the block when the training has let go of its lock: what is left to be drawn and sent is waited for here.
    """
    from opeddev_tui.notices.delivery import with_notices
    from opeddev_tui.runs.asides import Asides
    from opeddev_tui.trackers.sink import with_trackers

    workspace = Workspace(root, settings.paths)
    with (
        contextlib.closing(Asides(sink, workspace, control)) as asides,
        with_notices(sink, settings, terminal=terminal, warned=asides) as told,
        with_trackers(asides, workspace, settings) as trackers,
    ):
        plots = StepPlots(told, workspace, asides)
        try:
            yield FanOut([asides.heard, told, plots, *([trackers] if trackers is not None else [])])
        finally:
            plots.close()
            if trackers is not None:
                told.emit(ev.PhaseChanged(phase=AFTERWARDS, detail="the trackers take the rest"))
            told.emit(ev.PhaseChanged(phase=AFTERWARDS, detail="sending the last notices"))


# --- a process of its own


def start_detached(workspace: Workspace, words: Sequence[str]) -> int:
    """Start ``opeddev-tui`` with ``words`` in a session that outlives the login, its output in the log.

    Returns its process id once it holds the workspace's lock, so that of two starts at once one is told. Raises
    ``BusyProblem`` where another process trains, ``TrainingProblem`` if it ended at once.
    """
    import subprocess

    _refuse_second(workspace)
    with storage_errors(workspace.log):
        workspace.log.parent.mkdir(parents=True, exist_ok=True)
        log = open_file(workspace.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "opeddev_tui", *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=workspace.root,
        )
    finally:
        os.close(log)
    _wait_for_lock(workspace, process)
    # it goes on without this process: nothing to wait for
    process.returncode = 0
    return process.pid


def _refuse_second(workspace: Workspace) -> None:
    holder = lock_holder(workspace)
    if holder is not None:
        raise busy(holder, workspace.root)


def _wait_for_lock(workspace: Workspace, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _START_SECONDS
    while lock_holder(workspace) != process.pid:
        code = process.poll()
        if code == BusyProblem.exit_code:
            _refuse_second(workspace)
        if code is not None:
            raise TrainingProblem(
                f"the training ended at once (exit code {code}).", cure=f"The reason is in {workspace.log}."
            )
        if time.monotonic() > end:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            raise TrainingProblem("the training did not start in time.", cure=f"See {workspace.log}.")
        time.sleep(0.02)
