"""Read how busy the machine is: processor, memory, and the first NVIDIA GPU through NVML."""

import functools
import os
from typing import Any

import psutil

from opeddev_tui.runs.events import HardwareSampled


@functools.cache
def _gpu() -> Any:
    """Return NVML's handle of the first GPU, None without one."""
    import pynvml

    try:
        pynvml.nvmlInit()
        return pynvml.nvmlDeviceGetHandleByIndex(0)
    except pynvml.NVMLError:
        return None


def sample() -> HardwareSampled:
    """Return the present readings: shares in percent, sizes in bytes, temperature in degrees Celsius."""
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


def training_threads(setting: int) -> int:
    """Return the number of CPU threads for training; ``setting`` 0 leaves one core to the screen."""
    return setting or max(1, (os.cpu_count() or 1) - 1)
