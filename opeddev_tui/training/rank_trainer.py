"""The Trainer as one of several ranks: what it must not exchange, and with training.shard how it shards and saves.

Of a sharded model the library writes the weights a second time, in a file of its own. Here a checkpoint has the files
of any other, and a resumed training loads the model's own file before it is sharded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import Trainer
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME

from opeddev_tui.models import sharding


class RankTrainer(Trainer):
    """A Trainer of one rank; with ``fsdp`` in its arguments it has a shard of the model."""

    def store_flos(self) -> None:
        """Count this rank's operations alone: an exchange here could come while the others do something else."""
        self.state.total_flos += self.current_flos
        self.current_flos = 0

    def _determine_best_metric(self, metrics: Any, trial: Any) -> bool:
        """Choose no best checkpoint where ranks would have to wait for each other; the app chooses from the journal."""
        return False if self.args.world_size > 1 else super()._determine_best_metric(metrics, trial)

    @property
    def shards(self) -> bool:
        """Whether weights, gradients and optimizer are sharded."""
        return bool(self.args.fsdp)

    def create_accelerator_and_postprocess(self) -> None:
        """Create the accelerator; it would leave FSDP off on a CPU, though nothing of it needs a GPU."""
        super().create_accelerator_and_postprocess()
        if not self.shards or self.is_fsdp_enabled:
            return
        from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin

        self.accelerator.state.distributed_type = DistributedType.FSDP
        self.accelerator.state.fsdp_plugin = FullyShardedDataParallelPlugin(**self.args.fsdp_plugin_args)
        self.is_fsdp_enabled = True

    def _prepare_for_training(self, *arguments: Any, **named: Any) -> Any:
        prepared = super()._prepare_for_training(*arguments, **named)
        if self.shards:
            # the library leaves some parts whole between the passes; it is to be as after the hold-out is scored
            model: Any = self.model
            model.set_reshard_after_forward(True)
        return prepared

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """Train on one batch, with the shards alone if the model was gathered since the last one."""
        if self.shards:
            sharding.release(self.model)
        return super().training_step(model, inputs, num_items_in_batch)

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)
        # put together by all ranks here, and not where only some would ask for its value
        return norm.full_tensor() if hasattr(norm, "full_tensor") else norm

    # --- checkpoints

    def take_part_in_saving(self) -> None:
        """Make the exchanges that rank 0 makes while it saves a checkpoint, in its order."""
        if self.shards and sharding.all_finite(self.model):
            sharding.full_weights(self.model)
            self._full_optimizer_state()

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save the model into ``output_dir`` as an ordinary one: an exchange where it is sharded."""
        if not self.shards:
            super().save_model(output_dir, _internal_call=_internal_call)
            return
        self._save(output_dir, state_dict=sharding.full_weights(self.model))

    def _full_optimizer_state(self) -> Any:
        return sharding.full_optimizer_state(self.model, self._plain_optimizer)

    @property
    def _plain_optimizer(self) -> torch.optim.Optimizer:
        """The optimizer in the accelerator's, which skips steps."""
        wrapped: Any = self.optimizer
        optimizer: torch.optim.Optimizer = wrapped.optimizer
        return optimizer

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if not self.shards:
            super()._save_optimizer_and_scheduler(output_dir)
            return
        torch.save(self._full_optimizer_state(), Path(output_dir) / OPTIMIZER_NAME)
        scheduler: Any = self.lr_scheduler
        torch.save(scheduler.state_dict(), Path(output_dir) / SCHEDULER_NAME)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if not self.shards:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
        # sharded: its weights were loaded before it was

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if not self.shards or checkpoint is None:
            super()._load_optimizer_and_scheduler(checkpoint)
            return
        sharding.load_optimizer_state(self.model, self._plain_optimizer, Path(checkpoint) / OPTIMIZER_NAME)
        scheduler: Any = self.lr_scheduler
        scheduler.load_state_dict(torch.load(Path(checkpoint) / SCHEDULER_NAME, weights_only=True))
