"""Trains steps through the app's command line and prints the race at each step's end beside the untrained model's.

Run by ``grading.py MODEL DATA --train OUT``. After every step the table is printed and written (``steps.txt``,
``steps.json``), so that what was measured is there whatever happens later; a second call goes on with the next step.
"""

import argparse
import json
import random
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from opeddev_tui.config.settings import Paths
from opeddev_tui.runs.grade_records import RacedWay
from opeddev_tui.runs.history import list_runs
from opeddev_tui.runs.state import RunState
from opeddev_tui.workspace.paths import Workspace

FIGURES = ("kappa", "exact", "within_one", "mae", "signed_error", "nll", "calibration_error")
# the app's own choices for everything else; the rule decides, since nobody is there to ask
SETTINGS: Mapping[str, Mapping[str, object]] = {
    "paths": {"model_store": "store"},
    "early_stop": {"policy": "rule"},
    "generation": {"num_probes": 50, "max_new_tokens": 160},
    "grading": {"evaluate": True},
}


def run(options: argparse.Namespace) -> int:
    """Train the steps and print the races; 1 where a step was not trained."""
    root: Path = options.train
    make_workspace(root, Path(options.model), options.data, options)
    for step in range(options.steps):
        if step in finished(root):
            continue
        began = time.perf_counter()
        command = [sys.executable, "-m", "opeddev_tui", "train", "-w", str(root), "--step", "next"]
        for item in options.set:
            command += ["--set", item]
        code = subprocess.run(command, check=False).returncode
        print(f"step {step}: exit code {code}, {time.perf_counter() - began:.0f} s", flush=True)
        write_tables(root)
        if step not in finished(root):
            print(f"step {step} was not trained; the steps before it are in {root / 'steps.json'}")
            return 1
    write_tables(root)
    return 0


def make_workspace(root: Path, model: Path, data: Path, options: argparse.Namespace) -> None:
    """Make a workspace of steps of ``options.rows`` rows from the rows of ``data``; one that is there stays."""
    if (root / "config.toml").exists():
        return
    lines = [line for path in sorted(data.glob("train*.jsonl")) for line in path.read_text("utf-8").splitlines()]
    random.Random(0).shuffle(lines)
    held = (data / "validation.jsonl").read_text("utf-8").splitlines()
    wanted = options.rows * options.steps
    if len(lines) < wanted:
        raise SystemExit(f"{wanted} training rows are needed, {data} has {len(lines)}")
    paths = Paths()
    for step in range(options.steps):
        part = lines[step * options.rows : (step + 1) * options.rows]
        place = root / paths.base if not step else root / paths.increments / f"batch_{options.rows}_{step:02}"
        write_rows(place / "rows.jsonl", part)
    write_rows(root / paths.holdout / "rows.jsonl", held[: options.held or None])
    content = {**SETTINGS, "model": {"name": str(model.resolve())}}
    (root / "config.toml").write_text(tomli_w.dumps(content), encoding="utf-8")


def write_rows(path: Path, lines: Sequence[str]) -> None:
    """Write JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def finished(root: Path) -> dict[int, RunState]:
    """Return the finished runs by step."""
    records = list_runs(Workspace(root, Paths(model_store="store")))
    return {record.step: record.state for record in records if record.state.finished is not None}


# --- tables


def write_tables(root: Path) -> None:
    """Print and write the races of all steps so far."""
    steps = [measured(step, state) for step, state in sorted(finished(root).items())]
    (root / "steps.json").write_text(json.dumps(steps, indent=1) + "\n", encoding="utf-8")
    text = "\n".join(line for step in steps for line in lines_of(step)) + "\n"
    (root / "steps.txt").write_text(text, encoding="utf-8")
    print(text, flush=True)


def measured(step: int, state: RunState) -> dict[str, Any]:
    """Return what the run of ``step`` measured, as plain values."""
    best = state.best_epoch() or 0
    race, feedback = state.races.get(best), state.feedbacks.get(best)
    epochs = [
        {"epoch": epoch, "loss": row.loss, "ways": epoch_kappas(state, epoch)}
        for epoch, row in sorted(state.holdout.items())
    ]
    return {
        "step": step,
        "rows": state.begun.rows,
        "holdout_rows": state.begun.holdout_rows,
        "best_epoch": best,
        "epochs": epochs,
        "race": [] if race is None else [way_of(item) for item in race.ways],
        "chosen": race.chosen if race else "",
        "verdict": race.verdict or race.problem if race else "",
        "tuning": race.tuning if race else "",
        "race_seconds": race.seconds if race else None,
        "claims": {item.head: item.claim for item in state.heads.values() if item.claim},
        "areas_f1": feedback.f1 if feedback else {},
        "forced_texts": [[text.id, text.forced, text.free] for text in feedback.texts[:3]] if feedback else [],
        "forced_problem": feedback.problem if feedback else "",
        "warnings": state.warnings,
    }


def epoch_kappas(state: RunState, epoch: int) -> dict[str, float | None]:
    """Return kappa of every way that was read after ``epoch``."""
    read = state.readings.get(epoch)
    return {way.way: way.figures["kappa"].value for way in read.ways} if read else {}


def way_of(item: RacedWay) -> dict[str, Any]:
    """Return a way of the race with its figures and intervals."""
    found = {name: [fig.value, fig.low, fig.high] for name, fig in item.figures.items()}
    cheap = item.to_cheap
    return {
        "way": item.way,
        "figures": found,
        "answered": item.answered,
        "seconds": item.seconds,
        "to_cheap": [cheap.value, cheap.low, cheap.high] if cheap else None,
    }


def lines_of(step: Mapping[str, Any]) -> list[str]:
    """Return the table of one step."""
    head = f"step {step['step']}: {step['rows']} rows, {step['holdout_rows']} hold-out rows, epoch {step['best_epoch']}"
    lines = [head, f"  {'way':12}" + "".join(f"{name[:11]:>12}" for name in FIGURES) + f"{'answered':>10}{'s':>9}"]
    for way in step["race"]:
        cells = [way["figures"].get(name, [None])[0] for name in FIGURES]
        told = "".join(f"{'-' if cell is None else format(cell, '.3f'):>12}" for cell in cells)
        lines.append(f"  {way['way']:12}{told}{way['answered']:>10.2f}{way['seconds']:>9.1f}")
    for epoch in step["epochs"]:
        kappas = ", ".join(f"{way} {value:.2f}" for way, value in epoch["ways"].items() if value is not None)
        lines.append(
            f"  epoch {epoch['epoch']}: hold-out loss {epoch['loss']:.4f}" + (f"; kappa {kappas}" if kappas else "")
        )
    f1 = ", ".join(f"{way} {value:.2f}" for way, value in step["areas_f1"].items())
    lines.append(f"  F1 of named areas: {f1 or step['forced_problem'] or 'not measured'}")
    return [*lines, *(f"  {text}" for text in (step["verdict"], step["tuning"]) if text), ""]
