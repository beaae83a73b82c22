"""Owns the training of this process: its thread, its queue, its control. Knows no widget.

The engine is imported on the training thread, so the screen is painted before the training stack loads.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import importlib.util
import os
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from opeddev_tui.config import LoadedSettings
from opeddev_tui.control import AnyCommand, Control, StepRequest, Stop
from opeddev_tui.errors import Problem
from opeddev_tui.events import Sink
from opeddev_tui.lock import reserved
from opeddev_tui.state import RunState
from opeddev_tui.ui.queue import EventQueue
from opeddev_tui.workspace import Workspace

Runner = Callable[[Path, LoadedSettings, StepRequest, Sink, Control], object]


def engine_runner(root: Path, loaded: LoadedSettings, start: StepRequest, sink: Sink, control: Control) -> object:
    """Train with the real engine."""
    # before the training stack is loaded, which takes seconds: a second start learns of it at once
    with reserved(Workspace(root, loaded.settings.paths)):
        _load_training_stack()
        from opeddev_tui.afterwards import attended
        from opeddev_tui.engine import run_steps

        with attended(root, loaded.settings, sink) as told:
            return run_steps(root, loaded, start, sink=told, control=control)


def _load_training_stack() -> None:
    """Import what trains, and hide what that leaves from the garbage collector.

    A full collection looks at every object of the libraries and holds Python's lock for 0.3 s meanwhile: no key is
    answered. There were nine while they are imported, and one now and then during the training.
    """
    gc.disable()
    try:
        _open_torch()
        importlib.import_module("opeddev_tui.engine")
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
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return
    # a foreign call, unlike ``CDLL(path)``, is made without Python's lock
    dlopen = ctypes.CDLL(None).dlopen
    dlopen.restype, dlopen.argtypes = ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_int]
    dlopen(str(Path(found.origin).parent / "lib" / "libtorch_cpu.so").encode(), os.RTLD_LAZY)


class Live:
    """At most one training at a time in this process."""

    def __init__(self, runner: Runner = engine_runner) -> None:
        self._runner = runner
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="training")
        self._future: Future[object] | None = None
        self.queue = EventQueue()
        self.control = Control()
        self._all_steps = False
        # what the last training raised
        self.error: BaseException | None = None

    def start(self, root: Path, loaded: LoadedSettings, start: StepRequest) -> None:
        """Begin to train; does nothing while a training runs."""
        if self.running:
            return
        self.queue, self.control = EventQueue(), Control()
        self._all_steps = start.which == "all"
        self._future = self._executor.submit(self._runner, root, loaded, start, self.queue, self.control)

    @property
    def running(self) -> bool:
        """True while the training thread is busy."""
        return self._future is not None and not self._future.done()

    @property
    def afterwards(self) -> str:
        """What is left to do after the training has let go of the workspace, in words."""
        return self.queue.afterwards if self.running else ""

    def ends_with(self, state: RunState) -> bool:
        """True where nothing is trained any more after the run of ``state``: at most plots and notices are left."""
        return bool(self.afterwards) or (state.over and state.started is not None and not self._all_steps)

    def request(self, command: AnyCommand) -> None:
        """Hand a command to the training and return at once."""
        self.control.request(command)

    def take_outcome(self) -> BaseException | bool | None:
        """Return once how the training ended: its exception, or True; None while there is nothing to tell."""
        # what it told last is taken from the queue first, so nothing of it stays untold
        if self._future is None or not self._future.done() or len(self.queue):
            return None
        self.error = self._future.exception()
        self._future = None
        return self.error or True

    def wait(self) -> None:
        """Wait for the training to end (the screen is gone by then)."""
        if self._future is not None:
            self._future.exception()

    def stop(self, reason: str) -> None:
        """Ask the training to save and end."""
        if self.running:
            self.request(Stop(reason=reason))


def in_words(error: BaseException) -> str:
    """Return a failed training's cause as sentences a person can act on."""
    if isinstance(error, Problem):
        return str(error)
    return f"An unexpected {type(error).__name__} ended the training: {error}. The traceback is in the log (4)."


def traceback_text(error: BaseException) -> str:
    """Return the traceback for the log."""
    return "".join(traceback.format_exception(error))
