"""Read how busy the machine is: processor, memory, and the NVIDIA GPUs that the training can use, through NVML.

NVML counts the machine's GPUs in another order than CUDA, and sees those that ``CUDA_VISIBLE_DEVICES`` hides: devices
are matched by their UUID. Each reading is asked for by itself, since some GPUs lack some of them.
"""

import functools
import os
import platform
from collections.abc import Callable, Sequence
from typing import Any

import psutil
from msgspec.structs import replace

from opeddev_tui.runs.events import GpuReading, HardwareSampled
from opeddev_tui.training.gpu_neighbours import neighbours


def sample(others: Sequence[GpuReading] = ()) -> HardwareSampled:
    """Return the present readings: shares in percent, sizes in bytes, temperature in degrees Celsius.

    The fields of one GPU are those of the first one that the training uses. ``others`` are GPUs that other ranks have
    read; those that are seen here, too, are read here.
    """
    memory = psutil.virtual_memory()
    gpus = tuple(_reading(index, uuid, handle) for index, uuid, handle in _gpus())
    seen = {gpu.uuid for gpu in gpus}
    here = platform.node()
    gpus += tuple(replace(gpu, host="") if gpu.host == here else gpu for gpu in others if gpu.uuid not in seen)
    first = gpus[0] if gpus else GpuReading()
    return HardwareSampled(
        cpu_percent=psutil.cpu_percent(None),
        ram_used=memory.used,
        ram_total=memory.total,
        gpu_memory_used=first.memory_used,
        gpu_memory_total=first.memory_total,
        gpu_percent=first.percent,
        gpu_celsius=first.celsius,
        gpus=gpus,
    )


def used_by(device: int) -> tuple[GpuReading, ...]:
    """Return the readings of the GPU that CUDA calls ``device``, as another machine is told them; none on a CPU."""
    found = [_reading(index, uuid, handle) for index, uuid, handle in _gpus() if index == device]
    return tuple(replace(gpu, host=platform.node()) for gpu in found)


@functools.cache
def _gpus() -> list[tuple[int, str, Any]]:
    """Return CUDA's index, the UUID and NVML's handle of each GPU that torch sees and NVML knows."""
    uuids = visible_uuids()
    if not uuids:
        return []
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    found: list[tuple[int, str, Any]] = []
    for index, uuid in enumerate(uuids):
        # torch names a whole GPU and the part of a divided one without the prefix that tells them apart
        names = [uuid] if uuid.startswith(("GPU-", "MIG-")) else [f"GPU-{uuid}", f"MIG-{uuid}"]
        handles = [(name, _read(functools.partial(pynvml.nvmlDeviceGetHandleByUUID, name))) for name in names]
        found += [(index, name, handle) for name, handle in handles if handle is not None][:1]
    return found


def visible_names() -> list[str]:
    """Return the UUIDs of the GPUs that torch sees and NVML knows, as CUDA_VISIBLE_DEVICES takes them."""
    return [name for _, name, _ in _gpus()]


def visible_uuids() -> list[str]:
    """Return the UUIDs of the GPUs that torch sees, in CUDA's order, as torch writes them."""
    import torch

    if not torch.cuda.is_available():
        return []
    return [str(torch.cuda.get_device_properties(index).uuid) for index in range(torch.cuda.device_count())]


def _reading(index: int, uuid: str, handle: Any) -> GpuReading:
    import pynvml

    memory = _read(lambda: pynvml.nvmlDeviceGetMemoryInfo(handle))
    use = _read(lambda: pynvml.nvmlDeviceGetUtilizationRates(handle))
    heat = _read(lambda: pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU))
    power = _read(lambda: pynvml.nvmlDeviceGetPowerUsage(handle))
    name = _read(lambda: pynvml.nvmlDeviceGetName(handle))
    others, others_memory = neighbours(handle, _read)
    return GpuReading(
        index=index,
        uuid=uuid,
        name=name.decode(errors="replace") if isinstance(name, bytes) else name or "",
        memory_used=int(memory.used) if memory is not None else None,
        memory_total=int(memory.total) if memory is not None else None,
        percent=float(use.gpu) if use is not None else None,
        celsius=float(heat) if heat is not None else None,
        watts=power / 1000 if power is not None else None,
        others=others,
        others_memory=others_memory,
    )


def _read(ask: Callable[[], Any]) -> Any:
    """Return what NVML answers, None where this GPU or driver does not know it."""
    import pynvml

    try:
        return ask()
    except pynvml.NVMLError:
        return None


def training_threads(setting: int) -> int:
    """Return the number of CPU threads for training; ``setting`` 0 leaves one core to the screen."""
    return setting or max(1, (os.cpu_count() or 1) - 1)
