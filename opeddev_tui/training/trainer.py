"""Run the Hugging Face Trainer: its arguments, its order of rows, its callbacks. No other module may use it.

Each step gets a fresh Trainer with an output folder of its own; ``resume_from_checkpoint`` is only for an interruption
within the step. The largest number of epochs is planned at once and training is stopped early, because a Trainer
cannot be extended once it has begun.
"""

import dataclasses
import difflib
import math
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from msgspec import Struct
from safetensors import SafetensorError
from torch.utils.data import Sampler
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from opeddev_tui.checkpoints import folders
from opeddev_tui.config import settings as st
from opeddev_tui.errors import SettingsProblem
from opeddev_tui.files import storage_errors, unwritable
from opeddev_tui.models.architectures import batch_form
from opeddev_tui.models.causal_lm import CausalLM, Tokenizer
from opeddev_tui.models.precision import Precision, resolve_precision
from opeddev_tui.models.token_rows import LeftPadCollator, TokenRow, weighted_loss
from opeddev_tui.runs.events import Progress, finite
from opeddev_tui.training.hooks import NonFiniteLoss, RunHooks
from opeddev_tui.training.sampler import SimilarLengthSampler

# in the RuntimeError that torch's zip writer raises when a file cannot be written
_WRITE_ERROR = re.compile("inline_container|PytorchStreamWriter|iostream error")


class Plan(Struct, frozen=True):
    """What one Trainer does. ``batch_size``: rows per forward pass; ``accumulation``: passes per optimizer step."""

    output: Path
    batch_size: int
    accumulation: int
    learning_rate: float
    max_epochs: int

    def steps_per_epoch(self, rows: int) -> int:
        """Return the optimizer steps per epoch of ``rows`` rows; the last one may have fewer rows than the others."""
        return math.ceil(math.ceil(rows / self.batch_size) / self.accumulation)


