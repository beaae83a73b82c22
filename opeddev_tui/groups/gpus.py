"""Find the GPUs that child processes can be given, by UUID. Must not load the training stack in this process."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

from opeddev_tui.config.settings import Training

_ASK = """
import json
from opeddev_tui.training.hardware import visible_names
print(json.dumps(visible_names()))
"""
# seconds; importing torch takes some of them
_PATIENCE = 120.0


def visible_gpus() -> list[str]:
    """Return the UUIDs of the GPUs that a training started here would see, as CUDA_VISIBLE_DEVICES takes them.

    A process of its own asks CUDA: in this one it would keep memory on the first GPU for as long as the children train.
    """
    if not _has_driver():
        return []
    try:
        done = subprocess.run(
            [sys.executable, "-c", _ASK], capture_output=True, text=True, timeout=_PATIENCE, check=True
        )
        return [str(name) for name in json.loads(done.stdout.splitlines()[-1])]
    except (OSError, ValueError, IndexError, subprocess.SubprocessError):
        return []


def shares_of(gpus: Sequence[str], training: Training) -> list[str]:
    """Return the GPUs of each child that trains at the same time, joined by commas: one for each of its processes.

    With training.num_processes 0 that is one, or all where the model is sharded. Where there are too few, a child gets
    all, and refuses them.
    """
    each = training.num_processes or (len(gpus) if training.shard else 1)
    each = max(1, min(each, len(gpus)))
    return [",".join(gpus[first : first + each]) for first in range(0, len(gpus) - each + 1, each)]


def _has_driver() -> bool:
    import pynvml

    try:
        pynvml.nvmlInit()
        found = bool(pynvml.nvmlDeviceGetCount())
    except pynvml.NVMLError:
        return False
    pynvml.nvmlShutdown()
    return found


def environment_of(gpu: str) -> Mapping[str, str]:
    """Return the environment of a child that trains on ``gpu``, or on several joined by commas.

    Empty: on the CPU, or on what this process has.
    """
    return {**os.environ, "CUDA_VISIBLE_DEVICES": gpu} if gpu else dict(os.environ)
