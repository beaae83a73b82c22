"""The arithmetic of a training: float32 or half precision by hardware, and the autocast block that uses it.

Master weights stay float32; nothing here loads or changes a model.
"""

import contextlib
from collections.abc import Iterator

import torch
from msgspec import Struct


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
