"""Owns the Hugging Face Trainer: its arguments, its order of rows, its callbacks. Nobody else touches it.

A step is a fresh Trainer with its own output folder; ``resume_from_checkpoint`` is only for an interruption within
the same step. The maximum of epochs is planned up front and stopped early, which equals a native run of as many.
"""

import dataclasses
import difflib
import math
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from msgspec import Struct
from safetensors import SafetensorError
from torch.utils.data import Sampler
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from opeddev_tui.config import settings as st
from opeddev_tui.errors import SettingsProblem, TrainingProblem
from opeddev_tui.files import storage_errors, unwritable
from opeddev_tui.models.architectures import batch_form
from opeddev_tui.models.causal_lm import CausalLM, Tokenizer
from opeddev_tui.models.precision import Precision, resolve_precision
from opeddev_tui.models.token_rows import LeftPadCollator, TokenRow, weighted_loss
from opeddev_tui.runs.events import Progress, finite
from opeddev_tui.training.sampler import LikeLengthSampler

# what torch's zip writer says when a file cannot be written; it is a plain RuntimeError
_WRITER = re.compile("inline_container|PytorchStreamWriter|iostream error")


class Plan(Struct, frozen=True):
    """What one Trainer does: sizes in rows and epochs, the folder it saves to."""

    output: Path
    batch_size: int
    accumulation: int
    learning_rate: float
    max_epochs: int

    def steps_per_epoch(self, rows: int) -> int:
        """Return the optimizer steps of one epoch over ``rows`` rows, the last one possibly smaller."""
        return math.ceil(math.ceil(rows / self.batch_size) / self.accumulation)


class AfterStep(Struct, frozen=True):
    """What a person wants at an optimizer-step boundary."""

    save: bool = False
    stop: bool = False


class Hooks(Protocol):
    """Who watches a training; every method runs on the training thread."""

    def logged(self, point: Progress) -> None:
        """Take a logged point."""

    def stepped(self, global_step: int, epoch: float, *, boundary: bool) -> AfterStep:
        """Say what is wanted after an optimizer step; may wait (pause). ``boundary``: the epoch ends here."""

    def evaluate(self, epoch: int, global_step: int) -> float:
        """Score the hold-out after ``epoch`` and return its loss."""

    def trained_rows(self, epoch: int, rows: Sequence[int], from_step: int) -> None:
        """Take the rows that ``epoch`` saw since ``from_step`` (a global step)."""

    def saved(self, folder: Path, global_step: int, epoch: float) -> None:
        """Publish the checkpoint in ``folder``."""

    def close_epoch(self, epoch: int, global_step: int, samples_per_second: float | None) -> bool:
        """Finish ``epoch`` after its checkpoint; True to train another."""


class NonFiniteLoss(TrainingProblem):
    """The loss is not a number; nothing trained since the last checkpoint can be used."""

    kind = "non-finite"

    def __init__(self, global_step: int, loss: float) -> None:
        told = f"became {loss} at optimizer step {global_step}" if global_step else f"is {loss} before any training"
        cure = "Lower training.learning_rate" if global_step else "The model's weights may be damaged: take them again"
        cure += ' (or set model.precision = "fp32") and start a new run: train --new.'
        super().__init__(f"the loss {told}.", cure=cure)


