"""The part of ``gpu.py`` that trains by two processes on one GPU: whole copies and shards, a killed rank, resume.

Not for use by itself. NCCL refuses two ranks of one machine on one GPU, so each says that it is on a machine of its own
(``NCCL_HOSTID``), and they exchange through sockets: this is the code path of two machines, not their speed. Where NCCL
does not work at all, gloo takes its place, which the figures then say.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from gpu_runs import GIB, events_of, losses_of, make_workspace, save_model, seconds_by_phase, weights_digest

if TYPE_CHECKING:
    from gpu import Bench

_SMOKE = """
import os, torch, torch.distributed as dist
torch.cuda.set_device(0)
dist.init_process_group("nccl")
given = torch.full((1 << 20,), float(dist.get_rank() + 1), device="cuda")
dist.all_reduce(given)
assert given.mean().item() == 3.0
dist.destroy_process_group()
"""
# has the ranks exchange through gloo although there is a GPU
_GLOO = """import sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "opeddev_tui.training.steps":
            import opeddev_tui.ranks.group as group
            group.backend = lambda: "gloo"
sys.meta_path.insert(0, Finder())
"""
_DETERMINISTIC = {"arguments": {"full_determinism": True}}
Nodes = list["subprocess.Popen[str]"]


class Pair:
    """Starts two launchers with one rank each, as if they were two machines."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self._bench, self._folder = bench, folder
        self.more: dict[str, str] = {}

    def launch(self, root: Path, *words: str) -> Nodes:
        """Start both on ``words`` for python; their output goes to files in ``root``."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = int(server.getsockname()[1])
        return [self._node(root, number, port, words) for number in range(2)]

    def _node(self, root: Path, number: int, port: int, words: tuple[str, ...]) -> subprocess.Popen[str]:
        launcher = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--node-rank", str(number)]
        launcher += ["--master-addr", "127.0.0.1", "--master-port", str(port), "--nproc-per-node", "1"]
        hidden = {} if self._bench.cuda else {"CUDA_VISIBLE_DEVICES": ""}
        hidden["PYTHONFAULTHANDLER"] = "1"
        apart = {"NCCL_HOSTID": f"node{number}", "NCCL_SOCKET_IFNAME": "lo", "NCCL_IB_DISABLE": "1"}
        environment = {
            **os.environ,
            "COLUMNS": "200",
            "NCCL_DEBUG": "WARN",
            "PYTHONFAULTHANDLER": "1",
            **apart,
            **hidden,
            **self.more,
        }
        with (root / f"output{number}").open("a") as output:
            return subprocess.Popen(
                [*launcher, *words], stdout=output, stderr=output, text=True, env=environment, start_new_session=True
            )

    def train(self, root: Path) -> Nodes:
        """Start the training of the workspace ``root`` on both."""
        return self.launch(root, "-m", "opeddev_tui", "train", "-w", str(root))

    def end(self, nodes: Nodes, seconds: float) -> list[int]:
        """Wait ``seconds`` for the ends, have what is left say where it is, kill it; return the exit codes."""
        ends = time.monotonic() + seconds
        for node in nodes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                node.wait(max(0.0, ends - time.monotonic()))
        left = [node for node in nodes if node.poll() is None]
        ranks = [rank for node in left for rank in psutil.Process(node.pid).children(recursive=True)]
        for rank in ranks:
            # Python's fault handler answers with the stack of each thread
            rank.send_signal(signal.SIGABRT)
        psutil.wait_procs(ranks, 3)
        for process in [*ranks, *left]:
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                process.kill()
        return [node.wait() for node in nodes]

    def choose_exchange(self) -> str:
        """Return what the ranks exchange through: NCCL where a sum over both works."""
        if not self._bench.cuda:
            return "gloo, on processors"
        script = self._folder / "smoke.py"
        script.write_text(_SMOKE)
        if not any(self.end(self.launch(self._folder, str(script)), 60)):
            return "NCCL"
        site = self._folder / "site"
        site.mkdir()
        (site / "sitecustomize.py").write_text(_GLOO)
        self.more = {"PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])}
        return f"gloo, as NCCL ended with: {output_of(self._folder)[-700:]}"


def output_of(root: Path) -> str:
    """Return the last output of both nodes."""
    return " // ".join(path.read_text()[-6000:] for path in sorted(root.glob("output*")))


def ranks(bench: Bench) -> None:
    """Train by one process, and by two with whole copies."""
    _train(bench, "one process", "two, whole copies")


def shards(bench: Bench) -> None:
    """Train by two processes with shards alone."""
    _train(bench, "two, shards")


def _train(bench: Bench, *names: str) -> None:
    with _pair(bench) as (pair, folder):
        model = save_model(bench, folder / "model", 28)
        for name in names:
            _whole(bench, pair, folder / name.replace(" ", "-"), model, name)


def killed_ranks(bench: Bench) -> None:
    """Kill and resume trainings with whole copies: a rank, and the first one."""
    _killed(bench)
    _killed(bench, victim=0)


def killed_shards(bench: Bench) -> None:
    """Kill and resume a training with shards."""
    _killed(bench, shard=True)


@contextlib.contextmanager
def _pair(bench: Bench) -> Iterator[tuple[Pair, Path]]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        pair = Pair(bench, Path(folder))
        bench.tell("ranks", "exchange", backend=pair.choose_exchange())
        yield pair, Path(folder)


def _whole(bench: Bench, pair: Pair, root: Path, model: Path, name: str) -> None:
    """Train 24 rows for one epoch with four rows per optimizer step, and tell speed, memory and losses."""
    from opeddev_tui.runs.events import EpochFinished, MemoryEstimated

    count = 1 if name.startswith("one") else 2
    training = {"num_train_epochs": 1, "per_device_train_batch_size": 4 // count, "shard": "shards" in name}
    make_workspace(bench, root, model, training=training, generation={"num_probes": 2, "max_new_tokens": 16})
    began = time.perf_counter()
    with most_memory(bench) as memory:
        if count == 1:
            alone = [sys.executable, "-m", "opeddev_tui", "train", "-w", str(root)]
            with (root / "output0").open("a") as output:
                nodes = [subprocess.Popen(alone, stdout=output, stderr=output, text=True, start_new_session=True)]
        else:
            nodes = pair.train(root)
        codes = pair.end(nodes, 150 if bench.cuda else 900)
    if not (root / "logs" / "runs").is_dir():
        bench.tell("ranks", name, codes=codes, refused=output_of(root))
        return
    seconds, events = time.perf_counter() - began, events_of(root)
    bench.tell(
        *("ranks", name),
        codes=codes,
        seconds=seconds,
        phases=seconds_by_phase(events),
        gib_of_the_gpu=memory(events),
        estimate={event.peak: round(event.total / GIB, 2) for event in events if isinstance(event, MemoryEstimated)},
        samples_per_second=[event.samples_per_second for event in events if isinstance(event, EpochFinished)],
        losses=losses_of(events),
        train_losses=[event.train_loss for event in events if isinstance(event, EpochFinished)],
        end=output_of(root) if any(codes) else "",
    )


@contextlib.contextmanager
def most_memory(bench: Bench) -> Iterator[Callable[[list[Any]], dict[str, float]]]:
    """Watch the memory of the whole GPU inside the block; the answer gives the most GiB of each phase of a training."""
    import pynvml

    seen: list[tuple[float, int]] = []
    over = threading.Event()

    def look() -> None:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        while not over.wait(0.05):
            seen.append((time.time(), int(pynvml.nvmlDeviceGetMemoryInfo(handle).used)))

    def by_phase(events: list[Any]) -> dict[str, float]:
        from opeddev_tui.runs.events import PhaseChanged

        phases = [event for event in events if isinstance(event, PhaseChanged)]
        found: dict[str, float] = {}
        for at, used in seen:
            phase = next((event.phase for event in reversed(phases) if event.at <= at), "")
            found[phase] = max(found.get(phase, 0.0), round(used / GIB, 2))
        return found

    watcher = threading.Thread(target=look, daemon=True)
    if bench.cuda:
        watcher.start()
    try:
        yield by_phase
    finally:
        over.set()
        if bench.cuda:
            watcher.join()


def _killed(bench: Bench, *, shard: bool = False, victim: int = 1) -> None:
    """Kill a rank of a smaller model's training in the second epoch and start again, beside an undisturbed run."""
    with _pair(bench) as (pair, folder):
        model = save_model(bench, folder / "small", 4)
        case = f"rank {victim} killed, {'shards' if shard else 'whole copies'}"
        bench.tell("ranks", case, **_kill_and_resume(bench, pair, folder, model, shard=shard, victim=victim))


