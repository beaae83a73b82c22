"""``status``: print what is trained, what is running and what comes next.

Reads journals and the rows of the batches; must not load the training stack.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import msgspec
from rich.table import Column, Table
from rich.text import Text

from opeddev_tui.analysis.learning_curve import other_holdouts
from opeddev_tui.analysis.next_step import NOTHING, chosen_for, up_to_chosen
from opeddev_tui.analysis.seed_figures import StepSpread, step_spread
from opeddev_tui.analysis.trained_steps import Step, Steps
from opeddev_tui.analysis.workspace_steps import read_steps
from opeddev_tui.commands.options import add_json, add_workspace, open_workspace
from opeddev_tui.commands.printing import CleanConsole, print_json
from opeddev_tui.commands.seed_tables import print_spread
from opeddev_tui.config.settings import Settings
from opeddev_tui.errors import Problem
from opeddev_tui.format import moment
from opeddev_tui.runs.events import NextStepChosen
from opeddev_tui.runs.grade_words import graded_by
from opeddev_tui.runs.groups import list_groups
from opeddev_tui.runs.history import RunRecord, all_runs, begun, damage_notes, finished_steps, status_as_known
from opeddev_tui.runs.journal import is_written
from opeddev_tui.text import clean_line
from opeddev_tui.workspace.lock import who_may_train
from opeddev_tui.workspace.paths import Workspace, reopening


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_workspace(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print the status."""
    workspace, loaded = open_workspace(options)
    report = status(workspace, loaded.settings)
    if options.json:
        print_json(report)
    else:
        _print(report)
    return 0


def status(workspace: Workspace, settings: Settings) -> dict[str, Any]:
    """Return the status of ``workspace`` as plain values; docs/json.md describes them."""
    every = all_runs(workspace)
    records = begun(every)
    trains = who_may_train(workspace)
    alive = trains is not None if trains is None or trains.certain else None
    found, problem = Steps(), None
    try:
        found = read_steps(workspace, settings, records, fetch=False).steps
    except Problem as error:
        problem = str(error)
    chosen = _chosen(records, found.next)
    upcoming = up_to_chosen(found, found.next, chosen.batch) if found.next is not None else None
    spreads = [step_spread(group, records) for group in list_groups(workspace)]
    done = finished_steps(records)
    scored = other_holdouts([done[number].state for number in sorted(done)])
    return {
        "workspace": str(workspace.root),
        "training_process": trains.pid if trains is not None else None,
        "alive": alive,
        "host": trains.host if trains is not None else None,
        "since": trains.since if trains is not None else None,
        "elsewhere": trains is not None and trains.elsewhere,
        "last_event": records[-1].state.last_event_at if records else None,
        "steps": [_step(workspace, step, done.get(step.number)) for step in found.steps],
        "next_step": None if upcoming is None else {"step": upcoming.number, "batch": upcoming.name},
        "chosen": None if chosen == NOTHING else _as_values(chosen),
        "seeds": [msgspec.to_builtins(spread) for spread in spreads],
        "runs": [_run(record, alive=_lives(record, records, alive)) for record in records],
        "problem": problem,
        "notes": [*found.notes, *([scored] if scored else []), *damage_notes(every)],
    }


def _chosen(records: list[RunRecord], upcoming: Step | None) -> NextStepChosen:
    """Return what was chosen for the next step at the question; the run that waits there has it already."""
    if upcoming is None:
        return NOTHING
    if records and not records[-1].state.over:
        return records[-1].state.next_step or NOTHING
    return chosen_for(upcoming.number, records)


def _as_values(chosen: NextStepChosen) -> dict[str, Any]:
    return {
        "learning_rate": chosen.learning_rate,
        "batch": chosen.batch or None,
        "start_from": chosen.start_from or None,
    }


def _step(workspace: Workspace, step: Step, record: RunRecord | None) -> dict[str, Any]:
    finished = record.state.finished if record else None
    race = record.state.race if record else None
    return {
        "step": step.number,
        "batch": step.name,
        "trained": step.word != "open",
        "run": record.id if record else None,
        "epochs": finished.epochs if finished else None,
        "val_loss": finished.val_loss if finished else None,
        "last_checkpoint": workspace.located(finished.last_checkpoint) if finished else None,
        "best_checkpoint": workspace.located(finished.best_checkpoint) if finished else None,
        "change": step.change or None,
        "graded_by": race.chosen or None if race else None,
        "race": race.verdict if race else None,
        "race_rows": race.holdout_rows if race else None,
        "holdout": record.state.scored_on[0] if record else None,
    }


