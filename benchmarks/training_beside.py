"""Measures a training beside the screen: is the event loop late, are keys answered, is it as fast as without."""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
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
PANES = (b"Curves", b"Epochs", b"Batches", b"Samples", b"Machine", b"Metrics")


class Found:
    """What was measured, in seconds, rows per second and bytes."""

    def __init__(self) -> None:
        self.keys: list[float] = []
        self.helps: list[float] = []
        self.bytes_a_minute: list[float] = []
        self.late: dict[str, list[float]] = {"importing": [], "training": []}
        # rows per second by how the training ran
        self.speeds: dict[str, list[float]] = {"seen": [], "pressed": [], "alone": []}


def in_app(folder: Path, name: str, model: Path, what: str, use: Callable[[Wire, Path], None]) -> tuple[Path, Path]:
    """Train in the app and ``use`` it meanwhile; return the workspace and what a probe has written.

    ``what`` is "training", or "late" with a probe in the event loop.
    """
    root, out = workspace(folder, name, model), folder / f"{name}.json"
    with Wire([sys.executable, str(HERE / "probe.py"), what, str(root), str(out)], SIZE) as wire:
        wire.seen(b"samples/s", 90)
        use(wire, out)
        wire.until_exit(120)
    return root, out


def press_keys(wire: Wire, out: Path, found: Found) -> None:
    """Press Tab through all panes, then ? and Esc, again and again until the training has ended."""
    while not out.exists() and wire.process.poll() is None:
        try:
            for pane in PANES:
                found.keys.append(wire.time("\t", pane))
                pause(wire)
            found.helps.append(wire.time("?", b"Esc closes"))
        except AssertionError:
            return  # the training ended between a key and its answer
        wire.press("\x1b")
        wire.quiet(0.3)


def pause(wire: Wire) -> None:
    """Look for as long as a person would; not until the screen is quiet, as keys come at any time."""
    end = time.perf_counter() + random.uniform(0.15, 0.4)
    while (left := end - time.perf_counter()) > 0:
        wire.read(left)


def look_only(wire: Wire, out: Path, found: Found) -> None:
    """Look at the training and count the bytes."""
    since, begun = len(wire.received), time.perf_counter()
    while not out.exists() and wire.process.poll() is None:
        wire.read(0.2)
    found.bytes_a_minute.append((len(wire.received) - since) / (time.perf_counter() - begun) * 60)


def without(root: Path) -> None:
    """Train from the command line."""
    subprocess.run([sys.executable, "-m", "opeddev_tui", "train", "-w", str(root)], check=True, capture_output=True)


def one_round(folder: Path, model: Path, number: int, found: Found) -> None:
    """Train four times: with a probe in the event loop, with keys, only looked at, without a screen.

    The probe wakes the event loop a hundred times a second and slows the training by some percent; keys are answered
    by the processor that trains. So each has a training of its own.
    """
    _, out = in_app(folder, f"late{number}", model, "late", lambda wire, out: press_keys(wire, out, Found()))
    for name, values in json.loads(out.read_text()).items():
        found.late[name] += values
    root, _ = in_app(folder, f"pressed{number}", model, "training", lambda wire, out: press_keys(wire, out, found))
    found.speeds["pressed"].append(speed(root))
    root, _ = in_app(folder, f"seen{number}", model, "training", lambda wire, out: look_only(wire, out, found))
    found.speeds["seen"].append(speed(root))
    root = workspace(folder, f"alone{number}", model)
    without(root)
    found.speeds["alone"].append(speed(root))


def measure(folder: Path) -> list[tuple[str, str, str, bool]]:
    """Train in turns and return the rows of the table."""
    model = engine_helpers.build_model(folder / "model", hidden_size=192, num_hidden_layers=4)
    found = Found()
    for number in range(ROUNDS):
        one_round(folder, model, number, found)
    return [*lateness(found.late), *keys(found), *speeds(found)]


def lateness(late: dict[str, list[float]]) -> list[tuple[str, str, str, bool]]:
    """Return how late the event loop was, as rows."""
    from ui import percentile

    common, worst = percentile(late["training"], 0.95) * 1e3, max(late["training"]) * 1e3
    imports = max(late["importing"], default=0.0) * 1e3
    return [
        ("event loop late while training, p95", f"{common:.1f} ms", "<= 20 ms", common <= 20),
        ("… worst", f"{worst:.0f} ms", "<= 100 ms", worst <= 100),
        ("… worst while the training stack loads", f"{imports:.0f} ms", "<= 300 ms", imports <= 300),
    ]


def keys(found: Found) -> list[tuple[str, str, str, bool]]:
    """Return how long keys took to be seen, as rows."""
    from ui import percentile

    rows = []
    for name, values in (("Tab to the next pane", found.keys), ("? to the help screen", found.helps)):
        common, median = percentile(values, 0.95) * 1e3, statistics.median(values) * 1e3
        told = f"{common:.0f} ms, median {median:.0f} of {len(values)}"
        rows.append((f"{name} while training, p95", told, "<= 50 ms", common <= 50))
    return rows


def speeds(found: Found) -> list[tuple[str, str, str, bool]]:
    """Return what the screen costs, as rows."""
    seen, pressed, alone = (statistics.median(found.speeds[name]) for name in ("seen", "pressed", "alone"))
    return [
        ("training speed with the screen", f"{seen / alone:.1%} of without", ">= 95%", seen / alone >= 0.95),
        ("… with three or four keys a second", f"{pressed / alone:.1%} of without", "", True),
        (
            "bytes a minute at 80x24 while training",
            f"{statistics.median(found.bytes_a_minute) / 1024:.0f} KiB",
            "",
            True,
        ),
    ]
