"""The Trainer's arguments for one step, from the plan and the settings; what it refuses is a ``SettingsProblem``."""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from msgspec import Struct
from transformers import Trainer, TrainingArguments

from opeddev_tui.config import settings as st
from opeddev_tui.errors import SettingsProblem, did_you_mean
from opeddev_tui.models.precision import Precision, resolve_precision

# of an optimizer that is made for the layers of a model: whether it can be is seen when it is
_NEEDS_MODEL = re.compile("pass a `?model")


class Plan(Struct, frozen=True):
    """What one Trainer does. ``batch_size``: rows per forward pass; ``accumulation``: passes per optimizer step.

    Both are those of each of ``processes``.
    """

    output: Path
    batch_size: int
    accumulation: int
    learning_rate: float
    max_epochs: int
    processes: int = 1

    def steps_per_epoch(self, rows: int) -> int:
        """Return the optimizer steps per epoch of ``rows`` rows; the last one may have fewer rows than the others."""
        return math.ceil(rows / (self.batch_size * self.accumulation * self.processes))


def training_arguments(
    plan: Plan, settings: st.Settings, precision: Precision, layers: Sequence[str] = ()
) -> TrainingArguments:
    """Return the Trainer's arguments; raises ``SettingsProblem`` for values or passed-through fields it refuses.

    ``layers`` are the class names of the model's layers: what a sharded training gathers one at a time.
    """
    training = settings.training
    _check_names(training.arguments)
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
            **(_of_ranks(settings) if plan.processes > 1 else {}),
            **(_of_shards(layers) if training.shard and plan.processes > 1 else {}),
            **training.arguments,
        )
    except (TypeError, ValueError) as error:
        raise SettingsProblem(f"the Trainer refuses these settings: {error}", where="[training]") from error
    return _as_used_here(arguments, precision)


def _as_used_here(arguments: TrainingArguments, precision: Precision) -> TrainingArguments:
    """Return ``arguments`` with what no argument says."""
    if arguments.fsdp and precision.dtype is not None:
        arguments.fsdp_plugin_args["mixed_precision_policy"] = _policy(precision.dtype)
    # device_map spreads the model over the GPUs; the Trainer would use DataParallel for more than one
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1
    return arguments


def _check_names(arguments: Mapping[str, Any]) -> None:
    """Raise ``SettingsProblem`` for a name that is not a field of the Trainer's arguments."""
    names = [field.name for field in dataclasses.fields(TrainingArguments)]
    for name in arguments:
        if name not in names:
            raise SettingsProblem(
                f"training.arguments.{name} is not a field of TrainingArguments.",
                cure=did_you_mean(name, names),
            )


def _of_ranks(settings: st.Settings) -> dict[str, Any]:
    """Return the Trainer's arguments for several processes."""
    return {
        "ddp_backend": None if torch.cuda.is_available() else "gloo",
        "ddp_find_unused_parameters": False,
        "ddp_timeout": int(60 * settings.training.rank_timeout_minutes) + 60,
    }


def _of_shards(layers: Sequence[str]) -> dict[str, Any]:
    """Return the Trainer's arguments for sharded weights, gradients and optimizer; raises ``SettingsProblem``."""
    if not layers:
        raise SettingsProblem(
            "the layers of this model are not found, so it cannot be sharded.",
            where="training.shard",
            cure="Set training.shard to false, or choose another model.",
        )
    return {"fsdp": True, "fsdp_config": {"version": 2, "transformer_layer_cls_to_wrap": list(layers)}}


def _policy(dtype: torch.dtype) -> Any:
    """Return in which types a sharded model computes and sums gradients; the library's own sums would be in 16 bits."""
    from torch.distributed.fsdp import MixedPrecisionPolicy

    return MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32)


def check_arguments(settings: st.Settings) -> None:
    """Raise ``SettingsProblem`` for settings that the Trainer would refuse, before a run begins."""
    plan = Plan(output=Path(), batch_size=1, accumulation=1, learning_rate=1e-5, max_epochs=1)
    arguments = training_arguments(plan, settings, resolve_precision(settings.model.precision))
    try:
        Trainer.get_optimizer_cls_and_kwargs(arguments)
    except (ImportError, ValueError) as error:
        reason = " ".join(str(error).split())
        if not _NEEDS_MODEL.search(reason):
            name = settings.training.arguments.get("optim", "adamw_torch")
            raise SettingsProblem(
                f"the optimizer {name} cannot be used: {reason}", where="training.arguments.optim"
            ) from error
