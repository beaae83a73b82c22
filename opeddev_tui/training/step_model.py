"""Load the model that a step trains: the parent's weights or those of a checkpoint, with adapters where they are set.

Every rank makes it in the same way, on a device of its own.
"""

from pathlib import Path

import torch
from msgspec.structs import replace

from opeddev_tui.checkpoints import folders
from opeddev_tui.config import settings as st
from opeddev_tui.models import loading
from opeddev_tui.models.causal_lm import CausalLM


def placed(settings: st.Settings, device: int = 0) -> st.Model:
    """Return how a model is loaded by one of several processes: on the GPU number ``device`` alone."""
    if settings.training.num_processes == 1 or not torch.cuda.is_available():
        return settings.model
    return replace(settings.model, device_map=f"cuda:{device}")


def step_model(
    source: str, settings: st.Settings, resume: Path | None, *, given: CausalLM | None = None, device: int = 0
) -> CausalLM:
    """Return the model to train from ``source``, or to go on with from the checkpoint ``resume``.

    ``given`` is the model at ``source`` where it is in memory already.
    """
    model = placed(settings, device)
    if settings.lora.enabled:
        base = given if given is not None else loading.load_model(source, model)
        if resume is not None:
            loading.require_base_for(resume, model)
        torch.manual_seed(settings.training.seed)
        return loading.with_adapters(base, settings.lora, resume)
    if resume is not None:
        with folders.in_use(resume):
            return loading.load_model(str(resume), model)
    return given if given is not None else loading.load_model(source, model)
