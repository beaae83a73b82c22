"""A model whose weights are sharded over several processes (FSDP2): gather it in place, give it up, save, load.

Once gathered it runs any number of passes without an exchange, other numbers in each process. What is an exchange here
says so: all processes must call it at the same point. Must not shard by itself: the Trainer does.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from opeddev_tui.models.architectures import decoder_layers


def can_shard() -> bool:
    """Return whether this version of torch has what is needed."""
    if not dist.is_available():
        return False
    from torch.distributed.fsdp import FSDPModule

    return hasattr(FSDPModule, "reset_iter_state")


def layer_names(model: Any) -> list[str]:
    """Return the class names of the model's decoder layers, which are gathered one at a time; empty if not found."""
    return sorted({type(layer).__name__ for layer in decoder_layers(model) or ()})


def is_sharded(model: Any) -> bool:
    """Return whether the weights of ``model`` are sharded, gathered or not."""
    if not dist.is_available() or not dist.is_initialized():
        return False
    from torch.distributed.fsdp import FSDPModule

    return isinstance(model, FSDPModule)


def _is_gathered(model: Any) -> bool:
    from torch.distributed.tensor import DTensor

    return not any(isinstance(weight, DTensor) for weight in model.parameters())


def gather(model: Any) -> None:
    """Make a sharded ``model`` whole in this process, in the type that it computes in: an exchange.

    It stays whole until ``release``. Nothing is done for a model that is whole already, or not sharded.
    """
    if not is_sharded(model) or _is_gathered(model):
        return
    from torch.distributed.fsdp import FSDPModule

    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.unshard()
    model.set_reshard_after_forward(False)


def release(model: Any) -> None:
    """Keep only this process's shards of a gathered ``model``, so that it can be trained or saved. No exchange.

    What passes without a backward pass, or ones that were ended within, have left behind is forgotten: it would
    change which exchanges the next backward pass makes.
    """
    if is_sharded(model) and _is_gathered(model):
        model.reset_iter_state()
        model.set_reshard_after_forward(True)


def gathered_tensors(model: Any) -> dict[str, torch.Tensor]:
    """Return the weights and buffers of a gathered ``model`` by the names in its ``state_dict``, which gives it up."""
    found = dict(model.named_parameters(remove_duplicate=False))
    for prefix, module in model.named_modules(remove_duplicate=False):
        kept = {name for name in module._buffers if name not in module._non_persistent_buffers_set}
        found |= {f"{prefix}.{name}" if prefix else name: module._buffers[name] for name in kept}
    return {name: tensor for name, tensor in found.items() if tensor is not None}


# --- saving and loading


def all_finite(model: Any) -> bool:
    """Return whether every weight is a finite number; of a sharded model in every process's shards: an exchange."""
    release(model)
    own = all(bool(torch.isfinite(_local(weight)).all()) for weight in model.parameters())
    if not is_sharded(model):
        return own
    found = torch.tensor(int(own), device=_local(next(model.parameters())).device)
    dist.all_reduce(found, dist.ReduceOp.MIN)
    return bool(found)


def _local(weight: Any) -> torch.Tensor:
    local: torch.Tensor = weight.to_local() if hasattr(weight, "to_local") else weight
    return local


def full_weights(model: Any) -> dict[str, Any]:
    """Return all weights whole on the CPU, of adapters alone where others are frozen: an exchange.

    Empty in every process but the first. A weight with several names is one tensor, as in an ordinary model.
    """
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    release(model)
    adapters = hasattr(model, "peft_config")
    options = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=adapters)
    found: dict[str, Any] = get_model_state_dict(model, options=options)
    first: dict[int, str] = {}
    for name, weight in model.named_parameters(remove_duplicate=False):
        known = first.setdefault(id(weight), name)
        if known != name and known in found and name in found:
            found[name] = found[known]
    return found


def full_optimizer_state(model: Any, optimizer: torch.optim.Optimizer) -> Mapping[str, Any]:
    """Return the optimizer's state, whole on the CPU and by the weights' names: an exchange.

    Empty in every process but the first.
    """
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_optimizer_state_dict

    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    found: Mapping[str, Any] = get_optimizer_state_dict(model, optimizer, options=options)
    return found


def load_optimizer_state(model: Any, optimizer: torch.optim.Optimizer, path: Path) -> None:
    """Take this process's shards of the state that ``full_optimizer_state`` gave and that is saved at ``path``."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_optimizer_state_dict

    # mapped: each process reads little more than its shards
    state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    if not any(torch.is_tensor(value) for kept in state["state"].values() for value in kept.values()):
        # SGD without momentum keeps nothing, which torch cannot load; the groups have the learning rate
        for group, saved in zip(optimizer.param_groups, state["param_groups"], strict=True):
            group.update({name: value for name, value in saved.items() if name != "params"})
        return
    set_optimizer_state_dict(model, optimizer, state, options=StateDictOptions(full_state_dict=True))
