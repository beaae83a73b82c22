"""The Trainer of a hand: the same steps as rank 0's, whose answers it waits for on the line, outside any exchange.

Scores and saves nothing of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from opeddev_tui.errors import StorageProblem
from opeddev_tui.files import storage_errors
from opeddev_tui.ranks.words import Closed, Saved, Stepped
from opeddev_tui.training.trainer import StepTrainer

# returns the next word of a kind, and does meanwhile what else is said
Until = Callable[[type[Any]], Any]


class NoHooks:
    """Stands where rank 0 has its hooks."""

    def evaluate(self, epoch: int, global_step: int) -> float:  # noqa: ARG002 - as rank 0's
        """Return no loss: rank 0 scores, and has this rank read its share."""
        return 0.0


class HandTrainer(StepTrainer):
    """Trains as rank 0 does; whatever is written, rank 0 writes."""

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write nothing: rank 0 does, and asks for this rank's random state."""

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Return no loss."""
        return {"eval_loss": 0.0}

    def log(self, logs: Mapping[str, float], start_time: float | None = None) -> None:
        """Tell nobody."""

    def save_random_state(self, folder: Path) -> None:
        """Write this rank's random state into the checkpoint ``folder``; raises ``StorageProblem``."""
        if not folder.is_dir():
            raise StorageProblem(
                "is not there, though rank 0 has just written it.",
                where=str(folder),
                cure="The model store must be on a disk that all machines share.",
            )
        with storage_errors(folder):
            self._save_rng_state(str(folder))


class HandCallback(TrainerCallback):
    """Waits where rank 0 answers people, and takes its answers into the Trainer's control flags."""

    def __init__(self, until: Until, steps_per_epoch: int) -> None:
        self.steps_per_epoch = steps_per_epoch
        self.save_here: Callable[[], Path] | None = None
        self._until = until
        self._cut_short = False

    def batch(self, rows: Sequence[int], tokens: float) -> None:
        """Count nothing: rank 0 does."""

    def grade_loss(self, step: int, loss: torch.Tensor) -> None:
        """Keep nothing: rank 0 does."""

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        word = self._until(Stepped)
        control.should_save = control.should_save or word.save or word.stop
        if word.stop:
            self._cut_short = True
            control.should_training_stop = True

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        if self._cut_short:
            control.should_evaluate = control.should_save = control.should_log = False
        else:
            # the loss of the last steps is gathered with rank 0
            control.should_log = True

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        if state.global_step % self.steps_per_epoch:
            self._until(Saved)
        elif not self._until(Closed).more:
            control.should_training_stop = True
