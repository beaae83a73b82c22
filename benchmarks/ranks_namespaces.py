"""Train across two network namespaces, which stand for two machines with one shared disk: run by ``ranks.py``.

torchrun starts a rank in each. The questions are answered from outside of both, through the shared folder; the cable
between them is cut for 30 s; then one rank is killed, and the run is started again. Must leave no namespace behind.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from opeddev_tui.config.loading import load
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.history import list_runs
from opeddev_tui.runs.journal import JournalReader
from opeddev_tui.workspace.paths import Workspace

E = TypeVar("E")
NAMES = ("opeddev-a", "opeddev-b")
ADDRESSES = ("10.77.0.1", "10.77.0.2")
CUT_SECONDS = 30.0
_MOST_SECONDS = 240.0


def run(root: Path, undisturbed: str) -> int:
    """Train at ``root``; 0 if its last checkpoint is the one with the digest ``undisturbed``."""
    with network():
        nodes = start(root, "ask")
        try:
            journal = Followed(root, nodes)
            disturbed(root, journal)
            finish(nodes, "the killed rank's node and rank 0's")
            failed = journal.next(ev.RunFailed)
            print(f"rank 0: {failed.kind}, resumable {failed.resumable}: {failed.message}", flush=True)
            nodes = start(root, "rule")
            finish(nodes, "started again")
        finally:
            for node in nodes:
                _end(node)
    saved = [event for event in journal.all() if isinstance(event, ev.CheckpointSaved)]
    equal = saved[-1].digest == undisturbed
    print(f"the last checkpoint is {'bit-equal to' if equal else 'NOT that of'} the undisturbed run's", flush=True)
    return 0 if equal else 1


def disturbed(root: Path, journal: "Followed") -> None:
    """Answer the first question, cut the cable, kill rank 1."""
    started = journal.next(ev.RanksStarted)
    print(f"ranks: {', '.join(f'{p.rank} on {p.host}, process {p.pid}' for p in started.ranks)}, {started.backend}")
    question = journal.next(ev.DecisionAwaited)
    command = [sys.executable, "-m", "opeddev_tui", "decide", "continue", "-w", str(root)]
    began = time.monotonic()
    subprocess.run(command, check=True)
    decided = journal.next(ev.Decided)
    print(f"epoch {question.epoch}: {decided.choice} ({decided.by}), told from outside, {_since(began)}", flush=True)
    step = journal.next(ev.Progress)
    began = time.monotonic()
    _ip("-n", NAMES[1], "link", "set", "cable-b", "down")
    silent = journal.next(ev.RankSilent)
    print(f"cable cut after step {step.global_step}; rank {silent.rank} is called silent after {_since(began)}")
    time.sleep(max(0.0, CUT_SECONDS - (time.monotonic() - began)))
    _ip("-n", NAMES[1], "link", "set", "cable-b", "up")
    again = time.monotonic()
    warned = journal.next(ev.Warned)
    print(f"cable mended after {again - began:.1f} s: {warned.message} ({_since(again)})")
    step = journal.next(ev.Progress)
    print(f"step {step.global_step} is done {_since(again)} after the cable was mended", flush=True)
    journal.next(ev.Progress)
    os.kill(started.ranks[1].pid, signal.SIGKILL)


def start(root: Path, policy: str) -> list["subprocess.Popen[bytes]"]:
    """Start torchrun in each namespace."""
    nodes = []
    for number, name in enumerate(NAMES):
        launcher = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--node-rank", str(number)]
        launcher += ["--master-addr", ADDRESSES[0], "--master-port", "29517", "--nproc-per-node", "1"]
        words = ["-m", "opeddev_tui", "train", "-w", str(root), "--policy", policy]
        output = (root / f"node{number}-{policy}.out").open("wb")
        command = ["ip", "netns", "exec", name, *launcher, *words]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        nodes.append(subprocess.Popen(command, stdout=output, stderr=output, env=environment, start_new_session=True))
        output.close()
    return nodes


def finish(nodes: list["subprocess.Popen[bytes]"], what: str) -> None:
    """Wait for the ends of ``nodes``, and say how they ended."""
    began = time.monotonic()
    codes = [node.wait(_MOST_SECONDS) for node in nodes]
    print(f"{what}: torchrun ended with {codes} after {_since(began)}", flush=True)


def _end(node: "subprocess.Popen[bytes]") -> None:
    if node.poll() is None:
        os.killpg(node.pid, signal.SIGKILL)
        node.wait()


class Followed:
    """The journal of the workspace's newest run, as another machine sees it."""

    def __init__(self, root: Path, nodes: list["subprocess.Popen[bytes]"]) -> None:
        self._workspace = Workspace(root, load(root, environment={}).settings.paths)
        self._nodes = nodes
        self._reader: JournalReader | None = None
        self._waiting: list[ev.AnyEvent] = []

    def next(self, kind: type[E]) -> E:
        """Return the next event of ``kind``; those before it are passed over."""
        end = time.monotonic() + _MOST_SECONDS
        while time.monotonic() < end:
            self._waiting += self._new()
            while self._waiting:
                event = self._waiting.pop(0)
                if isinstance(event, kind):
                    return event
            time.sleep(0.02)
        raise SystemExit(f"{kind.__name__} did not come; see the nodes' output in {self._workspace.root}")

    def _new(self) -> list[ev.AnyEvent]:
        if self._reader is None:
            runs = list_runs(self._workspace)
            if not runs:
                return []
            self._reader = JournalReader(runs[-1].folder)
        return self._reader.read_new()

    def all(self) -> list[ev.AnyEvent]:
        """Return all events of the run."""
        return JournalReader(list_runs(self._workspace)[-1].folder).read_new()


@contextmanager
def network() -> Iterator[None]:
    """Have two namespaces with a cable between them inside the block."""
    if os.geteuid():
        raise SystemExit("network namespaces need root")
    _forget()
    try:
        for name in NAMES:
            _ip("netns", "add", name)
        _ip("link", "add", "cable-a", "netns", NAMES[0], "type", "veth", "peer", "name", "cable-b", "netns", NAMES[1])
        for name, cable, address in zip(NAMES, ("cable-a", "cable-b"), ADDRESSES, strict=True):
            _ip("-n", name, "address", "add", f"{address}/24", "dev", cable)
            _ip("-n", name, "link", "set", cable, "up")
            _ip("-n", name, "link", "set", "lo", "up")
        yield
    finally:
        _forget()


def _forget() -> None:
    for name in NAMES:
        subprocess.run(["ip", "netns", "del", name], check=False, stderr=subprocess.DEVNULL)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _since(began: float) -> str:
    return f"{time.monotonic() - began:.1f} s"