class StepTrainer(Trainer):
    """The Trainer with this app's order of rows; evaluation is done by ``hooks``."""

    def __init__(
        self, *, hooks: RunHooks, callback: "HooksCallback", rows: Sequence[TokenRow], **arguments: Any
    ) -> None:
        super().__init__(train_dataset=rows, eval_dataset=rows[:1], callbacks=[callback], **arguments)
        self.remove_callback(PrinterCallback)
        self._hooks = hooks
        self._callback = callback
        self._callback.trainer = self
        self._saved_here: Path | None = None
        self._rows = rows

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:  # noqa: ARG002 - the Trainer's signature
        group = self.args.train_batch_size * self.args.gradient_accumulation_steps
        lengths = [row.length for row in self._rows]
        per_epoch = self._callback.steps_per_epoch
        return SimilarLengthSampler(lengths, group, self.args.seed, lambda: self.state.global_step // per_epoch)

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """Train on one batch; raises ``NonFiniteLoss`` at the first loss that is not a finite number."""
        self._callback.batch(inputs.pop("rows"), inputs["attention_mask"])
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
        """Save a checkpoint; raises ``NonFiniteLoss`` for weights that are not finite, ``StorageProblem``."""
        if not all(bool(torch.isfinite(weight).all()) for weight in model.parameters()):
            raise NonFiniteLoss(self.state.global_step, math.nan)
        folder = Path(str(self.args.output_dir))
        if self._is_saved(folder / f"checkpoint-{self.state.global_step}"):
            return  # while the training was paused here: writing it again could only damage it
        try:
            with storage_errors(folder):
                super()._save_checkpoint(model, trial)
        except (SafetensorError, RuntimeError) as error:
            # safetensors and torch's zip writer report a full disk with errors of their own
            if isinstance(error, RuntimeError) and not _WRITE_ERROR.search(str(error)):
                raise
            raise unwritable(folder, error) from error

    def _is_saved(self, folder: Path) -> bool:
        return self._saved_here == folder and folders.read_manifest(folder) is not None

    def save_here(self) -> Path:
        """Save a checkpoint of this very state and return its folder; the caller publishes it."""
        folder = Path(str(self.args.output_dir)) / f"checkpoint-{self.state.global_step}"
        self._save_checkpoint(self.model, None)
        self._saved_here = folder
        return folder

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Have the hooks score the hold-out: the Trainer's own loop gives one mean instead of a loss per row."""
        epoch = round(self.state.epoch or 0)
        metrics = {"eval_loss": self._hooks.evaluate(epoch, self.state.global_step)}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


class HooksCallback(TrainerCallback):
    """Turns the Trainer's callbacks into calls of ``hooks``, and their answers into the Trainer's control flags."""

    def __init__(self, hooks: RunHooks, steps_per_epoch: int) -> None:
        self.steps_per_epoch = steps_per_epoch
        self._hooks = hooks
        self.trainer: StepTrainer | None = None
        self._cut_short = False
        self._began = self._epoch_seconds = 0.0
        self._epoch_rows: list[int] = []
        self._recorded = 0  # how many of the epoch's rows the hooks have recorded
        self._recorded_step = 0
        self._window = [0.0, 0.0, 0.0]  # rows, tokens, seconds since the last logged point

    def batch(self, rows: Sequence[int], mask: torch.Tensor) -> None:
        """Count a batch that is about to be trained."""
        self._epoch_rows += rows
        self._window[0] += len(rows)
        self._window[1] += float(mask.sum())

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
            return  # the end of the epoch saves anyway and asks for a decision
        control.should_save = control.should_save or after.save or after.stop
        if after.stop:
            self._cut_short = True
            control.should_training_stop = True

    def _save_now(self, state: Any) -> None:
        """Save between two optimizer steps, while the training is paused; the epoch's end is not touched."""
        assert self.trainer is not None
        self._record_rows(state)
        folder = self.trainer.save_here()
        self._hooks.saved(folder, state.global_step, state.epoch)

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
            if not self._hooks.close_epoch(round(state.epoch), state.global_step, speed):
                control.should_training_stop = True


def training_arguments(plan: Plan, settings: st.Settings, precision: Precision) -> TrainingArguments:
    """Return the Trainer's arguments; raises ``SettingsProblem`` for values or passed-through fields it refuses."""
    training = settings.training
    names = [field.name for field in dataclasses.fields(TrainingArguments)]
    for name in training.arguments:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
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
        raise SettingsProblem(f"the Trainer refuses these settings: {error}", where="[training]") from error
    # device_map spreads the model over the GPUs; the Trainer would use DataParallel for more than one
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1
    return arguments


def check_arguments(settings: st.Settings) -> None:
    """Raise ``SettingsProblem`` for settings that the Trainer would refuse, before a run begins."""
    plan = Plan(output=Path(), batch_size=1, accumulation=1, learning_rate=1e-5, max_epochs=1)
    training_arguments(plan, settings, resolve_precision(settings.model.precision))


def train(
    model: CausalLM,
    tokenizer: Tokenizer,
    rows: Sequence[TokenRow],
    plan: Plan,
    settings: st.Settings,
    precision: Precision,
    hooks: RunHooks,
    *,
    resume: Path | None = None,
) -> None:
    """Train ``model`` on ``rows`` until a hook stops it or ``plan.max_epochs`` are trained.

    ``resume``: a checkpoint folder of the same step to go on from. Raises ``NonFiniteLoss``, ``StorageProblem``,
    ``SettingsProblem``, and what ``hooks`` raise.
    """
    trainer = StepTrainer(
        hooks=hooks,
        callback=HooksCallback(hooks, plan.steps_per_epoch(len(rows))),
        rows=rows,
        model=model,
        args=training_arguments(plan, settings, precision),
        data_collator=LeftPadCollator(tokenizer.pad_token_id, with_rows=True, form=batch_form(model)),
        processing_class=tokenizer,
    )
    trainer.train(resume_from_checkpoint=str(resume) if resume is not None else None)
