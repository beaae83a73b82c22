"""A scripted engine: feeds events through the real queue and takes commands through the real control."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from scenes import decided, epoch_events, opening, question

from opeddev_tui.config.loading import LoadedSettings
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.control import (
    Adjust,
    AnyCommand,
    Control,
    Decide,
    Pause,
    Resume,
    SampleNow,
    SaveNow,
    StepRequest,
    Stop,
)
from opeddev_tui.runs.events import Sink
from opeddev_tui.runs.journal import Journal
from opeddev_tui.workspace.paths import Workspace


class ScriptedEngine:
    """Trains two epochs, asks after the first, and obeys; everything it was asked is in ``commands``."""

    def __init__(self, *, error: BaseException | None = None) -> None:
        self.error = error
        self.commands: list[AnyCommand] = []
        self.starts: list[StepRequest] = []
        self.go = threading.Event()

    def __call__(self, root: Path, loaded: LoadedSettings, start: StepRequest, sink: Sink, control: Control) -> object:
        self.starts.append(start)
        self._control = control
        now = time.time()
        sink.emit(ev.PhaseChanged(at=now, phase="loading model", detail="tiny"))
        if self.error is not None:
            raise self.error
        first, *rest = opening(1, now)
        assert isinstance(first, ev.RunStarted)
        folder = Workspace(root, loaded.settings.paths).run_folder(first.run)
        self._journal = Journal(folder)
        control.open_mailbox(folder)
        self._sink = sink
        for event in (first, *rest, *epoch_events(1, now), question(1, now)):
            self._emit(event)
        self._obey(now)
        self._journal.close()
        return []

    def _emit(self, event: ev.AnyEvent) -> None:
        self._journal.emit(event)
        self._sink.emit(event)

    def _obey(self, now: float) -> None:
        """Answer commands until told to stop."""
        answers = {
            Pause: ev.Paused(at=now, global_step=50),
            Resume: ev.Unpaused(at=now, global_step=50),
            SampleNow: ev.SamplesGenerated(
                at=now, epoch=1, global_step=50, fingerprint="f", samples=(), on_demand=True
            ),
            SaveNow: ev.CheckpointSaved(at=now, path="/store/c-50", global_step=50, epoch=1.0, size=1, digest="d"),
        }
        while True:
            for command in self._control.wait(10):
                self.commands.append(command)
                if isinstance(command, Stop):
                    self._emit(ev.Interrupted(at=now, reason=command.reason, checkpoint="c", global_step=50))
                    return
                if isinstance(command, Decide):
                    self._emit(decided(1, now, command.choice))
                    if command.choice == "stop":
                        self._emit(ev.RunFinished(at=now, epochs=1, last_checkpoint="c", best_checkpoint="c",
                                                  best_epoch=1, val_loss=1.0))  # fmt: skip
                        return
                    self._emit(ev.PhaseChanged(at=now, phase="training"))
                elif isinstance(command, Adjust):
                    self._emit(
                        ev.NextStepChosen(at=now, epoch=1, learning_rate=command.learning_rate, batch=command.batch)
                    )
                else:
                    self._emit(answers[type(command)])
