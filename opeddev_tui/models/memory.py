"""Estimate the memory of a training before its model is loaded: weights, gradients, optimizer, activations, evaluation.

Sizes come from the model's configuration alone (its parameters are counted on the meta device), so nothing large is
read. A run is as large as its largest phase: training, scoring the hold-out, or generating; weights and the
optimizer's state are there in each. What a layer keeps is counted for a decoder with a gated MLP and
memory-efficient attention, tensor by tensor; ``benchmarks/memory.py`` compares it with what processes really take.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from opeddev_tui.config import settings as st
from opeddev_tui.models.adapters import is_linear
from opeddev_tui.models.memory_advice import advice
from opeddev_tui.models.memory_held import ADAM_BYTES, MASTER_BYTES, Held, held
from opeddev_tui.runs.events import MemoryEstimated

# what the allocator, kernels and fragmentation take besides
_OVERHEAD = 1.1
_TIGHT = 0.9
# tensors of the size of the logits that a loss holds at once, float32: in training the logits, their log-softmax and
# the gradients of both; in evaluation the logits, a copy with the vocabulary in the middle, its log-softmax
_TRAINING_LOGITS = 4
_SCORING_LOGITS = 3


class Sizes(Struct, frozen=True):
    """What of a model matters for memory. Widths are elements a token: of the residual stream, the MLP, all attention
    heads together, all key-value heads together; ``linear_inputs`` is the sum of the inputs of all linear layers.
    """

    parameters: int
    lora_per_rank: int
    linear_inputs: int
    hidden: int
    intermediate: int
    attention: int
    key_value: int
    layers: int
    vocabulary: int


class BatchShape(Struct, frozen=True):
    """What of a set matters: how many rows, the tokens of the longest one and of the longest completion."""

    count: int
    longest: int
    completion: int


def empty_model(source: str, model: st.Model) -> Any:
    """Return the model at ``source`` without weights, from its configuration; raises ``ModelProblem``."""
    import torch
    from transformers import AutoModelForCausalLM

    # it loads torch, which the screen's estimate must not
    from opeddev_tui.models.model_config import LOADING_ERRORS, load_config, loading_problem

    config = load_config(source, model)
    try:
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config.text, trust_remote_code=model.trust_remote_code)
    except LOADING_ERRORS as error:
        raise loading_problem(source, "configuration", error) from error


def sizes_of(empty: Any) -> Sizes:
    """Return the sizes of a model, which may be without weights."""
    linear = [
        _inputs_outputs(module)
        for name, module in empty.named_modules()
        if is_linear(module) and not name.endswith("lm_head")
    ]
    return sizes_from(
        empty.config.get_text_config(),
        parameters=sum(parameter.numel() for parameter in empty.parameters()),
        linear=linear,
        embedding=empty.get_input_embeddings().weight.shape[1],
    )


def sizes_from(config: Any, *, parameters: int, linear: Sequence[tuple[int, int]], embedding: int) -> Sizes:
    """Return the sizes of a model from its text configuration.

    Args:
        config: has the configuration's values as attributes.
        parameters: how many there are.
        linear: (inputs, outputs) of every linear layer but the head.
        embedding: width of the embedding, for a configuration that does not name it.
    """
    hidden = _first(config, ("hidden_size", "d_model", "n_embd")) or embedding
    layers = _first(config, ("num_hidden_layers", "n_layer", "n_layers", "num_layers")) or 1
    attention, key_value = _widths(config, hidden)
    return Sizes(
        parameters=parameters,
        lora_per_rank=sum(sum(pair) for pair in linear),
        linear_inputs=sum(inputs for inputs, _ in linear),
        hidden=hidden,
        intermediate=_first(config, ("intermediate_size", "n_inner", "ffn_dim")) or 4 * hidden,
        attention=attention,
        key_value=key_value,
        layers=layers,
        vocabulary=config.vocab_size,
    )


def _inputs_outputs(module: Any) -> tuple[int, int]:
    """Return the widths of a linear layer; GPT-2's Conv1D keeps its weight as [inputs, outputs]."""
    rows, columns = module.weight.shape
    return (rows, columns) if type(module).__name__ == "Conv1D" else (columns, rows)


