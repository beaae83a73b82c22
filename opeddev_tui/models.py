"""Load models, adapters and tokenizers, and quieten the libraries that do it.

Weights are loaded as float32 masters, whatever the checkpoint's own type: half-precision weights barely move at
fine-tuning learning rates. Half precision is a matter of autocast (``precision.py``).
"""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from opeddev_tui import settings as st
from opeddev_tui.causal_lm import CausalLM
from opeddev_tui.checkpoints import Manifest, read_manifest
from opeddev_tui.errors import ModelProblem
from opeddev_tui.stores import located

# what the libraries raise for a model that is not there, not whole or not one they know
_LOADING = (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError)


def quiet_libraries() -> None:
    """Take the libraries' own handlers and progress bars away; their words reach the root logger instead."""
    from datasets.utils import logging as datasets_logging
    from transformers.utils import logging as transformers_logging

    for library in (transformers_logging, datasets_logging):
        library.disable_progress_bar()
        library.enable_propagation()
    transformers_logging.disable_default_handler()


def source_of(root: Path, name: str) -> str:
    """Return a local folder for ``name`` if there is one (relative to the workspace), else the hub name."""
    folder = root / Path(name).expanduser()
    return str(folder) if folder.is_dir() else name


def _revision(source: str, model: st.Model) -> dict[str, str]:
    return {} if Path(source).is_dir() else {"revision": model.revision}


def commit_of(source: str, model: st.Model) -> str:
    """Return the hub commit that ``source`` resolved to, from the local cache; empty for a local folder."""
    from transformers.utils.hub import cached_file, extract_commit_hash

    if Path(source).is_dir():
        return ""
    path = cached_file(source, "config.json", revision=model.revision, local_files_only=True)
    return extract_commit_hash(path, None) or ""


def loading_problem(source: str, what: str, error: Exception) -> ModelProblem:
    """Return the clear sentence for a ``what`` (model, tokenizer, …) that cannot be loaded from ``source``."""
    local = Path(source).is_dir()
    cure = (
        "Is it a complete model folder (config.json, model.safetensors, tokenizer.json)?"
        if local
        else "Check model.name and the network, or download the model and set model.name to its folder."
    )
    first_line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return ModelProblem(f"the {what} of {source} cannot be loaded: {first_line}", where="model.name", cure=cure)


def load_tokenizer(source: str, model: st.Model) -> Any:
    """Return the tokenizer at ``source`` with a padding token; raises ``ModelProblem``."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            source, trust_remote_code=model.trust_remote_code, **_revision(source, model)
        )
    except _LOADING as error:
        raise loading_problem(source, "tokenizer", error) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    return tokenizer


def _load_plain(source: str, model: st.Model) -> CausalLM:
    from transformers import AutoModelForCausalLM

    placement: dict[str, Any] = {"device_map": model.device_map} if torch.cuda.is_available() else {}
    loader: Any = AutoModelForCausalLM  # its types do not know output_loading_info
    loaded: CausalLM
    try:
        loaded, found = loader.from_pretrained(
            source,
            dtype=torch.float32,
            trust_remote_code=model.trust_remote_code,
            use_safetensors=True if model.use_safetensors else None,
            output_loading_info=True,
            **_revision(source, model),
            **placement,
        )
    except _LOADING as error:
        raise loading_problem(source, "model", error) from error
    # the library would fill these with random numbers and say so in a log only
    if missing := sorted(found["missing_keys"]):
        raise loading_problem(source, "model", ValueError(f"it lacks {len(missing)} weights, such as {missing[0]}"))
    return loaded


def load_model(source: str, model: st.Model) -> CausalLM:
    """Return the model at ``source`` in float32: a hub name, a model folder, or a checkpoint of ours.

    An adapter checkpoint is merged into the model it grew from, following its lineage.
    """
    manifest = read_manifest(Path(source)) if Path(source).is_dir() else None
    if manifest is None or not manifest.lora:
        return _load_plain(source, model)
    return _merged_adapter(Path(source), manifest, model)


def _merged_adapter(folder: Path, manifest: Manifest, model: st.Model) -> CausalLM:
    from peft import PeftModel

    base = load_model(_base_of(folder, manifest), model)
    try:
        merged: Any = PeftModel.from_pretrained(base, str(folder)).merge_and_unload()
    except _LOADING as error:
        raise loading_problem(str(folder), "adapter", error) from error
    # PEFT froze the base; merged, it is an ordinary model again that a full step can train
    trainable: CausalLM = merged.requires_grad_(True)
    return trainable


def full_source(source: str) -> str:
    """Return the model that ``source`` is, or that its adapters sit on, following the lineage."""
    manifest = read_manifest(Path(source)) if Path(source).is_dir() else None
    return full_source(_base_of(Path(source), manifest)) if manifest is not None and manifest.lora else source


def _base_of(folder: Path, manifest: Manifest) -> str:
    """Return what the adapters in ``folder`` sit on, where it is now; the folder's run lies in the workspace's own."""
    return located(folder.parent.parent, manifest.base)


def with_adapters(model: CausalLM, lora: st.Lora, trained: Path | None = None) -> CausalLM:
    """Return ``model`` with trainable LoRA adapters, fresh or those of the checkpoint ``trained``.

    The model's own weights are frozen.
    """
    from peft import LoraConfig, PeftModel, get_peft_model

    adapted: CausalLM
    if trained is not None:
        adapted = PeftModel.from_pretrained(model, str(trained), is_trainable=True)
        return adapted
    targets = lora.target_modules if lora.target_modules == "all-linear" else lora.target_modules.split(",")
    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.lora_alpha,
        lora_dropout=lora.lora_dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )
    adapted = get_peft_model(model, config)
    return adapted