def _run(record: RunRecord, *, alive: bool | None) -> dict[str, Any]:
    state = record.state
    return {
        "run": record.id,
        "step": record.step,
        "status": status_as_known(state, alive=alive),
        "alive": False if state.over else alive,
        "interruption": state.interrupted.reason if state.interrupted else None,
        "epochs": max(state.epochs, default=None),
        "optimizer_step": state.progress.global_step if state.progress else 0,
        "awaiting_decision_after_epoch": state.question.epoch if state.question else None,
        "last_event": state.last_event_at,
        "failure": state.failure.message if state.failure else None,
        "repeats": state.repeats or None,
        "group": state.group or None,
        "seed": state.begun.seed,
        "counts": state.counts,
        "damage": state.damage or None,
    }


def _lives(record: RunRecord, records: list[RunRecord], alive: bool | None) -> bool | None:
    """Return whether a process trains the run; only one of several seeds need not be the newest run."""
    if alive and record.state.group:
        return is_written(record.folder)
    return alive if record is records[-1] else False


def _print(report: dict[str, Any]) -> None:
    console = CleanConsole()
    console.print(Text(f"Workspace {report['workspace']}"))
    next_step = report["next_step"] or {"step": None}
    # a step whose newest run is not done: training, awaiting, interrupted, failed
    newest = {run["step"]: run["status"] for run in report["runs"] if run["counts"]}
    begun = {step: status for step, status in newest.items() if status != "finished"}
    table = Table("step", "batch", "state", "epochs", "hold-out loss", Column("run", overflow="fold"))
    for step in report["steps"]:
        loss = f"{step['val_loss']:.4f}" if step["val_loss"] is not None else ""
        state = "next" if step["step"] == next_step["step"] else "trained" if step["trained"] else "waiting"
        state = state if state == "trained" else begun.get(step["step"], state)
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
    for spread in report["seeds"]:
        print_spread(console, msgspec.convert(spread, StepSpread))
    for line in (*report["notes"], *_sentences(report)):
        console.say(clean_line(line))


def _sentences(report: dict[str, Any]) -> list[str]:
    """Return what runs now, how the newest run is, and what comes next."""
    lines = []
    newest = report["runs"][-1] if report["runs"] else None
    if report["alive"]:
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(report["since"])) if report["since"] else "unknown"
        inside = " (the number that it has in its container)" if report["elsewhere"] else ""
        lines.append(
            f"A training runs in process {report['training_process']}{inside} on {report['host']} since {since}."
        )
        lines.append(f"Watch it and decide with: {reopening(Path(report['workspace']))}")
    if report["alive"] is None:
        where = f"a process on {report['host']}" if report["host"] else "a process of another user"
        lines.append(f"Whether a training runs here cannot be known from here: its lock belongs to {where}.")
    if newest and newest["status"] != "finished":
        what = f"Run {newest['run']}" + (f", which repeats {newest['repeats']}" if newest["repeats"] else "")
        last = _ago(newest["last_event"])
        lines.append(f"{what}: {newest['status']}, optimizer step {newest['optimizer_step']}, last event {last}.")
        if newest["awaiting_decision_after_epoch"]:
            lines.append(f"A decision is awaited after epoch {newest['awaiting_decision_after_epoch']}.")
        if newest["failure"]:
            lines.append(f"It failed: {newest['failure']}")
    raced = [step for step in report["steps"] if step["race"]]
    if raced:
        lines.append(
            f"Step {raced[-1]['step']}: {raced[-1]['race']} {graded_by(raced[-1]['graded_by'] or '')}".rstrip()
        )
    if report["chosen"]:
        told = [f"{name.replace('_', ' ')} {value}" for name, value in report["chosen"].items() if value is not None]
        lines.append(f"Chosen for the next step at the question: {', '.join(told)}.")
    if report["next_step"] and not report["training_process"]:
        lines.append(f"Next: step {report['next_step']['step']} ({report['next_step']['batch']}): opeddev-tui train")
    elif report["steps"] and not report["next_step"]:
        lines.append(f"Every step is trained. Add the next batch under {Path(report['workspace']) / 'datasets'}.")
    return lines


def _ago(at: float) -> str:
    seconds = time.time() - at
    # the clock was set back since, or is that of another machine
    return f"{seconds:.0f} s ago" if seconds >= 0 else f"at {moment(at)}, which is in the future by this clock"
