"""Load models, adapters and tokenizers, and quieten the libraries that do it.

Weights are loaded as float32 masters, whatever the checkpoint's own type: half-precision weights barely move at
fine-tuning learning rates. Half precision is a matter of autocast (``precision.py``).
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from opeddev_tui.checkpoints.base_model import base_of, require_base
from opeddev_tui.checkpoints.folders import Manifest, read_manifest
from opeddev_tui.config import settings as st
from opeddev_tui.data import hub_reach
from opeddev_tui.errors import ModelProblem
from opeddev_tui.format import capital
from opeddev_tui.models.adapters import check_targets, targets_of
from opeddev_tui.models.attention import attend_in_padding, leave_out_cudnn
from opeddev_tui.models.causal_lm import CausalLM
from opeddev_tui.models.generation_config import make_consistent
from opeddev_tui.models.model_config import (
    LOADING_ERRORS,
    TEXT_WEIGHTS,
    load_config,
    loading_problem,
    revision_of,
    without_hub,
)
from opeddev_tui.models.place import source_of as source_of
from opeddev_tui.models.weight_files import lacking

_LOG = logging.getLogger(__name__)


def quiet_libraries() -> None:
    """Take the libraries' own handlers and progress bars away; their words reach the root logger instead."""
    from datasets.utils import logging as datasets_logging
    from huggingface_hub.utils import logging as hub_logging
    from transformers.utils import logging as transformers_logging

    for library in (transformers_logging, datasets_logging):
        library.disable_progress_bar()
        library.enable_propagation()
    transformers_logging.disable_default_handler()
    # each repeated request has two lines there, which belong into the log
    hub_logging.enable_propagation()
    logging.getLogger("huggingface_hub").handlers.clear()


def commit_of(source: str, model: st.Model) -> str:
    """Return the hub commit that ``source`` resolved to, from the local cache; empty for a local folder."""
    from transformers.utils.hub import cached_file, extract_commit_hash

    if Path(source).is_dir():
        return ""
    path = cached_file(source, "config.json", revision=model.revision, local_files_only=True)
    return extract_commit_hash(path, None) or ""


def load_tokenizer(source: str, model: st.Model) -> Any:
    """Return the tokenizer at ``source`` with a padding token; raises ``ModelProblem``."""
    from transformers import AutoTokenizer

    try:
        with hub_reach.as_far_as_it_is(source):
            tokenizer = AutoTokenizer.from_pretrained(
                source, trust_remote_code=model.trust_remote_code, **revision_of(source, model)
            )
    except Exception as error:
        raise loading_problem(source, "tokenizer", error) from error
    if tokenizer.pad_token_id is None:
        if tokenizer.eos_token is None:
            raise ModelProblem(
                f"the tokenizer of {source} has neither an end-of-text nor a padding token.",
                where="model.name",
                cure="Set eos_token in tokenizer_config.json, or take the model's own tokenizer.",
            )
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    # prompts are cut before a model reads them: the library's warning of "indexing errors" would be wrong
    tokenizer.deprecation_warnings["sequence-length-is-longer-than-the-specified-maximum"] = True
    return tokenizer


def _load_plain(source: str, model: st.Model) -> CausalLM:
    loaded, missing = _from_pretrained(source, model)
    # the library would fill these with random numbers and say so in a log only
    if missing:
        raise loading_problem(source, "model", ValueError(lacking(missing)))
    make_consistent(loaded)
    leave_out_cudnn()
    if torch.cuda.is_available():
        attend_in_padding(loaded)
    return loaded


def _from_pretrained(source: str, model: st.Model) -> tuple[CausalLM, list[str]]:
    """Return the model and the names of its weights that are not there; of a multimodal model the text part."""
    from transformers import AutoModelForCausalLM

    config = load_config(source, model)
    arguments: dict[str, Any] = {"device_map": model.device_map} if torch.cuda.is_available() else {}
    if not config.whole:
        arguments |= {"config": config.text, "key_mapping": TEXT_WEIGHTS}
    loader: Any = AutoModelForCausalLM  # its types do not know output_loading_info
    if note := without_hub(source, model):
        _LOG.warning("%s", capital(note))
    while True:
        try:
            with hub_reach.as_far_as_it_is(source):
                loaded, found = loader.from_pretrained(
                    source,
                    dtype=torch.float32,
                    trust_remote_code=model.trust_remote_code,
                    use_safetensors=True if model.use_safetensors else None,
                    output_loading_info=True,
                    **revision_of(source, model),
                    **arguments,
                )
        except (*LOADING_ERRORS, SafetensorError) as error:
            raise loading_problem(source, "model", error) from error
        missing = sorted(found["missing_keys"])
        if not config.whole and hasattr(loaded, "_weight_conversions"):
            # saved again it is a model of text alone, not under the multimodal model's names
            del loaded._weight_conversions
        _check_places(source, getattr(loaded, "hf_device_map", None) or {})
        if config.whole or missing != ["lm_head.weight"] or config.text.tie_word_embeddings:
            return loaded, missing
        # the multimodal model ties its output layer to the embedding, which its text part does not say
        config.text.tie_word_embeddings = True


def _check_places(source: str, places: Mapping[str, Any]) -> None:
    """Raise ``ModelProblem`` where a part of the model was put beside the GPUs, where nothing can be trained."""
    beside = [part for part, place in places.items() if str(place) in ("cpu", "disk", "meta")]
    if beside and (len(beside) < len(places) or any(str(place) != "cpu" for place in places.values())):
        raise ModelProblem(
            f"the model of {source} does not fit on the GPU: {len(beside)} of its {len(places)} parts lie outside.",
            where="model.device_map",
            cure="End what else uses the GPU (nvidia-smi shows it), take a smaller model, or a GPU with more memory.",
        )


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

    require_base_for(folder, model)
    base = load_model(base_of(folder, manifest), model)
    try:
        merged: Any = PeftModel.from_pretrained(base, str(folder)).merge_and_unload()
    except (*LOADING_ERRORS, SafetensorError) as error:
        raise loading_problem(str(folder), "adapter", error) from error
    # PEFT froze the base; merged, it is an ordinary model again that a full step can train
    trainable: CausalLM = merged.requires_grad_(True)
    return trainable


def full_source(source: str) -> str:
    """Return the model that ``source`` is, or that its adapters sit on, following the lineage."""
    manifest = read_manifest(Path(source)) if Path(source).is_dir() else None
    return full_source(base_of(Path(source), manifest)) if manifest is not None and manifest.lora else source


def require_base_for(folder: Path, model: st.Model) -> None:
    """Raise ``ModelProblem`` if the adapters in ``folder`` would sit on another model than they were trained on."""
    manifest = read_manifest(folder)
    if manifest is None or not manifest.lora:
        return
    by_commit = manifest.base_identity.startswith("commit:")
    commit = commit_of(base_of(folder, manifest), model) if by_commit else ""
    require_base(folder, manifest, commit)


def with_adapters(model: CausalLM, lora: st.Lora, trained: Path | None = None) -> CausalLM:
    """Return ``model`` with trainable LoRA adapters, fresh or those of the checkpoint ``trained``.

    The model's own weights are frozen.
    """
    from peft import LoraConfig, PeftModel, get_peft_model

    adapted: CausalLM
    if trained is not None:
        adapted = PeftModel.from_pretrained(model, str(trained), is_trainable=True)
        return adapted
    check_targets(model, lora)
    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.lora_alpha,
        lora_dropout=lora.lora_dropout,
        target_modules=targets_of(lora),
        task_type="CAUSAL_LM",
    )
    adapted = get_peft_model(model, config)
    return adapted
