"""Tell how many processes beside this training hold memory of a GPU, and how much, through NVML.

Only numbers are told: no names, no users. In a container NVML may number processes as the machine outside does; where
this training is not among the processes of a GPU, nothing can be told of the others.
"""

import contextlib
import os
from collections.abc import Callable
from typing import Any

import psutil

# what stands in the command line of a process that started this one as part of the same training
_OURS = ("opeddev_tui", "opeddev-tui")


def neighbours(handle: Any, ask: Callable[[Callable[[], Any]], Any]) -> tuple[int, int | None]:
    """Return how many other processes use the GPU of NVML's ``handle`` and the bytes they hold, None where unknown.

    ``ask`` calls a function of NVML and returns None where it raises.
    """
    held = _held(handle, ask)
    if not held.keys() - {os.getpid()}:
        return 0, None
    own = _family()
    others = [memory for process, memory in held.items() if process not in own]
    if len(others) == len(held):
        return 0, None
    known = [memory for memory in others if memory is not None]
    return len(others), sum(known) if known and len(known) == len(others) else None


def _held(handle: Any, ask: Callable[[Callable[[], Any]], Any]) -> dict[int, int | None]:
    """Return the bytes that each process holds by its id: those that draw pictures, then those that compute."""
    import pynvml

    held: dict[int, int | None] = {}
    for function in (pynvml.nvmlDeviceGetGraphicsRunningProcesses, pynvml.nvmlDeviceGetComputeRunningProcesses):
        for process in ask(lambda function=function: function(handle)) or ():  # type: ignore[misc]
            memory = process.usedGpuMemory
            held[int(process.pid)] = int(memory) if memory is not None else None
    return held


def _family() -> set[int]:
    """Return the ids of this process, of what it started, and of the launcher above it with all that that started."""
    first = psutil.Process()
    with contextlib.suppress(psutil.Error):
        while (above := first.parent()) is not None and any(word in " ".join(above.cmdline()) for word in _OURS):
            first = above
    found = {os.getpid(), first.pid}
    with contextlib.suppress(psutil.Error):
        found |= {process.pid for process in first.children(recursive=True)}
    return found
