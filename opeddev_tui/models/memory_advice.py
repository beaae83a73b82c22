"""Say what would make a training fit into memory: what is enough by itself comes first. Computes no size by itself."""

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from opeddev_tui.config import settings as st
from opeddev_tui.format import share

# the bytes of each phase with other settings
Phases = Callable[[st.Settings], Mapping[str, int]]


def advice(settings: st.Settings, phases: Phases, room: float, adapters: float) -> list[str]:
    """Return what would help each phase that is larger than ``room`` bytes, the largest phase first.

    ``adapters`` is the share of the parameters that adapters would train.
    """
    now = phases(settings)
    found: list[str] = []
    for name in sorted((name for name in now if now[name] > room), key=lambda name: -now[name]):
        found += _looking(settings, name) if name != "training" else []
        ways = _ways(settings, adapters, training=name == "training")
        enough = [words for words, changed in ways.items() if phases(changed)[name] <= room]
        found += [*enough, *ways]
        if settings.data.max_length > 256:
            found.append(f"data.max_length below {settings.data.max_length}")
    return list(dict.fromkeys(found))


def _ways(settings: st.Settings, adapters: float, *, training: bool) -> dict[str, st.Settings]:
    """Return changed settings that need less memory, by their description, those with the least drawback first."""
    own = settings.training
    found: dict[str, st.Settings] = {}
    if not settings.lora.enabled:
        words = f"lora.enabled = true trains {share(adapters, 1)} of the parameters"
        found[words] = replace(settings, lora=replace(settings.lora, enabled=True))
    if training and not own.activation_checkpointing:
        words = "training.activation_checkpointing = true keeps one layer's activations"
        found[words] = replace(settings, training=replace(own, activation_checkpointing=True))
    if own.num_processes > 1 and not own.shard:
        words = f"training.shard = true shards the model over the {own.num_processes} processes"
        found[words] = replace(settings, training=replace(own, shard=True))
    if training and own.per_device_train_batch_size > 1:
        words = "training.per_device_train_batch_size = 1, with more gradient_accumulation_steps"
        found[words] = replace(settings, training=replace(own, per_device_train_batch_size=1))
    return found


def _looking(settings: st.Settings, phase: str) -> list[str]:
    batch = settings.training.per_device_eval_batch_size
    found = [f"training.per_device_eval_batch_size = {max(1, batch // 4)} instead of {batch}"] if batch > 1 else []
    if phase == "generation" and settings.generation.max_new_tokens > 64:
        found.append(f"generation.max_new_tokens below {settings.generation.max_new_tokens}")
    return found
