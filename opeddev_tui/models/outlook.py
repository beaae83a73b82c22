"""Tell before a training is started what it would train, on which device, and whether that fits into memory.

Sizes are read from the headers of weight files and from config.json, so the estimate is that of ``memory`` without
the training stack, which must not be imported here: the screen asks.
"""

import json
import math
import os
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
from msgspec import Struct
from msgspec.structs import replace

from opeddev_tui.config import settings as st
from opeddev_tui.errors import ModelProblem
from opeddev_tui.models import memory
from opeddev_tui.models.place import cached_folder, source_of
from opeddev_tui.runs.events import MemoryEstimated

Shapes = Mapping[str, list[int]]
_MOST_HEADER = 100_000_000
# a weight of a layer, not an embedding or the head: "model.layers.3.mlp.up_proj.weight", "transformer.h.0.attn…"
_IN_A_LAYER = re.compile(r"\.(layers|h|blocks)\.\d+\.")
# before the rows are tokens: completions are short beside their prompts
_COMPLETION = 256


class Device(Struct, frozen=True):
    """What would train: its name, its free memory in bytes, and the precision that ``model.precision`` means there.

    ``free`` is that of all GPUs together, ``gpus`` has that of each.
    """

    name: str
    free: int
    precision: str
    gpus: tuple[int, ...] = ()

    def free_for(self, processes: int) -> int:
        """Return the bytes free for each of ``processes``."""
        return memory.free_for_each(self.gpus, processes) if self.gpus else self.free // processes


class Outlook(Struct, frozen=True):
    """What a training would be. ``parameters`` and ``memory`` are None where the model's files are not here yet.

    ``memory`` is that of each of ``processes``. ``idle_gpus`` counts GPUs that would not train, but could: each holds a
    copy of the model.
    """

    device: Device
    parameters: int | None = None
    memory: MemoryEstimated | None = None
    fetched: bool = True
    problem: str = ""
    processes: int = 1
    idle_gpus: int = 0


def outlook(root: Path, settings: st.Settings, rows: int) -> Outlook:
    """Return what a training of ``rows`` rows from the base model would be. Reads headers only; raises nothing."""
    device = _device(settings.model.precision)
    processes = settings.training.num_processes or max(1, len(device.gpus))
    try:
        source = source_of(root, settings.model.name)
    except ModelProblem as problem:
        return Outlook(device, problem=str(problem), processes=processes)
    folder = Path(source) if Path(source).is_dir() else cached_folder(source, settings.model.revision)
    if folder is None:
        return Outlook(device, fetched=False, processes=processes)
    try:
        shapes = _shapes(folder)
        config = json.loads((folder / "config.json").read_text())
        sizes = _sizes(shapes, config)
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        return Outlook(device, problem=f"{folder}: {error}", processes=processes)
    shape = memory.BatchShape(max(rows, 1), settings.data.max_length, min(_COMPLETION, settings.data.max_length))

    def needed(count: int) -> MemoryEstimated:
        """Return the memory that each of ``count`` processes needs."""
        chosen = replace(settings, training=replace(settings.training, num_processes=count))
        free = device.free_for(count)
        return memory.estimate(
            sizes, chosen, sixteen_bit=device.precision != "fp32", train=shape, holdout=shape, free=free
        )

    idle = len(device.gpus) - processes
    # more are offered only where they would train
    fits = idle > 0 and settings.model.device_map == "auto" and needed(len(device.gpus)).verdict == "fits"
    return Outlook(device, sizes.parameters, needed(processes), processes=processes, idle_gpus=idle if fits else 0)


def _shapes(folder: Path) -> dict[str, list[int]]:
    """Return the shape of every weight in the safetensors files of ``folder``, from their headers."""
    shapes: dict[str, list[int]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > _MOST_HEADER:
                raise ValueError(f"{path.name} is no safetensors file")
            header: dict[str, Any] = json.loads(file.read(length))
        shapes |= {name: item["shape"] for name, item in header.items() if name != "__metadata__"}
    if not shapes:
        raise ValueError("it has no safetensors files")
    return shapes


def _sizes(shapes: Shapes, config: dict[str, Any]) -> memory.Sizes:
    """Return the sizes that ``memory.sizes_of`` reads from a model, from its files."""
    text = SimpleNamespace(**(config | (config.get("text_config") or {})))
    linear = [shape for name, shape in shapes.items() if len(shape) == 2 and _IN_A_LAYER.search(name)]
    return memory.sizes_from(
        text,
        parameters=sum(math.prod(shape) for shape in shapes.values()),
        linear=[(shape[1], shape[0]) for shape in linear],
        embedding=int(getattr(text, "hidden_size", 0) or getattr(text, "n_embd", 0) or 1),
    )


def _device(wanted: str) -> Device:
    """Return the GPUs that NVML knows as one device, else the CPU."""
    import pynvml

    free, names, capability = list[int](), list[str](), 0
    try:
        pynvml.nvmlInit()
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            if not _visible(index, str(pynvml.nvmlDeviceGetUUID(handle))):
                continue
            free.append(int(pynvml.nvmlDeviceGetMemoryInfo(handle).free))
            names.append(str(pynvml.nvmlDeviceGetName(handle)))
            capability = int(pynvml.nvmlDeviceGetCudaComputeCapability(handle)[0])
    except pynvml.NVMLError:
        # no driver, or a card that does not tell: as far as is known here the CPU trains
        names = []
    if not names:
        return Device("CPU", int(psutil.virtual_memory().available), "fp32")
    count = f" × {len(names)}" if len(names) > 1 else ""
    precision = "fp32" if wanted == "fp32" else "bf16" if capability >= 8 else "fp16"
    return Device(names[0] + count, sum(free), precision, tuple(free))


def _visible(index: int, uuid: str) -> bool:
    """Return whether CUDA_VISIBLE_DEVICES shows this GPU to CUDA: it names numbers, or beginnings of UUIDs."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return True
    return any(name.strip() == str(index) or uuid.startswith(name.strip() or "-") for name in named.split(","))
