"""Owns training without a model: the engine plans, refuses, records and resumes; only the learning is made up.

Everything but the loading of models, the tokens and the Trainer is the project's own code, so a step takes a few
hundredths of a second.
"""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from opeddev_tui.checkpoints import folders
from opeddev_tui.config import settings as st
from opeddev_tui.data.batches import StepData
from opeddev_tui.runs import events as ev
from opeddev_tui.runs import metrics_csv
from opeddev_tui.runs.bus import Bus
from opeddev_tui.runs.journal import JOURNAL_NAME
from opeddev_tui.training.run import RunParts
from opeddev_tui.training.run_files import RunFiles
from opeddev_tui.workspace.paths import Workspace

EPOCHS = 2


class Killed(BaseException):
    """The process is gone: nothing more is written."""


class MadeUpTokens:
    """What the engine asks of a step's tokens."""

    notes: tuple[str, ...] = ()

    def __init__(self, data: StepData) -> None:
        texts = [example.completion for example in data.examples]
        self._digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()
        self.train = SimpleNamespace(rows=texts)
        self.holdout = SimpleNamespace(rows=data.holdout.examples)
        self.stats = tuple(ev.TokenStats(item.batch.name, len(item.examples), 1, 1, 1, 1, 1) for item in data.batches)

    def describe(self) -> dict[str, Any]:
        """Return the part of the manifest."""
        return {"digest": self._digest, "rows": len(self.train.rows)}


class MadeUpLearning:
    """Stands in for the engine's run; ``die_after`` is the epoch after which the process is killed, None: never."""

    die_after: int | None = None
    # the journal as it was when the process was killed
    left: tuple[Path, bytes] | None = None
    # made-up losses, each of its own, so that a table tells which run wrote it
    loss = 100.0

    def __init__(self, workspace: Workspace, settings: st.Settings, bus: Bus, *rest: object) -> None:  # noqa: ARG002
        (parts,) = [item for item in rest if isinstance(item, RunParts)]
        self._workspace, self._bus, self._parts = workspace, bus, parts
        self._folder = workspace.checkpoints(parts.id)
        self._csv = RunFiles.of(workspace, bus.state.begun).metrics_csv

    def execute(self) -> bool:
        """Train the epochs that the journal does not have."""
        self._bus.emit(ev.TokensCounted(batches=self._parts.tokens.stats))
        if self._bus.state.epochs:
            done = max(self._bus.state.epochs)
            self._bus.emit(ev.Resumed(checkpoint=f"{self._parts.id}/checkpoint-{done}", global_step=done, epoch=done))
        for epoch in range(max(self._bus.state.epochs, default=-1) + 1, EPOCHS + 1):
            self._epoch(epoch)
            if MadeUpLearning.die_after == epoch:
                journal = self._workspace.run_folder(self._parts.id) / JOURNAL_NAME
                MadeUpLearning.left = journal, journal.read_bytes()
                raise Killed
        state = self._bus.state
        last, best = max(state.epochs), state.best_epoch()
        assert best is not None
        self._bus.emit(
            ev.RunFinished(
                epochs=last,
                last_checkpoint=state.epochs[last].checkpoint,
                best_checkpoint=state.epochs[best].checkpoint,
                best_epoch=best,
                val_loss=state.epochs[last].val_loss,
            )
        )
        return True

    def _epoch(self, epoch: int) -> None:
        MadeUpLearning.loss -= 0.001
        loss, rows = MadeUpLearning.loss, len(self._parts.data.holdout.examples)
        checkpoint = ""
        if epoch:
            self._bus.emit(ev.Progress(global_step=epoch, epoch=float(epoch), loss=loss))
            self._bus.emit(ev.RowsTrained(epoch=epoch, rows=tuple(range(len(self._parts.tokens.train.rows)))))
            checkpoint = self._save(epoch)
        self._bus.emit(ev.HoldoutEvaluated(epoch=epoch, loss=loss, sums=(loss,) * rows, tokens=(1,) * rows))
        self._bus.emit(
            ev.EpochFinished(
                epoch=epoch, train_loss=loss if epoch else None, val_loss=loss, samples_per_second=1.0,
                global_step=epoch, checkpoint=checkpoint,
            )
        )  # fmt: skip
        metrics_csv.write_metrics(self._csv, self._bus.state)

    def _save(self, epoch: int) -> str:
        started = self._bus.state.begun
        folder = folders.folder_for(self._folder, epoch)
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("model.safetensors", *folders.RESUME_FILES):
            (folder / name).write_text(f"{started.run} {epoch} {name}")
        manifest = folders.Manifest(
            started.run, started.step, epoch, float(epoch), started.parent, {}, rows=started.rows
        )
        self._bus.emit(folders.saved_event(folder, folders.publish(folder, manifest)))
        return ev.checkpoint_name(folder)


@contextmanager
def without_learning() -> Iterator[None]:
    """Let the engine train without a model inside the block."""
    memory = ev.MemoryEstimated(
        total=1, free=2, weights=1, gradients=0, optimizer=0, activations=0, trainable=1, checkpoint=1, verdict="fits"
    )
    engine = "opeddev_tui.training.steps"
    with ExitStack() as stack:
        for name, made_up in (
            ("inputs.tokenize", lambda _source, _settings, data: MadeUpTokens(data)),
            ("inputs.check_room", lambda *_: memory),
            ("check_arguments", lambda *_: None),
            ("loading.load_model", lambda *_: None),
            ("loading.quiet_libraries", lambda: None),
            ("torch.set_num_threads", lambda *_: None),
            ("Run", MadeUpLearning),
        ):
            stack.enter_context(patch(f"{engine}.{name}", made_up))
        # asks git three times
        stack.enter_context(patch("opeddev_tui.runs.manifest.git_state", dict))
        MadeUpLearning.die_after, MadeUpLearning.left = None, None
        yield
