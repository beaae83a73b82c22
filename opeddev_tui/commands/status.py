"""``status``: what is trained, what is running, what comes next. Reads journals only, never the training stack."""

import argparse
import time
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from opeddev_tui.batches import find_batches
from opeddev_tui.commands.options import add_workspace, load_settings
from opeddev_tui.errors import Problem
from opeddev_tui.history import RunRecord, finished_steps, list_runs
from opeddev_tui.text import clean_line
from opeddev_tui.ui.presence import reach
from opeddev_tui.workspace import Workspace


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_workspace(parser)
    parser.add_argument("--json", action="store_true", help="for scripts; the fields are in docs/json.md")


def run(options: argparse.Namespace) -> int:
    """Print the status."""
    root, loaded = load_settings(options)
    report = status(Workspace(root, loaded.settings.paths))
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        _print(report)
    return 0


def status(workspace: Workspace) -> dict[str, Any]:
    """Return the status of ``workspace`` as plain values (documented in docs/json.md)."""
    records = list_runs(workspace)
    trains = reach(workspace)
    holder = trains.pid if trains is not None else None
    done = finished_steps(records)
    try:
        batches = find_batches(workspace.root, workspace.paths)
        problem = None
    except Problem as error:
        batches, problem = [], str(error)
    upcoming = next((batch for batch in batches if batch.number not in done), None)
    return {
        "workspace": str(workspace.root),
        "training_process": holder,
        "alive": trains is not None,
        "host": trains.host if trains is not None else None,
        "since": trains.since if trains is not None else None,
        "last_event": records[-1].state.last_event_at if records else None,
        "attachable": trains is not None and trains.attachable,
        "terminal": (trains.terminal or None) if trains is not None else None,
        "screen_failure": (trains.failure or None) if trains is not None else None,
        "steps": [_step(workspace, batch.number, batch.name, done.get(batch.number)) for batch in batches],
        "next_step": None if upcoming is None else {"step": upcoming.number, "batch": upcoming.name},
        "runs": [_run(record, alive=holder is not None and record is records[-1]) for record in records],
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
    name = state.status if state.over or alive else "died"
    return {
        "run": record.id,
        "step": record.step,
        "status": name,
        "alive": alive and not state.over,
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
    table = Table("step", "batch", "state", "epochs", "hold-out loss", Column("run", overflow="fold"))
    for step in report["steps"]:
        loss = f"{step['val_loss']:.4f}" if step["val_loss"] is not None else ""
        state = "trained" if step["trained"] else "next" if _is_next(report, step) else "waiting"
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
    for line in _words(report):
        console.print(Text(line))


def _is_next(report: dict[str, Any], step: dict[str, Any]) -> bool:
    return bool(report["next_step"] and report["next_step"]["step"] == step["step"])


def _alive(report: dict[str, Any]) -> list[str]:
    """Say where the training runs and whether its screen can be had."""
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(report["since"])) if report["since"] else "unknown"
    lines = [f"A training runs in process {report['training_process']} on {report['host']} since {since}."]
    if report["terminal"]:
        lines.append(f"Its screen is attached ({report['terminal']}); opeddev-tui attach brings it here.")
    elif report["attachable"]:
        lines.append("It has no terminal at the moment: opeddev-tui attach brings its screen here.")
    else:
        lines.append("It has no app, so there is no screen to take: opeddev-tui attach --view looks at it.")
    if report["screen_failure"]:
        lines.append(
            f"Its screen failed ({report['screen_failure']}); the traceback is in the log, the training goes on."
        )
    return [clean_line(line) for line in lines]


def _words(report: dict[str, Any]) -> list[str]:
    lines = []
    runs = report["runs"]
    newest = runs[-1] if runs else None
    if report["alive"]:
        lines += _alive(report)
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