class StepTrainer(Trainer):
    """The Trainer with our order of rows, the completion-only head, and the hold-out score of ``hooks``."""

    def __init__(self, *, hooks: Hooks, bridge: "HooksCallback", rows: Sequence[TokenRow], **arguments: Any) -> None:
        super().__init__(train_dataset=rows, eval_dataset=rows[:1], callbacks=[bridge], **arguments)
        self.remove_callback(PrinterCallback)
        self._hooks = hooks
        self._bridge = bridge
        self._rows = rows

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:  # noqa: ARG002 - the Trainer's signature
        group = self.args.train_batch_size * self.args.gradient_accumulation_steps
        return LikeLengthSampler([row.length for row in self._rows], group, self.args.seed, self._epoch_number)

    def _epoch_number(self) -> int:
        return int(self.state.global_step // self._bridge.steps_per_epoch)

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """Train on one batch; raise ``NonFiniteLoss`` at the first loss that is not a number."""
        self._bridge.batch(inputs.pop("rows"), inputs["attention_mask"])
        loss = super().training_step(model, inputs, num_items_in_batch)
        if not torch.isfinite(loss):
            raise NonFiniteLoss(self.state.global_step + 1, float(loss))
        return loss

    def compute_loss(self, model: Any, inputs: Any, *_: Any, num_items_in_batch: Any = None, **__: Any) -> Any:
        """Return the loss of a batch; rows of a weight other than 1 count by their weight."""
        if "weights" not in inputs:
            return super().compute_loss(model, inputs, num_items_in_batch=num_items_in_batch)
        weights, labels = inputs.pop("weights"), inputs.pop("labels")
        return weighted_loss(model(**inputs).logits, labels, weights, num_items_in_batch)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Save, unless the weights are not numbers; a disk that does not take it is told as that."""
        if not all(bool(torch.isfinite(weight).all()) for weight in model.parameters()):
            raise NonFiniteLoss(self.state.global_step, math.nan)
        folder = Path(str(self.args.output_dir))
        try:
            with storage_errors(folder):
                super()._save_checkpoint(model, trial)
        except (SafetensorError, RuntimeError) as error:
            # safetensors and torch's zip writer have errors of their own for a disk that does not take a file
            if isinstance(error, RuntimeError) and not _WRITER.search(str(error)):
                raise
            raise unwritable(folder, error) from error

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Score the hold-out through the hooks; the Trainer's own loop would give one mean, not one loss a row."""
        epoch = round(self.state.epoch or 0)
        metrics = {"eval_loss": self._hooks.evaluate(epoch, self.state.global_step)}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


class HooksCallback(TrainerCallback):
    """Trainer callbacks to hooks, and wishes back."""

    def __init__(self, hooks: Hooks, steps_per_epoch: int) -> None:
        self.steps_per_epoch = steps_per_epoch
        self._hooks = hooks
        self._cut_short = False
        self._began = self._epoch_seconds = 0.0
        self._epoch_rows: list[int] = []
        self._told = 0  # how many of the epoch's rows the hooks know
        self._told_step = 0
        self._window = [0.0, 0.0, 0.0]  # rows, tokens, seconds since the last logged point

    def batch(self, rows: Sequence[int], mask: torch.Tensor) -> None:
        """Count a batch that is about to be trained."""
        self._epoch_rows += rows
        self._window[0] += len(rows)
        self._window[1] += float(mask.sum())

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self._told_step = state.global_step

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self._began = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        seconds = time.perf_counter() - self._began
        self._epoch_seconds += seconds
        self._window[2] += seconds
        boundary = state.global_step % self.steps_per_epoch == 0
        wish = self._hooks.stepped(state.global_step, state.epoch, boundary=boundary)
        if boundary:
            return  # the end of the epoch saves anyway, and asks
        control.should_save = control.should_save or wish.save or wish.stop
        if wish.stop:
            self._cut_short = True
            control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, float] | None = None, **_: Any) -> None:  # noqa: ARG002
        if not logs or "loss" not in logs:
            return
        rows, tokens, seconds = self._window
        self._window = [0.0, 0.0, 0.0]
        self._hooks.logged(
            Progress(
                global_step=state.global_step,
                epoch=state.epoch,
                loss=finite(logs["loss"]),
                grad_norm=finite(logs.get("grad_norm")),
                learning_rate=finite(logs.get("learning_rate")),
                samples_per_second=rows / seconds if seconds else None,
                tokens_per_second=tokens / seconds if seconds else None,
            )
        )

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        if self._cut_short:
            # the epoch is not over: no score and no second checkpoint for half of one
            control.should_evaluate = control.should_save = control.should_log = False
            return
        control.should_log = True  # the epoch's last steps belong to its train loss
        self._tell_rows(state)

    def _tell_rows(self, state: Any) -> None:
        """Tell what was trained since the last time, at the latest with the checkpoint that holds it."""
        from_step = self._told_step if self._told_step % self.steps_per_epoch else 0
        self._hooks.trained_rows(math.ceil(state.epoch - 1e-9), self._epoch_rows[self._told :], from_step)
        self._told, self._told_step = len(self._epoch_rows), state.global_step

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if state.global_step % self.steps_per_epoch:
            self._tell_rows(state)
        self._hooks.saved(folder, state.global_step, state.epoch)
        if state.global_step % self.steps_per_epoch == 0:
            speed = len(self._epoch_rows) / self._epoch_seconds if self._epoch_seconds else None
            self._epoch_rows, self._epoch_seconds, self._told = [], 0.0, 0
            if not self._hooks.close_epoch(round(state.epoch), state.global_step, speed):
                control.should_training_stop = True


