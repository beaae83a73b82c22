# ruff: noqa: E402 - the folders of the other parts are added first
"""Measures the screen: first frame, big runs, the event loop beside a training, keys, memory, bytes on the wire.

``python benchmarks/ui.py [PART …]`` prints a table; parts: first open wide training memory. Everything runs on real
pseudo-terminals in processes of their own, against a bare Textual app or a training without a screen, in turns.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

from wire import Wire

if TYPE_CHECKING:
    from opeddev_tui.runs.events import AnyEvent

SIZE = (120, 40)
# how the braille dots of a curve begin: the plot is the last thing drawn
PLOTTED = b"\xe2\xa0"
BARE = """
from textual.app import App
from textual.widgets import Static
class Bare(App):
    CSS = "Static { height: 1fr; border: round green; }"
    def compose(self):
        for number in range(4):
            yield Static(f"READY {number}")
Bare().run()
"""
Row = tuple[str, str, str, bool]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


def app_command(*words: str) -> list[str]:
    """Return what starts the app."""
    return [sys.executable, "-m", "opeddev_tui", *words]


def first_frame(folder: Path, rounds: int = 9) -> list[Row]:
    """Compare the first useful frame with that of a bare app."""
    (folder / "config.toml").touch()
    commands = {"bare": [sys.executable, "-c", BARE], "app": app_command(str(folder))}
    words = {"bare": b"READY 3", "app": b"Loss curves"}
    wall: dict[str, list[float]] = {"bare": [], "app": []}
    for number in range(rounds + 1):
        for name, command in commands.items():
            with Wire(command, SIZE) as wire:
                seconds = wire.seen(words[name])
            if number:  # the first ones fill the caches of the disk
                wall[name].append(seconds)
    bare, app = (statistics.median(wall[name]) for name in ("bare", "app"))
    ratio = app / bare
    return [("first useful frame", f"{app:.2f} s, bare {bare:.2f} s: {ratio:.2f} x", "<= 1.4 x bare", ratio <= 1.4)]


def write_run(folder: Path, run: str, steps: int, *, gpus: int = 0) -> None:
    """Write the journal of a run of ``steps`` optimizer steps with six metrics each.

    With ``gpus`` every step also has a reading of the machine: processor, RAM and four figures per GPU, so that three
    GPUs make 20 metrics a step.
    """
    from opeddev_tui.config import loading
    from opeddev_tui.runs import events as ev
    from opeddev_tui.workspace.paths import Workspace

    (folder / "config.toml").touch()
    path = Workspace(folder, loading.load(folder).settings.paths).run_folder(run)
    path.mkdir(parents=True)
    opening = (
        ev.RunStarted(at=1.0, run=run, step=0, batch="base", rows=100, holdout_rows=50, holdout_fingerprint="a",
                      planned_epochs=10, max_epochs=10, seed=1, model="m", pid=1),
        ev.DataPrepared(at=1.0, rows=100, tokens=1, loss_tokens=1, steps_per_epoch=steps // 10, total_steps=steps,
                        batch_size=2, accumulation=1, learning_rate=1e-5),
    )  # fmt: skip
    with (path / "events.jsonl").open("wb") as file:
        for event in opening:
            file.write(ev.encode(event) + b"\n")
        for number in range(1, steps + 1):
            file.write(ev.encode(ev.Progress(at=1.0 + number, global_step=number, epoch=number * 10 / steps,
                       loss=3.0 / number**0.2, grad_norm=1.1, learning_rate=1e-5, samples_per_second=9.0,
                       tokens_per_second=999.0, grade_loss=0.5)) + b"\n")  # fmt: skip
            if gpus:
                file.write(ev.encode(reading(number, gpus)) + b"\n")
        for event in (ev.EpochFinished(at=9.0, epoch=10, train_loss=0.3, val_loss=0.31, samples_per_second=1.0,
                                       global_step=steps),
                      ev.RunFinished(at=9.0, epochs=10, last_checkpoint="c", best_checkpoint="c", best_epoch=10,
                                     val_loss=0.31)):  # fmt: skip
            file.write(ev.encode(event) + b"\n")


def reading(number: int, gpus: int) -> AnyEvent:
    """Return what a machine with ``gpus`` GPUs tells after optimizer step ``number``."""
    from opeddev_tui.runs import events as ev

    cards = tuple(
        ev.GpuReading(index=card, uuid=f"GPU-{card}", name="GPU", memory_used=(20 + number % 7) * 2**30,
                      memory_total=80 * 2**30, percent=50.0 + (number + card) % 50, celsius=60.0, watts=300.0)
        for card in range(gpus)
    )  # fmt: skip
    return ev.HardwareSampled(at=1.0 + number, cpu_percent=float(number % 100), ram_used=9 * 2**30, ram_total=2**36,
                              gpus=cards)  # fmt: skip


def opening_wide(folder: Path, rounds: int = 5) -> list[Row]:
    """Open a run of 100,000 optimizer steps with 20 metrics each, then tile its charts."""
    big, small = "20260101-000000-step0-base-beef", "20260102-000000-step0-base-cafe"
    write_run(folder, big, 100_000, gpus=3)
    write_run(folder, small, 20)
    opened, tiled, started = [], [], []
    for _ in range(rounds):
        with Wire(app_command(str(folder)), SIZE) as wire:
            wire.seen(PLOTTED)
            wire.quiet(0.5)
            wire.time("6", b"Enter shows")
            wire.seen(big[-4:].encode())
            wire.press("j")
            wire.quiet(0.5)
            opened.append(_until_plotted(wire, "\r", b"of 100,000"))
            for key in "\t\r":
                wire.press(key)
                wire.quiet(0.5)
            tiled.append(_until_plotted(wire, "a", b"Gradient norm"))
        with Wire(app_command(str(folder), "--run", big), SIZE) as wire:
            wire.seen(b"of 100,000", 90)
            started.append(wire.seen(PLOTTED, 90))
    in_app, tiles, from_start = (statistics.median(times) for times in (opened, tiled, started))
    return [
        ("100,000 steps x 20 metrics, from the key to the picture", f"{in_app:.2f} s", "< 1 s", in_app < 1),
        ("… its charts tiled, from the key to the picture", f"{tiles:.2f} s", "< 1 s", tiles < 1),
        ("… from the command line", f"{from_start:.2f} s", "", True),
    ]


def _until_plotted(wire: Wire, keys: str, word: bytes) -> float:
    """Return the seconds from a key until ``word`` and a curve are on the screen."""
    since, pressed = len(wire.received), time.perf_counter()
    first = wire.time(keys, word)
    wire.seen(PLOTTED, 90, since=since)
    return max(first, time.perf_counter() - pressed)


def opening(folder: Path, rounds: int = 5) -> list[Row]:
    """Open a run of 100,000 optimizer steps in a running app, and in one that starts with it."""
    big, small = "20260101-000000-step0-base-beef", "20260102-000000-step0-base-cafe"
    opened, started = [], []
    write_run(folder, big, 100_000)
    for _ in range(rounds):
        with Wire(app_command(str(folder)), SIZE) as wire:
            started.append(wire.seen(PLOTTED))
    # the newest run is shown at first: the big one is opened from the list of runs
    write_run(folder, small, 20)
    for _ in range(rounds):
        with Wire(app_command(str(folder)), SIZE) as wire:
            wire.seen(PLOTTED)
            wire.quiet(0.5)
            wire.time("6", b"Enter shows")
            wire.press("j")
            wire.quiet(0.5)
            since = len(wire.received)
            metrics = wire.time("\r", b"of 100,000")
            plotted = time.perf_counter()
            wire.seen(PLOTTED, 90, since=since)
            opened.append(metrics + time.perf_counter() - plotted)
    in_app, from_start = statistics.median(opened), statistics.median(started)
    return [
        ("100,000 steps x 5 metrics, opened in the app", f"{in_app:.2f} s", "< 1 s", in_app < 1),
        ("… and from the command line", f"{from_start:.2f} s", "", True),
    ]


def training(folder: Path) -> list[Row]:
    """Train a tiny model with the screen and without, in turns."""
    import training_beside

    return training_beside.measure(folder)


def memory(folder: Path) -> list[Row]:
    """Let a scripted training tell 10,000 events."""
    out = folder / "memory.json"
    with Wire([sys.executable, str(HERE / "probe.py"), "memory", str(folder), str(out)], SIZE) as wire:
        wire.until_exit(120)
    figures = json.loads(out.read_text())
    grown = (figures["after"] - figures["before"]) / 2**20
    told = f"{grown:+.1f} MiB (of {figures['after'] / 2**20:.0f})"
    return [("memory over 10,000 events", told, "< +10 MiB", grown < 10)]


PARTS: dict[str, Callable[[Path], list[Row]]] = {
    "first": first_frame, "open": opening, "wide": opening_wide, "training": training, "memory": memory,
}  # fmt: skip


def main() -> None:
    """Measure and print the table."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a person's installation is compiled
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="opeddev-bench-") as folder:
        os.environ["HOME"] = os.environ["XDG_CONFIG_HOME"] = folder
        os.environ["PYTHONPYCACHEPREFIX"] = str(Path(folder) / "compiled")
        for name in sys.argv[1:] or PARTS:
            place = Path(folder) / name
            place.mkdir()
            rows += PARTS[name](place)
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load {load:.1f}, {time.strftime('%Y-%m-%d')}\n")
    print("| what | measured | wanted | met |\n| --- | --- | --- | --- |")
    for what, measured, wanted, met in rows:
        print(f"| {what} | {measured} | {wanted} | {'yes' if met else 'NO'} |")


if __name__ == "__main__":
    main()
