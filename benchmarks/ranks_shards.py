"""Train the demo's first step on a wider model by two processes, with whole copies and with shards, and compare them.

Called by ``ranks.py``. The model has 16 million random weights, so that it is seen beside what the libraries take.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import torch
from msgspec import Struct
from transformers import AutoConfig, AutoModelForCausalLM

from opeddev_tui.config.loading import load
from opeddev_tui.demo.about import MODEL
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.history import list_runs
from opeddev_tui.runs.journal import read
from opeddev_tui.workspace.paths import Workspace

_WIDER = {
    "hidden_size": 512,
    "intermediate_size": 1536,
    "num_hidden_layers": 6,
    "layer_types": ["full_attention"] * 6,
}
_LOOK_SECONDS = 0.1
# freed tensors go back to the system, so that resident memory is what is held
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}
Compare = Callable[[Path, Path], Sequence[tuple[str, str]]]


class Trained(Struct, frozen=True):
    """A run, and the resident bytes of its ranks together at moments of it."""

    run: Path
    memory: list[tuple[float, int]]

    def of_training(self) -> str:
        """Return the most that both ranks together had between the first and the last optimizer step of an epoch."""
        points = [event.at for event in read(self.run) if isinstance(event, ev.Progress) and event.epoch < 1]
        return f"{max(size for at, size in self.memory if points[0] < at < points[-1]) / 2**20:.0f} MiB"

    @property
    def seconds(self) -> str:
        """The seconds of all optimizer steps."""
        found = [event for event in read(self.run) if isinstance(event, ev.EpochFinished) and event.samples_per_second]
        rows = next(event.rows for event in read(self.run) if isinstance(event, ev.DataPrepared))
        return f"{sum(rows / (event.samples_per_second or 1) for event in found):.1f}"

    @property
    def digest(self) -> str:
        """The digest of the last checkpoint."""
        return [event.digest for event in read(self.run) if isinstance(event, ev.CheckpointSaved)][-1]


def run(make: Callable[[str], Path], compare: Compare) -> int:
    """Train in workspaces of ``make(name)``, print what differs; return whether shards were not exact."""
    whole, sharded = (train(make(name), shard=name == "sharded") for name in ("whole", "sharded"))
    for name, words in compare(whole.run, sharded.run):
        # the last one speaks of one process and of two
        if not name.startswith("weights"):
            print(f"| {name} | {words} |")
    print(f"| seconds of training, whole copies : shards | {whole.seconds} : {sharded.seconds} |")
    print(f"| memory of both processes while they train | {whole.of_training()} : {sharded.of_training()} |")
    again = train(make("killed"), shard=True, kill_at=4)
    exact = train(again.run.parents[2], shard=True).digest == sharded.digest
    print(f"| rank 1 killed in the first epoch, started again: weights | {'equal' if exact else 'DIFFERENT'} |")
    return int(not exact)


def train(root: Path, *, shard: bool, kill_at: int = 0) -> Trained:
    """Train the first step at ``root``, which has the demo's model; with ``kill_at`` rank 1 is killed at that step."""
    if not list_runs(_workspace(root)):
        _widen(root / MODEL)
    words = ["train", "-w", str(root), "--policy", "rule", "--set", "training.num_processes=2"]
    words += ["--set", f"training.shard={str(shard).lower()}"]
    before = len(list_runs(_workspace(root)))
    process = subprocess.Popen([sys.executable, "-m", "opeddev_tui", *words], env={**os.environ, **_ENVIRONMENT})
    memory: list[tuple[float, int]] = []
    while process.poll() is None:
        time.sleep(_LOOK_SECONDS)
        ranks = [process.pid, *(child.pid for child in psutil.Process(process.pid).children())]
        memory.append((time.time(), sum(_resident(pid) for pid in ranks)))
        found = list_runs(_workspace(root))
        if kill_at and len(found) > before and len(ranks) > 1 and _steps(found[-1].folder) >= kill_at:
            os.kill(ranks[1], signal.SIGKILL)
            kill_at = 0
    return Trained(list_runs(_workspace(root))[-1].folder, memory)


def _workspace(root: Path) -> Workspace:
    return Workspace(root, load(root, environment={}).settings.paths)


def _widen(folder: Path) -> None:
    """Replace the model in ``folder`` by a wider one with the same tokenizer, the same each time."""
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder, **_WIDER)).float().save_pretrained(folder)


def _resident(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _steps(run: Path) -> int:
    return max((event.global_step for event in read(run) if isinstance(event, ev.Progress)), default=0)