def _first(config: Any, names: Sequence[str]) -> int:
    """Return the first whole number that ``config`` has under one of ``names`` (of a list its most), or 0."""
    for name in names:
        value = getattr(config, name, None)
        value = max(value, default=0) if isinstance(value, list | tuple) else value
        if isinstance(value, int) and value > 0:
            return value
    return 0


def _widths(config: Any, hidden: int) -> tuple[int, int]:
    """Return the elements a token of all attention heads and of all key-value heads."""
    heads = _first(config, ("num_attention_heads", "n_head", "n_heads", "num_heads")) or 1
    head = _first(config, ("head_dim",)) or hidden // heads
    return heads * head, (_first(config, ("num_key_value_heads",)) or heads) * head


def free_memory(processes: int = 1) -> int:
    """Return the bytes free for each of ``processes`` on this machine; one process has all GPUs."""
    import psutil
    import torch

    if torch.cuda.is_available():
        return free_for_each(
            [torch.cuda.mem_get_info(index)[0] for index in range(torch.cuda.device_count())], processes
        )
    return int(psutil.virtual_memory().available) // processes


def free_for_each(gpus: Sequence[int], processes: int) -> int:
    """Return the bytes free for each of ``processes``, given those of each GPU: a model is spread over all of them for
    one process, several have one each, and the fullest is the limit.
    """
    return sum(gpus) if processes == 1 else min(gpus[:processes])


def estimate(
    sizes: Sizes, settings: st.Settings, *, sixteen_bit: bool, train: BatchShape, holdout: BatchShape, free: int
) -> MemoryEstimated:
    """Return the memory a training with ``settings`` needs, in bytes, and what would make it smaller where it is tight.

    It is that of each process. ``sixteen_bit`` says that autocast runs in 16 bits, ``free`` how many bytes there are.
    """
    task = _Task(sizes, sixteen_bit, train, holdout)
    own = task.held(settings)
    beside, whole = task.beside(settings), task.phases(settings)
    peak = max(whole, key=lambda name: whole[name])
    adapters = settings.lora.r * sizes.lora_per_rank / sizes.parameters
    return MemoryEstimated(
        total=whole[peak],
        free=free,
        weights=own.weights,
        gradients=own.gradients,
        optimizer=own.optimizer,
        # of a sharded model also what is gathered meanwhile
        activations=beside["training"] - own.gradients,
        trainable=own.trainable,
        checkpoint=(MASTER_BYTES + ADAM_BYTES) * own.trainable,
        verdict="will not fit" if whole[peak] > free else "tight" if whole[peak] > _TIGHT * free else "fits",
        advice=tuple(advice(settings, task.phases, _TIGHT * free, adapters)),
        evaluation=beside["evaluation"],
        generation=beside["generation"],
        peak=peak,
    )


