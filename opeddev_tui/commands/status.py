"""``status``: print what is trained, what is running and what comes next.

Reads journals only; must not load the training stack.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from opeddev_tui.commands.options import add_workspace, open_workspace
from opeddev_tui.data.batches import find_batches
from opeddev_tui.errors import Problem
from opeddev_tui.runs.history import RunRecord, finished_steps, list_runs, status_of
from opeddev_tui.text import clean_line
from opeddev_tui.workspace.lock import who_trains
from opeddev_tui.workspace.paths import Workspace


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_workspace(parser)
    parser.add_argument("--json", action="store_true", help="for scripts; the fields are in docs/json.md")


def run(options: argparse.Namespace) -> int:
    """Print the status."""
    workspace, _ = open_workspace(options)
    report = status(workspace)
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        _print(report)
    return 0


def status(workspace: Workspace) -> dict[str, Any]:
    """Return the status of ``workspace`` as plain values; docs/json.md describes them."""
    records = list_runs(workspace)
    trains = who_trains(workspace)
    done = finished_steps(records)
    try:
        batches = find_batches(workspace.root, workspace.paths, fetch=False)
        problem = None
    except Problem as error:
        batches, problem = [], str(error)
    upcoming = next((batch for batch in batches if batch.number not in done), None)
    return {
        "workspace": str(workspace.root),
        "training_process": trains.pid if trains is not None else None,
        "alive": trains is not None,
        "host": trains.host if trains is not None else None,
        "since": trains.since if trains is not None else None,
        "last_event": records[-1].state.last_event_at if records else None,
        "steps": [_step(workspace, batch.number, batch.name, done.get(batch.number)) for batch in batches],
        "next_step": None if upcoming is None else {"step": upcoming.number, "batch": upcoming.name},
        "runs": [_run(record, alive=trains is not None and record is records[-1]) for record in records],
        "problem": problem,
    }


def _step(workspace: Workspace, number: int, batch: str, record: RunRecord | None) -> dict[str, Any]:
    finished = record.state.finished if record else None
    return {
        "step": number,
        "batch": batch,
        "trained": finished is not None,
        "run": record.id if record else None,
        "epochs": finished.epochs if finished else None,
        "val_loss": finished.val_loss if finished else None,
        "last_checkpoint": workspace.located(finished.last_checkpoint) if finished else None,
        "best_checkpoint": workspace.located(finished.best_checkpoint) if finished else None,
    }


def _run(record: RunRecord, *, alive: bool) -> dict[str, Any]:
    state = record.state
    return {
        "run": record.id,
        "step": record.step,
        "status": status_of(state, alive=alive),
        "alive": alive and not state.over,
        "interruption": state.interrupted.reason if state.interrupted else None,
        "epochs": max(state.epochs, default=None),
        "optimizer_step": state.progress.global_step if state.progress else 0,
        "awaiting_decision_after_epoch": state.question.epoch if state.question else None,
        "last_event": state.last_event_at,
        "failure": state.failure.message if state.failure else None,
        "repeats": state.repeats or None,
    }


def _print(report: dict[str, Any]) -> None:
    console = Console()
    console.print(Text(f"Workspace {report['workspace']}"))
    next_step = report["next_step"] or {"step": None}
    # a step whose newest run is not done: training, awaiting, interrupted, failed
    begun = {run["step"]: run["status"] for run in report["runs"] if not run["repeats"]}
    table = Table("step", "batch", "state", "epochs", "hold-out loss", Column("run", overflow="fold"))
    for step in report["steps"]:
        loss = f"{step['val_loss']:.4f}" if step["val_loss"] is not None else ""
        state = "trained" if step["trained"] else begun.get(step["step"], "")
        state = state or ("next" if step["step"] == next_step["step"] else "waiting")
        table.add_row(
            str(step["step"]),
            Text(clean_line(step["batch"])),
            state,
            str(step["epochs"] or ""),
            loss,
            step["run"] or "",
        )
    console.print(table)
    if report["problem"]:
        console.print(Text(f"problem: {report['problem']}"))
    for line in _sentences(report):
        console.print(Text(clean_line(line)))


def _sentences(report: dict[str, Any]) -> list[str]:
    """Return what runs now, how the newest run is, and what comes next."""
    lines = []
    newest = report["runs"][-1] if report["runs"] else None
    if report["alive"]:
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(report["since"])) if report["since"] else "unknown"
        lines.append(f"A training runs in process {report['training_process']} on {report['host']} since {since}.")
        lines.append("Watch it and decide with: opeddev-tui.")
    if newest and newest["status"] != "finished":
        ago = time.time() - newest["last_event"]
        what = f"Run {newest['run']}" + (f", which repeats {newest['repeats']}" if newest["repeats"] else "")
        lines.append(
            f"{what}: {newest['status']}, optimizer step {newest['optimizer_step']}, last event {ago:.0f} s ago."
        )
        if newest["awaiting_decision_after_epoch"]:
            lines.append(f"A decision is awaited after epoch {newest['awaiting_decision_after_epoch']}.")
        if newest["failure"]:
            lines.append(f"It failed: {newest['failure']}")
    if report["next_step"] and not report["training_process"]:
        lines.append(f"Next: step {report['next_step']['step']} ({report['next_step']['batch']}): opeddev-tui train")
    elif report["steps"] and not report["next_step"]:
        lines.append(f"Every step is trained. Add the next batch under {Path(report['workspace']) / 'datasets'}.")
    return lines
