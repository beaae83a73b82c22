# ruff: noqa: E402, E501 - the environment comes before what reads it; tables of events read better in one line
"""The app as ``ui.py`` measures it: ``probe.py training|late|memory WORKSPACE OUT``.

"late" puts a probe into the event loop; "memory" lets a script tell the events; "training" is the app as it is.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from opeddev_tui.cli import ENVIRONMENT

# as the command line does it, before the libraries look
for name, value in ENVIRONMENT.items():
    os.environ.setdefault(name, value)

from opeddev_tui import config
from opeddev_tui import events as ev
from opeddev_tui.control import Control, StepRequest
from opeddev_tui.ui import run
from opeddev_tui.ui.live import engine_runner

STEP = 0.01
figures: dict[str, Any] = {"importing": [], "training": []}


class ProbedApp(run.LastingApp):
    """The real app; notes how late its event loop is."""

    def on_mount(self) -> None:
        """Begin to measure."""
        self._probe = asyncio.create_task(self._measure())

    async def _measure(self) -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(STEP)
            late = time.perf_counter() - before - STEP
            state = self.session.current
            if state.started is not None and state.model is not None and not state.over:
                figures["training"].append(late)
            elif self.session.starting:
                figures["importing"].append(late)


def scripted(
    _root: Path, _loaded: config.LoadedSettings, _start: StepRequest, sink: ev.Sink, _control: Control
) -> object:
    """Tell 11,000 events, with memory taken after 1,000 and at the end."""
    import psutil

    process = psutil.Process()
    sink.emit(ev.RunStarted(at=time.time(), run="r", step=0, batch="base", rows=100, holdout_rows=50,
                            holdout_fingerprint="a", planned_epochs=10, max_epochs=10, seed=1, model="m", pid=1))  # fmt: skip
    sink.emit(ev.DataPrepared(at=time.time(), rows=100, tokens=1, loss_tokens=1, steps_per_epoch=1100,
                              total_steps=11_000, batch_size=2, accumulation=1, learning_rate=1e-5))  # fmt: skip
    for number in range(1, 11_001):
        sink.emit(ev.Progress(at=time.time(), global_step=number, epoch=number / 1100, loss=3.0 / number**0.2,
                              grad_norm=1.1, learning_rate=1e-5, samples_per_second=9.0, tokens_per_second=999.0))  # fmt: skip
        time.sleep(0.001)
        if number == 1000:
            time.sleep(1.5)
            figures["before"] = process.memory_info().rss
    time.sleep(1.5)
    figures["after"] = process.memory_info().rss
    return []


def main() -> None:
    """Run the app to the end of the training."""
    what, root, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if what == "late":
        run.LastingApp = ProbedApp  # type: ignore[misc]  # the house makes its app by this name
    runner = scripted if what == "memory" else engine_runner
    if what == "memory":
        (root / "config.toml").touch()
    loaded = config.load(root)

    def watched(*arguments: Any) -> object:
        try:
            return runner(*arguments)
        finally:
            out.write_text(json.dumps(figures))
            control_end.set()

    control_end = threading.Event()

    def leave() -> None:
        control_end.wait()
        time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=leave, daemon=True).start()
    run.run_app(root, loaded, start=True, runner=watched)


if __name__ == "__main__":
    main()
