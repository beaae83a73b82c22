"""Owns the estimate of memory before a model is loaded: weights, gradients, optimizer, activations.

Sizes come from the model's configuration alone (its parameters are counted on the meta device), so nothing large is
read. Activations are an estimate for a decoder with memory-efficient attention, after Korthikanti et al. 2022
(about 34 bytes a token and hidden unit in a layer at 16 bits, a quarter more in float32 here for the MLP's width).
"""

from msgspec import Struct

from opeddev_tui import settings as st
from opeddev_tui.events import MemoryEstimated

_ADAM_BYTES = 8
_MASTER_BYTES = 4
# what the allocator, kernels and fragmentation take besides
_OVERHEAD = 1.1
_TIGHT = 0.9


class Sizes(Struct, frozen=True):
    """What of a model matters for memory."""

    parameters: int
    linear_parameters: int
    lora_per_rank: int
    hidden: int
    intermediate: int
    layers: int
    vocabulary: int


def model_sizes(source: str, model: st.Model) -> Sizes:
    """Return the sizes of the model at ``source`` from its configuration; raises ``ModelProblem``."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from opeddev_tui.models import loading_problem

    try:
        config = AutoConfig.from_pretrained(source, trust_remote_code=model.trust_remote_code)
        with torch.device("meta"):
            empty = AutoModelForCausalLM.from_config(config, trust_remote_code=model.trust_remote_code)
    except (OSError, ValueError, KeyError) as error:
        raise loading_problem(source, "configuration", error) from error
    linear = [
        module
        for name, module in empty.named_modules()
        if isinstance(module, torch.nn.Linear) and not name.endswith("lm_head")
    ]
    return Sizes(
        parameters=sum(parameter.numel() for parameter in empty.parameters()),
        linear_parameters=sum(module.weight.numel() for module in linear),
        lora_per_rank=sum(module.in_features + module.out_features for module in linear),
        hidden=config.hidden_size,
        intermediate=getattr(config, "intermediate_size", 4 * config.hidden_size),
        layers=config.num_hidden_layers,
        vocabulary=config.vocab_size,
    )


def free_memory() -> int:
    """Return the bytes free on the device that would train."""
    import psutil
    import torch

    if torch.cuda.is_available():
        return sum(torch.cuda.mem_get_info(index)[0] for index in range(torch.cuda.device_count()))
    return int(psutil.virtual_memory().available)


def estimate(
    sizes: Sizes, settings: st.Settings, *, sixteen_bit: bool, longest: int, completion: int, free: int
) -> MemoryEstimated:
    """Return the memory a training with ``settings`` needs, and what would make it smaller where it is tight.

    ``longest`` and ``completion`` are the longest row and the longest completion in tokens.
    """
    trainable = settings.lora.r * sizes.lora_per_rank if settings.lora.enabled else sizes.parameters
    weights = _MASTER_BYTES * (sizes.parameters + (trainable if settings.lora.enabled else 0))
    gradients, optimizer = _MASTER_BYTES * trainable, _ADAM_BYTES * trainable
    activations = _activations(sizes, settings, sixteen_bit, longest, completion)
    total = int((weights + gradients + optimizer + activations) * _OVERHEAD)
    verdict = "will not fit" if total > free else "tight" if total > _TIGHT * free else "fits"
    return MemoryEstimated(
        total=total,
        free=free,
        weights=weights,
        gradients=gradients,
        optimizer=optimizer,
        activations=activations,
        trainable=trainable,
        checkpoint=(_MASTER_BYTES + _ADAM_BYTES) * trainable,
        verdict=verdict,
        advice=tuple(_advice(sizes, settings)) if verdict != "fits" else (),
    )


def _activations(sizes: Sizes, settings: st.Settings, sixteen_bit: bool, longest: int, completion: int) -> int:
    width = 2 if sixteen_bit else 4
    batch = settings.training.per_device_train_batch_size
    tokens = batch * longest
    # attention and norms keep about 10 hidden-sized tensors a layer, the gated MLP 4 of its own width
    per_layer = tokens * (10 * sizes.hidden + 4 * sizes.intermediate) * width
    layers = 1 if settings.training.activation_checkpointing else sizes.layers
    kept = tokens * sizes.hidden * width * sizes.layers if settings.training.activation_checkpointing else 0
    # logits of the completion's columns in float32, their gradient and the softmax
    head = batch * (completion + 1) * sizes.vocabulary * 4 * 3
    return per_layer * layers + kept + head


def _advice(sizes: Sizes, settings: st.Settings) -> list[str]:
    advice = []
    if not settings.lora.enabled:
        share = settings.lora.r * sizes.lora_per_rank / sizes.parameters
        advice.append(f"lora.enabled = true trains {share:.1%} of the parameters")
    if not settings.training.activation_checkpointing:
        advice.append("training.activation_checkpointing = true keeps one layer's activations")
    if settings.training.per_device_train_batch_size > 1:
        advice.append("training.per_device_train_batch_size = 1, with more gradient_accumulation_steps")
    if settings.data.max_length > 256:
        advice.append(f"data.max_length below {settings.data.max_length}")
    return advice