class _Task(Struct, frozen=True):
    """What is trained and scored, whatever the settings are."""

    sizes: Sizes
    sixteen_bit: bool
    train: BatchShape
    holdout: BatchShape

    def held(self, settings: st.Settings) -> Held:
        """Return what each process holds."""
        sizes = self.sizes
        embedding = sizes.vocabulary * sizes.hidden
        return held(
            settings,
            parameters=sizes.parameters,
            adapters=settings.lora.r * sizes.lora_per_rank,
            # a layer, or the embedding
            unit=max(embedding, (sizes.parameters - embedding) // sizes.layers),
            sixteen_bit=self.sixteen_bit,
        )

    def beside(self, settings: st.Settings) -> dict[str, int]:
        """Return the bytes of each phase beside weights and optimizer."""
        sizes, sixteen_bit, kept = self.sizes, self.sixteen_bit, self.held(settings)
        return {
            "training": kept.gradients + kept.unit + _activations(sizes, settings, sixteen_bit, self.train),
            "evaluation": kept.copy + _scoring(sizes, settings, sixteen_bit, self.holdout),
            "generation": kept.copy + _generating(sizes, settings, sixteen_bit, self.holdout),
        }

    def phases(self, settings: st.Settings) -> dict[str, int]:
        """Return the bytes of each phase, all told."""
        kept, beside = self.held(settings), self.beside(settings)
        return {name: int((kept.weights + kept.optimizer + size) * _OVERHEAD) for name, size in beside.items()}


def _activations(sizes: Sizes, settings: st.Settings, sixteen_bit: bool, rows: BatchShape) -> int:
    """Return the bytes of one forward and backward pass over a training batch."""
    batch = min(settings.training.per_device_train_batch_size, rows.count)
    tokens = batch * rows.longest
    a_layer = tokens * (_kept_lora if settings.lora.enabled else _kept_full)(sizes, settings, sixteen_bit)
    if settings.training.activation_checkpointing:
        # the stream between the layers is kept, one layer at a time is computed again
        layers = a_layer + tokens * sizes.hidden * MASTER_BYTES * sizes.layers
    else:
        layers = a_layer * sizes.layers
    head = batch * (rows.completion + 1) * sizes.vocabulary * MASTER_BYTES * _TRAINING_LOGITS
    return layers + head


def _kept_full(sizes: Sizes, settings: st.Settings, sixteen_bit: bool) -> int:  # noqa: ARG001 - as _kept_lora
    """Return the bytes a token and layer that a backward pass over all weights needs.

    The stream twice, both norms before and after their weight; queries, keys, values and what attention gives (again
    as the output's input); the MLP's gate before and after its curve, the other branch, and their product.
    """
    if not sixteen_bit:
        return 4 * (6 * sizes.hidden + 5 * sizes.attention + 4 * sizes.intermediate)
    # norms stay in float32; every linear layer keeps its own 16-bit copy of its input
    return 4 * 4 * sizes.hidden + 2 * (5 * sizes.hidden + 5 * sizes.attention + 4 * sizes.intermediate)


def _kept_lora(sizes: Sizes, settings: st.Settings, sixteen_bit: bool) -> int:
    """Return the bytes a token and layer that a backward pass to adapters needs.

    Frozen layers need no inputs, but every adapter keeps its own: with dropout a thinned copy and what was dropped.
    """
    copies = 2 if settings.lora.lora_dropout else 1
    inputs = copies * sizes.linear_inputs // sizes.layers
    if not sixteen_bit:
        return 4 * (2 * sizes.hidden + 4 * sizes.attention + 3 * sizes.intermediate + inputs)
    return 4 * (2 * sizes.hidden + inputs) + 2 * (4 * sizes.attention + 3 * sizes.intermediate)


def _scoring(sizes: Sizes, settings: st.Settings, sixteen_bit: bool, rows: BatchShape) -> int:
    """Return the bytes of one forward pass over a hold-out batch and its losses."""
    batch = min(settings.training.per_device_eval_batch_size, rows.count)
    head = batch * (rows.completion + 1) * sizes.vocabulary * MASTER_BYTES * _SCORING_LOGITS
    # under autocast the head's own logits are there besides their float32 copy
    own = batch * (rows.completion + 1) * sizes.vocabulary * 2 if sixteen_bit else 0
    return max(head + own, _passing(sizes, batch * rows.longest))


def _passing(sizes: Sizes, tokens: int) -> int:
    """Return the bytes of ``tokens`` on their way through a layer that keeps nothing: attention or MLP, the larger."""
    return tokens * MASTER_BYTES * (2 * sizes.hidden + max(4 * sizes.attention, 3 * sizes.intermediate))


def _generating(sizes: Sizes, settings: st.Settings, sixteen_bit: bool, rows: BatchShape) -> int:
    """Return the bytes of the largest generation: keys and values of all layers, and the prompts on their way."""
    batch = min(generation_batch(settings), max(rows.count, len(settings.generation.prompts)))
    new = max(settings.generation.max_new_tokens, settings.grading.max_new_tokens if settings.grading.evaluate else 0)
    # a layer's keys and values are there twice while a token is added to them
    cached = 2 * sizes.key_value * (sizes.layers + 1) * (2 if sixteen_bit else MASTER_BYTES)
    next_token = batch * sizes.vocabulary * MASTER_BYTES * 2
    return batch * (rows.longest + new) * cached + _passing(sizes, batch * rows.longest) + next_token


def generation_batch(settings: st.Settings, eval_batch: int = 0) -> int:
    """Return how many prompts are generated together; ``eval_batch`` (0: the setting's) bounds it."""
    batch = eval_batch or settings.training.per_device_eval_batch_size
    return max(batch, min(settings.generation.batch_size, batch * 2))
