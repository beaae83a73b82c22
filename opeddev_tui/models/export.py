"""Write a checkpoint's weights, tokenizer and configuration as a model folder that plain Transformers or PEFT loads.

The folder asks by default what training asked and ends a text where training ended it. No file of it names a place of
this machine. What else an export holds is known to ``exporting``.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import torch
from msgspec import Struct

from opeddev_tui.checkpoints.base_model import shown
from opeddev_tui.checkpoints.catalog import Entry
from opeddev_tui.config import settings as st
from opeddev_tui.errors import ModelProblem, StorageProblem
from opeddev_tui.files import free_space
from opeddev_tui.format import size
from opeddev_tui.models import loading, memory, token_check
from opeddev_tui.models.chat import ChatEncoder
from opeddev_tui.models.exported_template import exported

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
# bytes for configuration, card and heads, beside weights and tokenizer
_MARGIN = 16 << 20
# keys of configuration files under which libraries write where something lay on this machine
_PLACE = re.compile(r"(name_or_path|_path|_file|_dir)$")


class AdapterBase(Struct, frozen=True):
    """The model below adapters, as their configuration names it: a name of the hub with its commit, or a short name."""

    name: str
    revision: str = ""


class WrittenModel(Struct, frozen=True):
    """The tokenizer with the template that was written, the encoder of the training, and what a person should know."""

    tokenizer: Any
    encoder: ChatEncoder
    notes: tuple[str, ...] = ()


def write_model(
    entry: Entry, settings: st.Settings, folder: Path, *, dtype: str = "fp32", adapter: AdapterBase | None = None
) -> WrittenModel:
    """Write ``entry`` into the existing ``folder``: its adapters alone where ``adapter`` is their base, else merged.

    ``settings`` are those of the training. Raises ``ModelProblem`` where the weights do not fit into ``dtype``, and
    ``StorageProblem`` before anything is written where the disk has too little room.
    """
    source = str(entry.folder)
    require_room(entry, settings, folder, dtype=dtype, adapter=adapter is not None)
    fitted = token_check.fit(source, settings)
    tokenizer, encoder = fitted.tokenizer, fitted.encoder
    generation = trained_generation(encoder, tokenizer, settings.generation.max_new_tokens)
    if adapter is not None:
        for name in ADAPTER_FILES:
            shutil.copy2(entry.folder / name, folder)
        generation.save_pretrained(folder)
    else:
        model: Any = loading.load_model(source, settings.model)
        _cast(model, DTYPES[dtype])
        model.generation_config = generation
        model.save_pretrained(folder)
    tokenizer.chat_template, note = exported(tokenizer, encoder)
    tokenizer.save_pretrained(folder)
    _without_places(folder, adapter)
    return WrittenModel(tokenizer, encoder, (note,) if note else ())


def require_room(entry: Entry, settings: st.Settings, folder: Path, *, dtype: str, adapter: bool) -> None:
    """Raise ``StorageProblem`` where the disk of ``folder`` has too little room for the export of ``entry``."""
    if adapter:
        needed = sum((entry.folder / name).stat().st_size for name in ADAPTER_FILES)
    else:
        empty = memory.empty_model(loading.full_source(str(entry.folder)), settings.model)
        needed = sum(item.numel() for item in empty.parameters()) * DTYPES[dtype].itemsize
    needed += _MARGIN + sum(path.stat().st_size for path in entry.folder.glob("token*"))
    free = free_space(folder)
    if needed > free:
        raise StorageProblem(
            f"the export needs {size(needed)}, and {size(free)} are free.",
            where=str(folder.parent),
            cure="Free some space there, or choose a folder on another disk.",
        )


def trained_generation(encoder: ChatEncoder, tokenizer: Any, max_new_tokens: int) -> Any:
    """Return the generation config by which the app generates: the likeliest token, until an end that was trained."""
    from transformers import GenerationConfig

    return GenerationConfig(
        do_sample=False,
        max_new_tokens=max_new_tokens,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=encoder.end_ids,
        pad_token_id=tokenizer.pad_token_id,
    )


def _cast(model: Any, dtype: torch.dtype) -> None:
    """Turn the weights into ``dtype``, but for those that the architecture keeps in float32."""
    if dtype == torch.float32:
        return
    kept = tuple(getattr(model, "_keep_in_fp32_modules_strict", None) or ())
    with torch.no_grad():
        for name, item in model.named_parameters():
            if any(part in name for part in kept):
                continue
            item.data = item.data.to(dtype)
            if not torch.isfinite(item.data).all():
                raise ModelProblem(
                    f"{name} holds numbers that {str(dtype).removeprefix('torch.')} cannot hold.",
                    where="export.dtype",
                    cure="Use bf16 or fp32.",
                )
    model.config.dtype = dtype


def _without_places(folder: Path, adapter: AdapterBase | None) -> None:
    """Take the places of this machine out of the configuration files; adapters name their base."""
    for path in sorted(folder.glob("*config.json")):
        content = _placeless(json.loads(path.read_text(encoding="utf-8")))
        if adapter is not None and path.name == "adapter_config.json":
            content |= {"base_model_name_or_path": adapter.name, "revision": adapter.revision or None}
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _placeless(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _placeless(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_placeless(item, key) for item in value]
    return shown(value) if isinstance(value, str) and _PLACE.search(key) else value