def training_arguments(plan: Plan, settings: st.Settings, precision: Precision) -> TrainingArguments:
    """Return the Trainer's arguments; raises ``SettingsProblem`` for a pass-through field it does not know."""
    training = settings.training
    known = [field.name for field in dataclasses.fields(TrainingArguments)]
    for name in training.arguments:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise SettingsProblem(
                f"training.arguments.{name} is not a field of TrainingArguments.",
                cure=f"Did you mean {near[0]}?" if near else "",
            )
    try:
        arguments = TrainingArguments(
            output_dir=str(plan.output),
            per_device_train_batch_size=plan.batch_size,
            gradient_accumulation_steps=plan.accumulation,
            learning_rate=plan.learning_rate,
            num_train_epochs=plan.max_epochs,
            lr_scheduler_type=training.lr_scheduler_type,
            warmup_steps=training.warmup_steps,
            weight_decay=training.weight_decay,
            max_grad_norm=training.max_grad_norm,
            activation_checkpointing=training.activation_checkpointing,
            logging_steps=training.logging_steps,
            logging_nan_inf_filter=False,
            eval_strategy="epoch",
            save_strategy="epoch",
            seed=training.seed,
            bf16=precision.name == "bf16",
            fp16=precision.name == "fp16",
            use_cpu=not torch.cuda.is_available(),
            dataloader_pin_memory=torch.cuda.is_available(),
            remove_unused_columns=False,
            disable_tqdm=True,
            report_to="none",
            **training.arguments,
        )
    except (TypeError, ValueError) as error:
        raise SettingsProblem(f"the Trainer does not take these settings: {error}", where="[training]") from error
    # one process, the model spread by device_map: never DataParallel
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1
    return arguments


def check_arguments(settings: st.Settings) -> None:
    """Raise ``SettingsProblem`` for settings that the Trainer would not take, before anything is begun."""
    plan = Plan(output=Path(), batch_size=1, accumulation=1, learning_rate=1e-5, max_epochs=1)
    training_arguments(plan, settings, resolve_precision(settings.model.precision))


def train(
    model: CausalLM,
    tokenizer: Tokenizer,
    rows: Sequence[TokenRow],
    plan: Plan,
    settings: st.Settings,
    precision: Precision,
    hooks: Hooks,
    *,
    resume: Path | None = None,
) -> None:
    """Train ``model`` on ``rows`` until the hooks say stop or the maximum of epochs is reached."""
    trainer = StepTrainer(
        hooks=hooks,
        bridge=HooksCallback(hooks, plan.steps_per_epoch(len(rows))),
        rows=rows,
        model=model,
        args=training_arguments(plan, settings, precision),
        data_collator=LeftPadCollator(tokenizer.pad_token_id, with_rows=True, form=batch_form(model)),
        processing_class=tokenizer,
    )
    trainer.train(resume_from_checkpoint=str(resume) if resume is not None else None)
