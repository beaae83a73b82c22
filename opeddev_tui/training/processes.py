"""How many processes train together: what the setting comes to on this machine, and what differs from the step before.

Must not start any.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from msgspec.structs import replace

from opeddev_tui.config import settings as st
from opeddev_tui.config.loading import LoadedSettings
from opeddev_tui.errors import SettingsProblem
from opeddev_tui.models import sharding
from opeddev_tui.models.precision import resolve_precision
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.journal import read
from opeddev_tui.runs.state import reduce
from opeddev_tui.workspace.paths import Workspace

# those that were seen to train a sharded model, and to resume it to the bit
SHARDED_OPTIMIZERS = ("adamw_torch", "adamw_torch_fused", "rmsprop", "sgd")
# of the Trainer's arguments, what several processes need as it is
_OF_RANKS: Mapping[str, str] = {
    "accelerator_config": "rows are dealt by the app",
    "average_tokens_across_devices": "the loss is the mean over the tokens of all processes",
    "ddp_backend": "it is chosen by the hardware",
    "ddp_find_unused_parameters": "every weight that is trained is used",
    "ddp_timeout": "set training.rank_timeout_minutes",
    "deepspeed": "set training.shard",
    "parallelism_config": "every process has a whole model or, with training.shard, a shard",
    "save_only_model": "a run is resumed from the state of the optimizer and of every process",
}


def resolved(loaded: LoadedSettings, *, launched: bool = False) -> LoadedSettings:
    """Return ``loaded`` with a number of processes that is one: 0 becomes the number of visible GPUs.

    ``launched``: they are there already, on machines of their own. Raises ``SettingsProblem``.
    """
    settings = loaded.settings
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    count = settings.training.num_processes or max(1, gpus)
    if gpus and count > gpus and not launched:
        raise SettingsProblem(
            f"training.num_processes is {count}, but {gpus} GPU{'s are' if gpus > 1 else ' is'} visible.",
            where="training.num_processes",
            cure="Set it to 0 for one process per visible GPU.",
        )
    if count > 1 and settings.model.device_map != "auto":
        raise SettingsProblem(
            f"model.device_map = {settings.model.device_map} spreads one model over GPUs, but each of {count} "
            "processes has a model of its own on one GPU.",
            where="model.device_map",
            cure="Leave model.device_map at auto, or set training.num_processes to 1.",
        )
    if count > 1:
        _check_arguments(settings.training.arguments)
    if settings.training.shard:
        _check_shards(settings, count)
    training = replace(settings.training, num_processes=count)
    return replace(loaded, settings=replace(settings, training=training))


def _check_arguments(arguments: Mapping[str, Any]) -> None:
    """Raise ``SettingsProblem`` for an argument of the Trainer that would have several processes train otherwise."""
    for name, reason in _OF_RANKS.items():
        if name in arguments:
            raise SettingsProblem(
                f"training.arguments.{name} cannot be set where several processes train: {reason}.",
                where=f"training.arguments.{name}",
                cure="Remove it, or set training.num_processes to 1.",
            )


def _check_shards(settings: st.Settings, count: int) -> None:
    """Raise ``SettingsProblem`` where ``count`` processes cannot train a sharded model."""
    optimizer = str(settings.training.arguments.get("optim", SHARDED_OPTIMIZERS[0]))
    if count == 1:
        fault = "training.shard shards a model over several processes, but one trains"
        cure = "Set training.num_processes to 2 or more (0: one per visible GPU), or training.shard to false."
    elif resolve_precision(settings.model.precision).name == "fp16":
        fault = "training.shard cannot train in fp16, which is what this GPU has"
        cure = 'Set model.precision = "fp32", or training.shard to false.'
    elif optimizer not in SHARDED_OPTIMIZERS:
        fault = f"the optimizer {optimizer} is not among those that were seen to train a sharded model exactly"
        cure = f"Set training.arguments.optim to one of {', '.join(SHARDED_OPTIMIZERS)}, or training.shard to false."
    elif not sharding.can_shard():
        fault = f"training.shard needs a newer torch than {torch.__version__}"
        cure = "Install the tested versions (constraints.txt)."
    else:
        return
    raise SettingsProblem(f"{fault}.", where="training.shard", cure=cure)


def trained_before(workspace: Workspace, parent: Path | None) -> ev.DataPrepared | None:
    """Return how the run that made the checkpoint ``parent`` was trained; None where that is not known."""
    if parent is None or parent.parent.name not in workspace.run_ids():
        return None
    return reduce(read(workspace.run_folder(parent.parent.name))).data


def other_batch(settings: st.Settings, before: ev.DataPrepared | None) -> list[str]:
    """Return a sentence where an optimizer step has more or fewer rows than in the run ``before``."""
    training = settings.training
    rows = training.per_device_train_batch_size * training.gradient_accumulation_steps * training.num_processes
    if before is None or before.effective_batch == rows:
        return []
    more, fewer = max(rows, before.effective_batch), min(rows, before.effective_batch)
    steps = "fewer" if rows > before.effective_batch else "more"
    return [
        f"the effective batch is {rows} rows, that of the previous step was {before.effective_batch}: "
        f"{more / fewer:.3g} times {steps} optimizer steps at the same learning rate."
    ]
