"""Run the Hugging Face Trainer: its order of rows, its loss, its checkpoints. Other ranks use ``hand_trainer``.

Each step gets a fresh Trainer with an output folder of its own; ``resume_from_checkpoint`` is only for an interruption
within the step. The largest number of epochs is planned at once and training is stopped early, because a Trainer
cannot be extended once it has begun.
"""

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from torch.utils.data import DataLoader
from transformers import PrinterCallback

from opeddev_tui.checkpoints import folders
from opeddev_tui.config import settings as st
from opeddev_tui.files import storage_errors, unwritable
from opeddev_tui.models import sharding
from opeddev_tui.models.architectures import batch_form
from opeddev_tui.models.causal_lm import CausalLM, Tokenizer
from opeddev_tui.models.grade_losses import GradeLoss, LossParts
from opeddev_tui.models.precision import Precision
from opeddev_tui.models.token_rows import LeftPadCollator, TokenRow, weighted_loss
from opeddev_tui.ranks.team import Team
from opeddev_tui.ranks.words import Save
from opeddev_tui.training.hooks import NonFiniteLoss, RunHooks
from opeddev_tui.training.hooks_callback import HooksCallback
from opeddev_tui.training.loader_workers import outlive_signals, with_lasting_workers
from opeddev_tui.training.rank_batches import BLANK, of_all_ranks
from opeddev_tui.training.rank_trainer import RankTrainer
from opeddev_tui.training.sampler import RankBatches, SimilarLengthSampler
from opeddev_tui.training.trainer_arguments import Plan, training_arguments

# in the RuntimeError that torch's zip writer raises when a file cannot be written
_WRITE_ERROR = re.compile("inline_container|PytorchStreamWriter|iostream error")


class Evaluates(Protocol):
    """What the Trainer has the hold-out scored by."""

    def evaluate(self, epoch: int, global_step: int) -> float:
        """Return the hold-out loss after ``epoch``."""


class Callbacks(Protocol):
    """Receives the Trainer's batches and tells it when to save."""

    steps_per_epoch: int
    save_here: Callable[[], Path] | None

    def batch(self, rows: Sequence[int], tokens: float) -> None:
        """Count a batch that is about to be trained, of all ranks together."""

    def grade_loss(self, step: int, loss: torch.Tensor) -> None:
        """Add a batch's share of the loss that optimizer step ``step`` trains for the grade."""


