"""Training beside a notice service that accepts every request and answers none, against training without a service.

The tiny model of the tests, each side in a process of its own, in turn. Three figures: the time between optimizer
steps (median, as the journal has it) and the processor time of the whole process as ratios, and how much later the
process ends. On a busy machine the processor time is the one to look at.

    python benchmarks/notices_hanging.py --rounds 3
"""

import argparse
import itertools
import os
import resource
import socketserver
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import engine_helpers

from opeddev_tui.runs.events import Progress, RunFinished, RunStarted

VARIABLE = "OPEDDEV_NOTIFY_URLS"


class Holding(socketserver.ThreadingTCPServer):
    """Takes requests and keeps them open."""

    daemon_threads = True
    held = 0


class Held(socketserver.BaseRequestHandler):
    """One request that gets no answer."""

    def handle(self) -> None:
        """Read, and wait for the other side to go."""
        assert isinstance(self.server, Holding)
        if self.request.recv(65536):
            self.server.held += 1
        while self.request.recv(65536):
            pass


def train(root: Path, address: str) -> tuple[float, float, float, float]:
    """Train a step; return seconds between two optimizer steps, to its end, from there to the exit, of processor."""
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    if address:
        environment[VARIABLE] = address
    words = [sys.executable, "-m", "opeddev_tui", "train", "-w", str(root)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, check=True, capture_output=True, env=environment)
    ended, after = time.time(), resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    events = engine_helpers.journal_of(root)
    at = [event.at for event in events if isinstance(event, Progress)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(at)]
    started = next(event.at for event in events if isinstance(event, RunStarted))
    trained = next(event.at for event in events if isinstance(event, RunFinished))
    return statistics.median(gaps), trained - started, ended - trained, processor


def main() -> None:
    """Measure in turns and print the ratios."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    measured: dict[str, list[tuple[float, float, float, float]]] = {"without": [], "hanging": []}
    with tempfile.TemporaryDirectory() as name, Holding(("127.0.0.1", 0), Held) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"json://127.0.0.1:{server.server_address[1]}/x?rto=600&cto=600"
        model = engine_helpers.build_model(Path(name) / "model", hidden_size=128, num_hidden_layers=4)
        for number in range(rounds):
            # who goes first takes turns too
            for side in list(measured) if number % 2 == 0 else list(measured)[::-1]:
                settings = {"training.num_train_epochs": 3}
                root = engine_helpers.make_workspace(
                    Path(name) / f"{side}{number}", model, rows=80, holdout=20, settings=settings
                )
                measured[side].append(train(root, address if side == "hanging" else ""))
                step, total, after, processor = measured[side][-1]
                print(
                    f"{side}: {step * 1000:.1f} ms a step, {total:.1f} s trained, {after:.1f} s until the exit, "
                    f"{processor:.1f} s of processor"
                )
        server.shutdown()
    for index, what in ((0, "time a step"), (1, "time of a run"), (3, "processor time")):
        ratios = [a[index] / b[index] for a, b in zip(measured["hanging"], measured["without"], strict=True)]
        print(f"{what}, hanging : without = {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
    late = statistics.median(item[2] for item in measured["hanging"])
    print(f"later exit: {late - statistics.median(item[2] for item in measured['without']):.1f} s; held: {server.held}")


if __name__ == "__main__":
    main()