def _kill_and_resume(
    bench: Bench, pair: Pair, folder: Path, model: Path, *, shard: bool, victim: int
) -> dict[str, Any]:
    if bench.cuda:
        pair.more = {**pair.more, "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    roots = [folder / name for name in ("undisturbed", "killed")]
    for root in roots:
        training = {**_DETERMINISTIC, "per_device_train_batch_size": 2, "shard": shard}
        make_workspace(bench, root, model, training=training, generation={"num_probes": 2, "max_new_tokens": 16})
    undisturbed, killed = (pair.train(root) for root in roots)
    at, seconds, codes, words = _kill_rank(pair, roots[1], killed, victim)
    end = output_of(roots[1])
    resumed = pair.end(pair.train(roots[1]), 100 if bench.cuda else 900)
    codes_of_first = pair.end(undisturbed, 60 if bench.cuda else 900)
    digests = [weights_digest(root) for root in roots]
    return {
        "killed_at_epoch": at,
        "ended_after": seconds,
        "codes": codes,
        "words": words,
        "codes_of_resumed": resumed,
        "codes_of_undisturbed": codes_of_first,
        "resumed_alike": digests[0] == digests[1],
        "weights": digests,
        "end_of_killed": end,
        "end_of_resumed": output_of(roots[1]) if any(resumed) else "",
        "end_of_undisturbed": output_of(roots[0]) if any(codes_of_first) else "",
    }


def _kill_rank(pair: Pair, root: Path, nodes: Nodes, victim: int) -> tuple[float, list[float], list[int], str]:
    """Kill a rank once epoch 2 has begun; return the epoch, the seconds until each ended, codes, rank 0's words."""
    from opeddev_tui.runs.events import Progress, RanksStarted, RunFailed
    from opeddev_tui.runs.journal import JournalReader

    reader, other, ends = None, 0, time.monotonic() + 600
    while time.monotonic() < ends and nodes[0].poll() is None:
        runs = list((root / "logs" / "runs").glob("*")) if (root / "logs" / "runs").exists() else []
        reader = reader or (JournalReader(runs[0]) if runs else None)
        for event in reader.read_new() if reader else ():
            if isinstance(event, RanksStarted):
                other = event.ranks[victim].pid
            if isinstance(event, Progress) and event.epoch > 1.2 and other:
                os.kill(other, signal.SIGKILL)
                began = time.perf_counter()
                seconds = _seconds_until_ends(nodes, began)
                codes = pair.end(nodes, 0)
                words = [later.message for later in JournalReader(runs[0]).read_new() if isinstance(later, RunFailed)]
                return event.epoch, seconds, codes, " ".join(words)
        time.sleep(0.01)
    return -1.0, [], pair.end(nodes, 0), output_of(root)[-600:]


def _seconds_until_ends(nodes: Nodes, began: float) -> list[float]:
    """Wait for at most a minute; return how many seconds after ``began`` each node was seen for the last time."""
    seconds = [0.0 for _ in nodes]
    while (passed := time.perf_counter() - began) < 60 and any(node.poll() is None for node in nodes):
        # the last moment at which each was still there
        seconds = [known if node.poll() is not None else passed for node, known in zip(nodes, seconds, strict=True)]
        time.sleep(0.05)
    return [round(known, 1) for known in seconds]


PARTS: dict[str, Callable[[Any], None]] = {
    "ranks": ranks,
    "shards": shards,
    "killed ranks": killed_ranks,
    "killed shards": killed_shards,
}
