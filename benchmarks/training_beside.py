"""Measures a training beside the screen: is the event loop late, are keys answered, is it as fast as without."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import engine_helpers
from wire import Wire

HERE = Path(__file__).resolve().parent
SIZE = (80, 24)
ROUNDS = int(os.environ.get("ROUNDS", "3"))


def workspace(folder: Path, name: str, model: Path) -> Path:
    """Make a workspace whose step takes about half a minute."""
    return engine_helpers.make_workspace(
        folder / name,
        model,
        rows=400,
        holdout=20,
        settings={"data.max_length": 128, "training.num_train_epochs": 3, "training.per_device_train_batch_size": 8},
    )


def speed(root: Path) -> float:
    """Return the examples per second of the newest run, over its epochs."""
    state = engine_helpers.states(root)[-1]
    return statistics.median(row.samples_per_second for row in state.epochs.values() if row.samples_per_second)


# Tab goes from pane to pane; each shows its name anew
PANES = (b"Curves", b"Epochs", b"Batches", b"Samples", b"Metrics")


def with_screen(root: Path, out: Path, keys: list[float], helps: list[float], bytes_a_minute: list[float]) -> None:
    """Train in the app; press Tab through all panes, then ? and Esc, again and again."""
    with Wire([sys.executable, str(HERE / "probe.py"), "training", str(root), str(out)], SIZE) as wire:
        wire.seen(b"samples/s", 90)
        since, begun = len(wire.received), time.perf_counter()
        while not out.exists() and time.perf_counter() - begun < 8:
            wire.read(0.2)
        minutes = (time.perf_counter() - begun) / 60
        bytes_a_minute.append((len(wire.received) - since) / minutes)
        while not out.exists() and len(keys) < 200 and wire.process.poll() is None:
            try:
                for pane in PANES:
                    keys.append(wire.time("\t", pane))
                    wire.quiet(0.1)
                helps.append(wire.time("?", b"Esc closes"))
            except AssertionError:
                break
            wire.press("\x1b")
            wire.quiet(0.3)
        wire.until_exit(120)


def only_looked_at(root: Path, out: Path) -> None:
    """Train in the app without a key pressed."""
    with Wire([sys.executable, str(HERE / "probe.py"), "training", str(root), str(out)], SIZE) as wire:
        wire.until_exit(180)


def without(root: Path) -> None:
    """Train from the command line."""
    subprocess.run([sys.executable, "-m", "opeddev_tui", "train", "-w", str(root)], check=True, capture_output=True)


def measure(folder: Path) -> list[tuple[str, str, str, bool]]:
    """Train in turns and return the rows of the table."""
    model = engine_helpers.build_model(folder / "model", hidden_size=192, num_hidden_layers=4)
    screen: list[float] = []
    alone: list[float] = []
    keys: list[float] = []
    helps: list[float] = []
    wire: list[float] = []
    late: dict[str, list[float]] = {"importing": [], "training": []}
    for number in range(ROUNDS):
        root, out = workspace(folder, f"screen{number}", model), folder / f"{number}.json"
        with_screen(root, out, keys, helps, wire)
        for name, values in json.loads(out.read_text()).items():
            late[name] += values
        root = workspace(folder, f"seen{number}", model)
        only_looked_at(root, folder / f"seen{number}.json")
        screen.append(speed(root))
        root = workspace(folder, f"alone{number}", model)
        without(root)
        alone.append(speed(root))
    return rows(screen, alone, keys, helps, wire, late)


def rows(
    screen: list[float],
    alone: list[float],
    keys: list[float],
    helps: list[float],
    wire: list[float],
    late: dict[str, list[float]],
) -> list[tuple[str, str, str, bool]]:
    """Return the figures as rows."""
    from ui import percentile

    share = statistics.median(screen) / statistics.median(alone)
    common, worst = percentile(late["training"], 0.95) * 1e3, max(late["training"]) * 1e3
    imports, key = max(late["importing"], default=0.0) * 1e3, percentile(keys, 0.95) * 1e3
    return [
        (
            "event loop late while training, p95",
            f"{common:.1f} ms",
            "<= 20 ms",
            common <= 20,
        ),
        ("… worst", f"{worst:.0f} ms", "<= 100 ms", worst <= 100),
        ("… worst while the training stack loads", f"{imports:.0f} ms", "<= 300 ms", imports <= 300),
        (
            "Tab to the next pane while training, p95",
            f"{key:.0f} ms, median {statistics.median(keys) * 1e3:.0f} of {len(keys)}",
            "<= 50 ms",
            key <= 50,
        ),
        (
            "? to the help screen while training, median",
            f"{statistics.median(helps) * 1e3:.0f} ms of {len(helps)}",
            "",
            True,
        ),
        ("training speed with the screen", f"{share:.1%} of without", ">= 95 %", share >= 0.95),
        ("bytes a minute at 80x24 while training", f"{statistics.median(wire) / 1024:.0f} KiB", "", True),
    ]
