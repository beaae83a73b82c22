"""Owns loading models and tokenizers: sources, precision by hardware, adapters, weight fingerprints.

Weights are loaded as float32 masters, whatever the checkpoint's own type: half-precision weights barely move at
fine-tuning learning rates. Half precision is a matter of autocast, chosen by the hardware.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from msgspec import Struct
from safetensors import SafetensorError

from opeddev_tui import settings as st
from opeddev_tui.adapters import check_targets, targets_of
from opeddev_tui.checkpoints import Manifest, read_manifest
from opeddev_tui.errors import ModelProblem
from opeddev_tui.generation_config import make_consistent
from opeddev_tui.model_config import LOADING_ERRORS, TEXT_WEIGHTS, load_config, loading_problem, revision_of
from opeddev_tui.stores import located

# elements of a tensor hashed at a time, to keep the extra memory small
_CHUNK = 1 << 22


class Precision(Struct, frozen=True):
    """What arithmetic is used, and why: ``name`` is fp32, bf16 or fp16."""

    name: str
    reason: str

    @property
    def dtype(self) -> torch.dtype | None:
        """The autocast type, None for plain float32."""
        return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.name)


def device_name() -> str:
    """Return the device in words."""
    if torch.cuda.is_available():
        count = torch.cuda.device_count()
        return torch.cuda.get_device_name(0) + (f" × {count}" if count > 1 else "")
    return f"CPU, {torch.get_num_threads()} thread{'s' if torch.get_num_threads() > 1 else ''}"


def resolve_precision(wanted: str) -> Precision:
    """Return the precision for ``wanted`` on this hardware.

    Emulated bf16 (compute capability below 8) is never chosen: it is slower than float32.
    """
    if wanted == "fp32":
        return Precision("fp32", "asked for in the settings")
    if not torch.cuda.is_available():
        return Precision("fp32", "no GPU: 16-bit arithmetic is slower than float32 on a CPU")
    major, minor = torch.cuda.get_device_capability()
    if major >= 8:
        return Precision("bf16", f"compute capability {major}.{minor} has bf16; float32 master weights")
    if wanted == "bf16":
        return Precision("fp16", f"compute capability {major}.{minor} only emulates bf16; fp16 with a loss scaler")
    return Precision("fp16", f"compute capability {major}.{minor}: fp16 with a loss scaler, float32 master weights")


@contextlib.contextmanager
def autocast(precision: Precision, device: torch.device) -> Iterator[None]:
    """Run the block in ``precision`` on ``device``; nothing on a CPU."""
    if precision.dtype is None or device.type != "cuda":
        yield
        return
    with torch.autocast(device.type, dtype=precision.dtype):
        yield


def source_of(root: Path, name: str) -> str:
    """Return a local folder for ``name`` if there is one (relative to the workspace), else the hub name."""
    folder = root / Path(name).expanduser()
    return str(folder) if folder.is_dir() else name


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
    return tokenizer


def _load_plain(source: str, model: st.Model) -> Any:
    loaded, missing = _from_pretrained(source, model)
    # the library would fill these with random numbers and say so in a log only
    if missing:
        raise loading_problem(source, "model", ValueError(f"it lacks {len(missing)} weights, such as {missing[0]}"))
    make_consistent(loaded)
    return loaded


def _from_pretrained(source: str, model: st.Model) -> tuple[Any, list[str]]:
    """Return the model and the names of its weights that are not there; of a multimodal model the text part."""
    from transformers import AutoModelForCausalLM

    config = load_config(source, model)
    arguments: dict[str, Any] = {"device_map": model.device_map} if torch.cuda.is_available() else {}
    if not config.whole:
        arguments |= {"config": config.text, "key_mapping": TEXT_WEIGHTS}
    loader: Any = AutoModelForCausalLM  # its types do not know output_loading_info
    while True:
        try:
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
        if config.whole or missing != ["lm_head.weight"] or config.text.tie_word_embeddings:
            return loaded, missing
        # the multimodal model ties its output layer to the embedding, which its text part does not say
        config.text.tie_word_embeddings = True


def load_model(source: str, model: st.Model) -> Any:
    """Return the model at ``source`` in float32: a hub name, a model folder, or a checkpoint of ours.

    An adapter checkpoint is merged into the model it grew from, following its lineage.
    """
    manifest = read_manifest(Path(source)) if Path(source).is_dir() else None
    if manifest is None or not manifest.lora:
        return _load_plain(source, model)
    return _merged_adapter(Path(source), manifest, model)


def _merged_adapter(folder: Path, manifest: Manifest, model: st.Model) -> Any:
    from peft import PeftModel

    base = load_model(_base_of(folder, manifest), model)
    try:
        merged = PeftModel.from_pretrained(base, str(folder)).merge_and_unload()
    except (*LOADING_ERRORS, SafetensorError) as error:
        raise loading_problem(str(folder), "adapter", error) from error
    # PEFT froze the base; merged, it is an ordinary model again that a full step can train
    return merged.requires_grad_(True)


def full_source(source: str) -> str:
    """Return the model that ``source`` is, or that its adapters sit on, following the lineage."""
    manifest = read_manifest(Path(source)) if Path(source).is_dir() else None
    return full_source(_base_of(Path(source), manifest)) if manifest is not None and manifest.lora else source


def _base_of(folder: Path, manifest: Manifest) -> str:
    """Return what the adapters in ``folder`` sit on, where it is now; the folder's run lies in the workspace's own."""
    return located(folder.parent.parent, manifest.base)


def with_adapters(model: Any, lora: st.Lora, trained: Path | None = None) -> Any:
    """Return ``model`` with trainable LoRA adapters, fresh or those of the checkpoint ``trained``.

    The model's own weights are frozen.
    """
    from peft import LoraConfig, PeftModel, get_peft_model

    if trained is not None:
        return PeftModel.from_pretrained(model, str(trained), is_trainable=True)
    check_targets(model, lora)
    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.lora_alpha,
        lora_dropout=lora.lora_dropout,
        target_modules=targets_of(lora),
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def parameter_counts(model: Any) -> tuple[int, int]:
    """Return (all, trainable) parameters."""
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    return sum(size for size, _ in sizes), sum(size for size, trains in sizes if trains)


def fingerprint(model: Any) -> str:
    """Return 16 hex digits that tell one set of weights from another.

    Two exact integer checksums a tensor (sum of the bits; sum weighted by position) computed where the tensor is,
    so that a model on a GPU need not be copied. Equal weights give equal fingerprints on any device.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(_checksums(tensor.detach()).encode())
    return digest.hexdigest()[:16]


def _checksums(tensor: torch.Tensor) -> str:
    integer = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()]
    flat = tensor.contiguous().view(-1).view(integer)
    plain, weighted = 0, 0
    for start in range(0, flat.numel(), _CHUNK):
        bits = flat[start : start + _CHUNK].to(torch.int64)
        places = torch.arange(1, bits.numel() + 1, device=bits.device, dtype=torch.int64)
        plain += int(bits.sum())
        weighted += int((bits * (places % 65_521)).sum()) * (start // _CHUNK + 1)
    return f"{tuple(tensor.shape)} {plain} {weighted}"


def file_hashes(source: str) -> dict[str, str]:
    """Return SHA-256 of the weight and tokenizer files of a local model folder; empty for a hub name."""
    folder = Path(source)
    if not folder.is_dir():
        return {}
    wanted = [*folder.glob("*.safetensors"), folder / "tokenizer.json", folder / "config.json"]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(wanted) if path.is_file()}
