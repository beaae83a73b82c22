"""Run the Hugging Face Trainer: its arguments, its order of rows, its loss. No other module may use it.

Each step gets a fresh Trainer with an output folder of its own; ``resume_from_checkpoint`` is only for an interruption
within the step. The largest number of epochs is planned at once and training is stopped early, because a Trainer
cannot be extended once it has begun.
"""

import dataclasses
import difflib
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from msgspec import Struct
from safetensors import SafetensorError
from torch.utils.data import Sampler
from transformers import PrinterCallback, Trainer, TrainingArguments

from opeddev_tui.checkpoints import folders
from opeddev_tui.config import settings as st
from opeddev_tui.errors import SettingsProblem
from opeddev_tui.files import storage_errors, unwritable
from opeddev_tui.models.architectures import batch_form
from opeddev_tui.models.causal_lm import CausalLM, Tokenizer
from opeddev_tui.models.grade_losses import GradeLoss, LossParts
from opeddev_tui.models.precision import Precision, resolve_precision
from opeddev_tui.models.token_rows import LeftPadCollator, TokenRow, weighted_loss
from opeddev_tui.training.hooks import NonFiniteLoss, RunHooks
from opeddev_tui.training.hooks_callback import HooksCallback
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
        self,
        *,
        hooks: RunHooks,
        callback: HooksCallback,
        rows: Sequence[TokenRow],
        grade_loss: GradeLoss,
        **arguments: Any,
    ) -> None:
        super().__init__(train_dataset=rows, eval_dataset=rows[:1], callbacks=[callback], **arguments)
        self.remove_callback(PrinterCallback)
        self._hooks = hooks
        self._callback = callback
        self._callback.save_here = self.save_here
        self._saved_here: Path | None = None
        self._rows = rows
        self._grade_loss = grade_loss
        self._graded: int | None = None  # rows with a grade's place in the present optimizer step
        self._parts: LossParts | None = None

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:  # noqa: ARG002 - the Trainer's signature
        group = self.args.train_batch_size * self.args.gradient_accumulation_steps
        lengths = [row.length for row in self._rows]
        per_epoch = self._callback.steps_per_epoch
        return SimilarLengthSampler(lengths, group, self.args.seed, lambda: self.state.global_step // per_epoch)

    def get_batch_samples(self, *arguments: Any, **named: Any) -> tuple[list[Any], Any]:
        """Return the batches of the next optimizer step; the grades in them are counted, as its tokens are."""
        samples, items = super().get_batch_samples(*arguments, **named)
        graded = sum(grade is not None for batch in samples for grade in batch.get("grades", ()))
        self._graded = None if items is None else graded
        return samples, items

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """Train on one batch and return its cross-entropy, whatever else is trained.

        Raises ``NonFiniteLoss`` at the first loss that is not a finite number.
        """
        self._callback.batch(inputs.pop("rows"), inputs["attention_mask"])
        loss = super().training_step(model, inputs, num_items_in_batch)
        if not torch.isfinite(loss):
            raise NonFiniteLoss(self.state.global_step + 1, float(loss))
        parts = self._taken_parts()
        if parts is None:
            return loss
        # the Trainer divides a mean per batch, and leaves a share of the whole optimizer step as it is
        batches = self.current_gradient_accumulation_steps if num_items_in_batch is None else 1
        if parts.grade is not None:
            self._callback.grade_loss(self.state.global_step, parts.grade.detach() / batches)
        return parts.text.detach() / batches

    def _taken_parts(self) -> LossParts | None:
        """Return the parts of the last loss, None where it had none; they are not kept."""
        parts, self._parts = self._parts, None
        return parts

    def compute_loss(self, model: Any, inputs: Any, *_: Any, num_items_in_batch: Any = None, **__: Any) -> Any:
        """Return the loss of a batch; rows of a weight other than 1 count by their weight."""
        if "grades" in inputs:
            labels, grades, weights = inputs.pop("labels"), inputs.pop("grades"), inputs.pop("weights", None)
            self._parts = self._grade_loss.parts(
                *(model(**inputs).logits, labels, grades),
                weights=weights,
                tokens=num_items_in_batch,
                graded=self._graded,
            )
            return self._parts.total
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
    trainer = step_trainer(model, tokenizer, rows, plan, settings, precision, hooks)
    trainer.train(resume_from_checkpoint=str(resume) if resume is not None else None)


def step_trainer(
    model: CausalLM,
    tokenizer: Tokenizer,
    rows: Sequence[TokenRow],
    plan: Plan,
    settings: st.Settings,
    precision: Precision,
    hooks: RunHooks,
) -> StepTrainer:
    """Return the Trainer that trains ``model`` on ``rows``; raises ``SettingsProblem`` for arguments it refuses."""
    grading = settings.grading
    return StepTrainer(
        hooks=hooks,
        callback=HooksCallback(hooks, plan.steps_per_epoch(len(rows))),
        rows=rows,
        grade_loss=GradeLoss(grading.loss, weight=grading.loss_weight, token_weight=grading.token_weight),
        model=model,
        args=training_arguments(plan, settings, precision),
        data_collator=LeftPadCollator(tokenizer.pad_token_id, with_rows=True, form=batch_form(model)),
        processing_class=tokenizer,
    )
