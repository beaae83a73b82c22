"""Fingerprints of weights and model files, and parameter counts: what tells one model from another."""

import hashlib
from pathlib import Path

import torch

from opeddev_tui.checkpoints.heads import is_head
from opeddev_tui.models import sharding
from opeddev_tui.models.causal_lm import CausalLM

# elements of a tensor hashed at a time, to keep the extra memory small
_CHUNK = 1 << 22


def parameter_counts(model: CausalLM) -> tuple[int, int]:
    """Return (all, trainable) parameters."""
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    return sum(size for size, _ in sizes), sum(size for size, trains in sizes if trains)


def fingerprint(model: CausalLM) -> str:
    """Return 16 hex digits that tell one set of weights from another.

    Two exact integer checksums a tensor (sum of the bits; sum weighted by position) computed where the tensor is,
    so that a model on a GPU need not be copied. Equal weights give equal fingerprints on any device. A sharded model
    must be gathered; its fingerprint is that of the weights in the type that it computes in.
    """
    digest = hashlib.sha256()
    tensors = sharding.gathered_tensors(model) if sharding.is_sharded(model) else model.state_dict()
    for name, tensor in sorted(tensors.items()):
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
    # grade heads beside a checkpoint's weights are no part of the model
    weights = [path for path in folder.glob("*.safetensors") if not is_head(path.name)]
    wanted = [*weights, folder / "tokenizer.json", folder / "config.json"]
    return {path.name: _sha256(path) for path in sorted(wanted) if path.is_file()}


def _sha256(path: Path) -> str:
    # piece by piece: weights may be larger than the memory
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