class StepTrainer(RankTrainer):
    """The Trainer with this app's order of rows; evaluation is done by ``hooks``."""

    def __init__(
        self,
        *,
        hooks: Evaluates,
        callback: Any,  # Callbacks and a TrainerCallback, which no type can say
        rows: Sequence[TokenRow],
        grade_loss: GradeLoss,
        team: Team | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(train_dataset=rows, eval_dataset=rows[:1], callbacks=[callback], **arguments)
        self.remove_callback(PrinterCallback)
        self._hooks = hooks
        self._team = team
        self._callback: Callbacks = callback
        self._callback.save_here = self.save_here
        self._saved_here: Path | None = None
        self._rows = rows
        self._grade_loss = grade_loss
        self._graded: int | None = None  # rows with a grade's place in the present optimizer step
        self._parts: LossParts | None = None
        self._counted: list[tuple[list[int], float]] = []  # rows and tokens of the step's next batches, of all ranks

    @property
    def _group(self) -> int:
        """Rows per optimizer step, of all ranks together."""
        return int(self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size)

    def _get_train_sampler(self, train_dataset: Any = None) -> SimilarLengthSampler:  # noqa: ARG002 - as the Trainer has it
        lengths = [row.length for row in self._rows]
        per_epoch = self._callback.steps_per_epoch
        return SimilarLengthSampler(lengths, self._group, self.args.seed, lambda: self.state.global_step // per_epoch)

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return this rank's batches; the libraries' own division would train some rows twice."""
        if self.args.world_size == 1:
            return with_lasting_workers(super().get_train_dataloader())
        batches = RankBatches(
            self._get_train_sampler(),
            group=self._group,
            batch=self.args.train_batch_size,
            world=self.args.world_size,
            rank=self.args.process_index,
            blank=len(self._rows),
        )
        # its prompt alone: no token of it is trained on
        blank = TokenRow(BLANK, self._rows[0].prompt[:1] or [0], [])
        rows: Any = [*self._rows, blank]  # a list is a data set, though torch's types do not say so
        return DataLoader(
            rows,
            batch_sampler=batches,
            collate_fn=self.data_collator,
            worker_init_fn=outlive_signals,
            num_workers=self.args.dataloader_num_workers,
            pin_memory=self.args.dataloader_pin_memory,
            persistent_workers=self.args.dataloader_persistent_workers,
            prefetch_factor=self.args.dataloader_prefetch_factor,
        )

    def get_batch_samples(self, *arguments: Any, **named: Any) -> tuple[list[Any], Any]:
        """Return the batches of the next optimizer step; the grades in them are counted, as its tokens are."""
        samples, items = super().get_batch_samples(*arguments, **named)
        self._counted, graded = of_all_ranks(samples, self.args, self.accelerator)
        self._graded = None if items is None else graded
        return samples, items

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """Train on one batch and return its cross-entropy, whatever else is trained.

        Raises ``NonFiniteLoss`` at the first loss that is not a finite number.
        """
        inputs.pop("rows")
        self._callback.batch(*self._counted.pop(0))
        loss = super().training_step(model, inputs, num_items_in_batch)
        if not torch.isfinite(loss):
            raise NonFiniteLoss(self.state.global_step + 1, float(loss))
        parts = self._taken_parts()
        # the Trainer divides a mean per batch, and leaves a share of the whole optimizer step as it is
        batches = self.current_gradient_accumulation_steps if num_items_in_batch is None else 1
        grade = self._grade_of_all(parts, loss)
        if grade is not None:
            self._callback.grade_loss(self.state.global_step, grade / batches)
        return loss if parts is None else parts.text.detach() * self._ranks_of(num_items_in_batch) / batches

    def _grade_of_all(self, parts: LossParts | None, like: torch.Tensor) -> torch.Tensor | None:
        """Return the sum of the shares that the ranks have of the grade's loss; None where no row has a grade."""
        own = None if parts is None or parts.grade is None else parts.grade.detach()
        if self.args.world_size == 1 or not self._grade_loss.beside_text:
            return own
        # every rank exchanges, also one without a graded row in this batch
        both = torch.zeros(2, device=like.device)
        if own is not None:
            both = torch.stack([own.float(), torch.ones((), device=own.device)])
        total = self.accelerator.reduce(both, "sum")
        return total[0] if float(total[1]) else None

    def _ranks_of(self, num_items_in_batch: Any) -> int:
        """Return what a share of the whole optimizer step's loss is multiplied by: the gradients' mean is taken."""
        return self.args.world_size if num_items_in_batch is not None else 1

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
            return self._parts.total * self._ranks_of(num_items_in_batch)
        alone = self.args.world_size == 1 or num_items_in_batch is not None
        if "weights" not in inputs and alone:
            return super().compute_loss(model, inputs, num_items_in_batch=num_items_in_batch)
        labels = inputs.pop("labels")
        # a mean over a batch without a token to train on would not be a number
        weights = inputs.pop("weights", torch.ones(len(labels)))
        loss = weighted_loss(model(**inputs).logits, labels, weights, num_items_in_batch)
        return loss * self._ranks_of(num_items_in_batch)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Save a checkpoint; raises ``NonFiniteLoss`` for weights that are not finite, ``StorageProblem``."""
        folder = Path(str(self.args.output_dir))
        target = folder / f"checkpoint-{self.state.global_step}"
        if self._is_saved(target):
            return  # while the training was paused here: writing it again could only damage it
        # what is sharded is put together by all ranks
        said = self._say_save(target) if self.shards else None
        if not sharding.all_finite(self.model):
            raise NonFiniteLoss(self.state.global_step, math.nan)
        try:
            with storage_errors(folder):
                # before the first exchange of the save: other ranks write into it after the last one
                target.mkdir(parents=True, exist_ok=True)
                super()._save_checkpoint(model, trial)
                self._wait_for_other_ranks(said if said is not None else self._say_save(target))
        except (SafetensorError, RuntimeError) as error:
            # safetensors and torch's zip writer report a full disk with errors of their own
            if isinstance(error, RuntimeError) and not _WRITE_ERROR.search(str(error)):
                raise
            raise unwritable(folder, error) from error

    def _say_save(self, folder: Path) -> int | None:
        """Have the other ranks add their random state to the checkpoint ``folder``; return the word's number."""
        return self._team.say(Save(str(folder))) if self._team is not None else None

    def _wait_for_other_ranks(self, said: int | None) -> None:
        """Wait until they have: only then is the checkpoint whole."""
        if self._team is not None and said is not None:
            for _ in self._team.answers(said):
                pass

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
    team: Team | None = None,
) -> None:
    """Train ``model`` on ``rows`` until a hook stops it or ``plan.max_epochs`` are trained.

    ``resume``: a checkpoint folder of the same step to go on from. Raises ``NonFiniteLoss``, ``StorageProblem``,
    ``SettingsProblem``, and what ``hooks`` raise.
    """
    trainer = step_trainer(model, tokenizer, rows, plan, settings, precision, hooks, team)
    trainer.train(resume_from_checkpoint=str(resume) if resume is not None else None)


def step_trainer(
    model: CausalLM,
    tokenizer: Tokenizer,
    rows: Sequence[TokenRow],
    plan: Plan,
    settings: st.Settings,
    precision: Precision,
    hooks: RunHooks,
    team: Team | None = None,
) -> StepTrainer:
    """Return the Trainer that trains ``model`` on ``rows``; raises ``SettingsProblem`` for arguments it refuses."""
    callback = HooksCallback(hooks, plan.steps_per_epoch(len(rows)), team)
    parts = trainer_parts(model, tokenizer, rows, plan, settings, precision)
    return StepTrainer(hooks=hooks, callback=callback, team=team, **parts)


def trainer_parts(
    model: CausalLM,
    tokenizer: Tokenizer,
    rows: Sequence[TokenRow],
    plan: Plan,
    settings: st.Settings,
    precision: Precision,
) -> dict[str, Any]:
    """Return the arguments of a ``StepTrainer`` that are the same for all ranks."""
    grading, training = settings.grading, settings.training
    return {
        "rows": rows,
        "grade_loss": GradeLoss(grading.loss, weight=grading.loss_weight, token_weight=grading.token_weight),
        "model": model,
        "args": training_arguments(plan, settings, precision, sharding.layer_names(model) if training.shard else ()),
        "data_collator": LeftPadCollator(tokenizer.pad_token_id, with_rows=True, form=batch_form(model)),
        "processing_class": tokenizer,
    }
