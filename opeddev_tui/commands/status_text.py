"""The report of ``status`` in words: a table of the steps, then what runs, how the newest run is, what comes next."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from rich.table import Column, Table
from rich.text import Text

from opeddev_tui.analysis.seed_figures import StepSpread
from opeddev_tui.commands.foreground import how_to_answer
from opeddev_tui.commands.printing import CleanConsole
from opeddev_tui.commands.seed_tables import print_spread
from opeddev_tui.config.settings import Settings
from opeddev_tui.format import duration, moment, number
from opeddev_tui.runs.grade_words import graded_by
from opeddev_tui.runs.groups import Undecided
from opeddev_tui.text import clean_line
from opeddev_tui.workspace.setup import workspaces_below
from opeddev_tui.workspace.typed_commands import for_here, named_from_here, reopening

_MOST_PROBLEMS = 3
_MOST_NEAR = 5
# states of a step of which no run is at work or was cut short
_WITHOUT_RUN = ("trained", "next", "waiting", "undecided")


def print_status(report: dict[str, Any], settings: Settings) -> None:
    """Print ``report``, which ``status`` made."""
    console = CleanConsole(Path(report["workspace"]))
    console.print(Text(f"Workspace {report['workspace']}"))
    if report["steps"] and not report["empty"]:
        console.print(_table(report))
    for spread in report["seeds"]:
        print_spread(console, msgspec.convert(spread, StepSpread))
    for line in (*report["notes"], *_running(report), *_newest(report, settings), *_coming(report, settings)):
        console.say(clean_line(line))


def print_no_workspace(root: Path) -> None:
    """Print that ``root`` is no workspace, which ones there are right in it, and how to make one."""
    console = CleanConsole()
    console.say(f"No workspace here yet: {root}")
    for folder in workspaces_below(root)[:_MOST_NEAR]:
        console.say(for_here(f"There is one in {folder.name}: opeddev-tui status", folder))
    place = named_from_here(root)
    console.say(f"Make one: opeddev-tui init {place}".rstrip() + ". Or see the demo: opeddev-tui demo")


def _table(report: dict[str, Any]) -> Table:
    table = Table("step", "batch", "state", "epochs", "hold-out loss", Column("run", overflow="fold"))
    # of a step that is not trained, its newest run says how far it is
    begun = {run["step"]: run for run in report["runs"] if run["counts"] or run["group"]}
    for step in report["steps"]:
        run = begun.get(step["step"], {}) if step["state"] not in _WITHOUT_RUN else {}
        epochs, loss = (run["epochs"], run["val_loss"]) if run else (step["epochs"], step["val_loss"])
        # a step that will go on has more epochs before it; before the first one there is only epoch 0
        shown = _of_planned(run) if run else str(epochs or "")
        cells = (str(step["step"]), step["batch"], step["state"], shown, number(loss, 4) if loss is not None else "")
        table.add_row(*(Text(clean_line(cell)) for cell in cells), (run["run"] if run else step["run"]) or "")
    return table


def _of_planned(run: dict[str, Any]) -> str:
    """Return the epochs that are done, of those planned, or of those allowed where more are trained."""
    done = run["epochs"] or 0
    return f"{done} of {run['planned_epochs'] if done <= run['planned_epochs'] else run['max_epochs']}"


def _running(report: dict[str, Any]) -> Iterator[str]:
    """Say who trains here."""
    if report["alive"]:
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(report["since"])) if report["since"] else "unknown"
        inside = " (the number that it has in its container)" if report["elsewhere"] else ""
        yield f"A training runs in process {report['training_process']}{inside} on {report['host']} since {since}."
        yield f"Watch it and decide with: {reopening(Path(report['workspace']))}"
    if report["alive"] is None:
        where = f"a process on {report['host']}" if report["host"] else "a process of another user"
        yield f"Whether a training runs here cannot be known from here: its lock belongs to {where}."


def _newest(report: dict[str, Any], settings: Settings) -> Iterator[str]:
    """Say how the newest run is, unless it is done, and what the last race said."""
    newest = report["runs"][-1] if report["runs"] else None
    if newest and newest["status"] != "finished":
        what = f"Run {newest['run']}" + (f", which repeats {newest['repeats']}" if newest["repeats"] else "")
        yield (
            f"{what}: {newest['status']}, optimizer step {newest['optimizer_step']}, "
            f"last event {_ago(newest['last_event'])}."
        )
        silent = time.time() - newest["last_event"]
        if newest["alive"] and newest["status"] == "training" and silent > settings.ui.stall_seconds:
            yield f"No event for {duration(silent)}: it may be stalled. The log is logs/train.log."
        if newest["awaiting_decision_after_epoch"]:
            yield _question(newest, Path(report["workspace"]))
        if newest["failure"]:
            yield f"It failed: {newest['failure']}"
    raced = [step for step in report["steps"] if step["race"]]
    if raced:
        yield f"Step {raced[-1]['step']}: {raced[-1]['race']} {graded_by(raced[-1]['graded_by'] or '')}".rstrip()


def _question(run: dict[str, Any], root: Path) -> str:
    epoch = run["awaiting_decision_after_epoch"]
    if run["status"] == "awaiting":
        # where to watch it is said above
        return f"Your decision is awaited after epoch {epoch}: {how_to_answer(root).partition(', or the app')[0]}"
    return f"Your decision after epoch {epoch} was awaited; it is asked for again."


def _coming(report: dict[str, Any], settings: Settings) -> Iterator[str]:
    """Say what comes next: a step, the rest of one, what keeps it from being trained, or that nothing is left."""
    if report["chosen"]:
        told = [f"{name.replace('_', ' ')} {value}" for name, value in report["chosen"].items() if value is not None]
        yield f"Chosen for the next step at the question: {', '.join(told)}."
    if report["training_process"]:
        return
    following = report["next_step"]
    if report["empty"]:
        yield f"No data yet: graded rows go into {settings.paths.base}, the hold-out into {settings.paths.holdout}."
    elif report["problems"]:
        yield from _blocked(report["problems"])
    elif report["undecided"]:
        seeds = msgspec.convert(report["undecided"], Undecided)
        yield f"Next: {seeds.problem} {seeds.cure}"
    elif following is None:
        yield f"All batches are trained. A new batch under {settings.paths.increments} adds a step."
    else:
        step = f"step {following['step']} ({following['batch']})"
        what = f"resume run {report['resumes']} of {step}" if report["resumes"] else step
        yield f"Next: {what}: opeddev-tui train"


def _blocked(problems: list[str]) -> Iterator[str]:
    for at, problem in enumerate(problems[:_MOST_PROBLEMS]):
        yield f"{'Cannot train yet: ' if at == 0 else ''}{problem}"
    if (more := len(problems) - _MOST_PROBLEMS) > 0:
        yield f"… and {more:,} more: opeddev-tui check names all."


def _ago(at: float) -> str:
    seconds = time.time() - at
    # the clock was set back since, or is that of another machine
    return f"{duration(seconds)} ago" if seconds >= 0 else f"at {moment(at)}, which is in the future by this clock"
