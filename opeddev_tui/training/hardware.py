"""Owns readings of the machine: processor, memory, and NVIDIA GPUs through NVML."""

import functools
import os
from typing import Any

import psutil

from opeddev_tui.runs.events import HardwareSampled


@functools.cache
def _gpu() -> Any:
    """Return NVML's handle of the first GPU, None where there is none."""
    import pynvml

    try:
        pynvml.nvmlInit()
        return pynvml.nvmlDeviceGetHandleByIndex(0)
    except pynvml.NVMLError:
        return None


def sample() -> HardwareSampled:
    """Return the present readings; sizes in bytes."""
    memory = psutil.virtual_memory()
    return HardwareSampled(
        cpu_percent=psutil.cpu_percent(None), ram_used=memory.used, ram_total=memory.total, **_gpu_readings()
    )


def _gpu_readings() -> dict[str, Any]:
    handle = _gpu()
    if handle is None:
        return {}
    import pynvml

    try:
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        return {
            "gpu_memory_used": int(memory.used),
            "gpu_memory_total": int(memory.total),
            "gpu_percent": float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu),
            "gpu_celsius": float(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)),
        }
    except pynvml.NVMLError:
        return {}


def training_threads(wanted: int) -> int:
    """Return the CPU threads for training: ``wanted``, or all but one (the screen's) where it is 0."""
    return wanted or max(1, (os.cpu_count() or 1) - 1)
