"""Turn the Trainer's callbacks into calls of the hooks: points, rows and checkpoints, stops at their places.

Must not decide anything itself, nor compute a loss.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from opeddev_tui.ranks.team import Team
from opeddev_tui.ranks.words import AnyWord, Closed, Saved, Stepped
from opeddev_tui.runs.events import Progress, finite
from opeddev_tui.training.hooks import RunHooks


class HooksCallback(TrainerCallback):
    """Turns the Trainer's callbacks into calls of ``hooks``, and their answers into the Trainer's control flags.

    The other ranks of ``team`` are told of each answer, and wait for it.
    """

    def __init__(self, hooks: RunHooks, steps_per_epoch: int, team: Team | None = None) -> None:
        self.steps_per_epoch = steps_per_epoch
        self._hooks = hooks
        self._team = team
        # saves a checkpoint between two optimizer steps; set by the Trainer
        self.save_here: Callable[[], Path] | None = None
        self._cut_short = False
        self._began = self._epoch_seconds = 0.0
        self._epoch_rows: list[int] = []
        self._recorded = 0  # how many of the epoch's rows the hooks have recorded
        self._recorded_step = 0
        self._window = [0.0, 0.0, 0.0]  # rows, tokens, seconds since the last logged point
        self._grade_losses: dict[int, torch.Tensor] = {}  # by optimizer step, since the last logged point

    def _tell(self, word: AnyWord) -> None:
        if self._team is not None:
            self._team.say(word)

    def batch(self, rows: Sequence[int], tokens: float) -> None:
        """Count a batch that is about to be trained, of all ranks together."""
        self._epoch_rows += rows
        self._window[0] += len(rows)
        self._window[1] += tokens

    def grade_loss(self, step: int, loss: torch.Tensor) -> None:
        """Add a batch's share of the loss that optimizer step ``step`` trains for the grade."""
        self._grade_losses[step] = self._grade_losses[step] + loss if step in self._grade_losses else loss

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self._recorded_step = state.global_step

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self._began = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        seconds = time.perf_counter() - self._began
        self._epoch_seconds += seconds
        self._window[2] += seconds
        boundary = state.global_step % self.steps_per_epoch == 0
        after = self._hooks.stepped(
            state.global_step, state.epoch, boundary=boundary, save=lambda: self._save_now(state)
        )
        if boundary:
            self._tell(Stepped())
            return  # the end of the epoch saves anyway and asks for a decision
        self._tell(Stepped(save=after.save, stop=after.stop))
        control.should_save = control.should_save or after.save or after.stop
        if after.stop:
            self._cut_short = True
            control.should_training_stop = True

    def _save_now(self, state: Any) -> None:
        """Save between two optimizer steps, while the training is paused; the epoch's end is not touched."""
        assert self.save_here is not None
        self._record_rows(state)
        self._hooks.saved(self.save_here(), state.global_step, state.epoch)

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, float] | None = None, **_: Any) -> None:  # noqa: ARG002
        if not logs or "loss" not in logs:
            return
        rows, tokens, seconds = self._window
        self._window = [0.0, 0.0, 0.0]
        # steps without a graded row have no such loss; they are not steps of loss 0
        grade_losses, self._grade_losses = list(self._grade_losses.values()), {}
        self._hooks.logged(
            Progress(
                global_step=state.global_step,
                epoch=state.epoch,
                loss=finite(logs["loss"]),
                grad_norm=finite(logs.get("grad_norm")),
                learning_rate=finite(logs.get("learning_rate")),
                samples_per_second=rows / seconds if seconds else None,
                tokens_per_second=tokens / seconds if seconds else None,
                grade_loss=finite(float(torch.stack(grade_losses).mean())) if grade_losses else None,
            )
        )

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        if self._cut_short:
            # the epoch is not complete: it is neither scored nor saved a second time
            control.should_evaluate = control.should_save = control.should_log = False
            return
        control.should_log = True  # so that the epoch's mean train loss includes its last optimizer steps
        self._record_rows(state)

    def _record_rows(self, state: Any) -> None:
        """Record the rows trained since the last record; called before a checkpoint that includes them is published."""
        if self._recorded == len(self._epoch_rows):
            return  # saved at the epoch's last optimizer step while paused: everything is recorded
        from_step = self._recorded_step if self._recorded_step % self.steps_per_epoch else 0
        self._hooks.trained_rows(math.ceil(state.epoch - 1e-9), self._epoch_rows[self._recorded :], from_step)
        self._recorded, self._recorded_step = len(self._epoch_rows), state.global_step

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        boundary = state.global_step % self.steps_per_epoch == 0
        if not boundary:
            self._record_rows(state)
        self._hooks.saved(Path(args.output_dir) / f"checkpoint-{state.global_step}", state.global_step, state.epoch)
        if boundary:
            speed = len(self._epoch_rows) / self._epoch_seconds if self._epoch_seconds else None
            self._epoch_rows, self._epoch_seconds, self._recorded = [], 0.0, 0
            more = self._hooks.close_epoch(round(state.epoch), state.global_step, speed)
            self._tell(Closed(more))
            if not more:
                control.should_training_stop = True
        else:
            self._tell(Saved())
