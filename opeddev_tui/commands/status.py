"""``status``: print what is trained, what is running and what comes next.

Reads journals and the data folders; must not load the training stack, nor ask the hub.
"""

import argparse
from typing import Any

import msgspec

from opeddev_tui.analysis.learning_curve import other_holdouts
from opeddev_tui.analysis.next_step import NOTHING, chosen_for, up_to_chosen
from opeddev_tui.analysis.same_holdout import changed_words
from opeddev_tui.analysis.seed_figures import step_spread
from opeddev_tui.analysis.trained_steps import Step
from opeddev_tui.analysis.whats_next import Next, StepWord, newest_runs, step_words, whats_next
from opeddev_tui.analysis.workspace_steps import matched
from opeddev_tui.commands.options import add_json, add_workspace, open_folder
from opeddev_tui.commands.printing import print_json
from opeddev_tui.commands.status_text import print_no_workspace, print_status
from opeddev_tui.config.settings import Settings
from opeddev_tui.data.batches import check_data
from opeddev_tui.data.standing import nothing_yet, problems_of
from opeddev_tui.runs.events import NextStepChosen
from opeddev_tui.runs.groups import list_groups, undecided
from opeddev_tui.runs.history import RunRecord, all_runs, begun, damage_notes, finished_steps, status_as_known
from opeddev_tui.runs.journal import is_written
from opeddev_tui.runs.live_file import not_begun, read_live
from opeddev_tui.runs.state import RunState
from opeddev_tui.workspace.lock import Holder, who_may_train
from opeddev_tui.workspace.paths import Workspace
from opeddev_tui.workspace.setup import is_workspace


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_workspace(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print the status."""
    workspace, loaded = open_folder(options)
    report = status(workspace, loaded.settings)
    if options.json:
        print_json(report)
    elif not is_workspace(workspace.root, workspace.paths):
        print_no_workspace(workspace.root)
    else:
        print_status(report, loaded.settings)
    return 0


def status(workspace: Workspace, settings: Settings) -> dict[str, Any]:
    """Return the status of ``workspace`` as plain values; docs/json.md describes them."""
    every = all_runs(workspace)
    records = begun(every)
    trains = who_may_train(workspace)
    alive = trains is not None if trains is None or trains.certain else None
    data = check_data(workspace.root, settings, fetch=False)
    wrong = problems_of(data)
    found = matched(data.batches, records).steps
    chosen = _chosen(records, found.next)
    upcoming = up_to_chosen(found, found.next, chosen.batch) if found.next is not None else None
    starting = trains is not None and trains.certain and _not_begun(workspace, records, trains)
    trained = alive and not starting  # of a run that is about to be resumed nobody writes the journal yet
    known = [(item.state, status_as_known(item.state, alive=_lives(item, records, trained))) for item in records]
    newest = newest_runs(known)
    groups = list_groups(workspace)
    seeds = undecided(groups, records, upcoming.number) if upcoming is not None else None
    words = step_words(found, upcoming, newest, wrong.of_batches, starting=starting, seeds=seeds)
    general = (*wrong.general, *changed_words(workspace, data.holdout))
    coming = whats_next(found, upcoming, newest, wrong.of_batches, general, seeds)
    empty = nothing_yet(workspace.root, settings)
    spreads = [step_spread(group, records) for group in groups]
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
        "steps": [_step(workspace, step, words[step.number], done.get(step.number)) for step in found.steps],
        "next_step": None if upcoming is None else {"step": upcoming.number, "batch": upcoming.name},
        "resumes": coming.resumes or None,
        "undecided": msgspec.to_builtins(seeds),
        "empty": empty,
        "problems": [] if empty else _problems(workspace, settings, coming),
        "chosen": None if chosen == NOTHING else _as_values(chosen),
        "seeds": [msgspec.to_builtins(spread) for spread in spreads],
        "runs": [_run(record, alive=_lives(record, records, trained)) for record in records],
        "problem": None if data.batches else next(iter(general), None),
        "notes": [*found.notes, *([scored] if scored else []), *damage_notes(every)],
    }


def _problems(workspace: Workspace, settings: Settings, coming: Next) -> list[str]:
    """Return what keeps the next step from being trained: its data, else that its run cannot be gone on with."""
    if coming.problems or not coming.resumes:
        return list(coming.problems)
    # late: only where a run waits to be resumed
    from opeddev_tui.training.step_data import refusals

    refused = refusals(workspace, settings, coming.resumes).resume
    return [refused] if refused else []


def _not_begun(workspace: Workspace, records: list[RunRecord], trains: Holder) -> bool:
    newest = records[-1].state if records else RunState()
    return not_begun(newest, trains, read_live(workspace, trains))


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


def _step(workspace: Workspace, step: Step, word: StepWord, record: RunRecord | None) -> dict[str, Any]:
    finished = record.state.finished if record else None
    race = record.state.race if record else None
    return {
        "step": step.number,
        "batch": step.name,
        "state": word,
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
    newest = max(state.epochs, default=None)
    return {
        "run": record.id,
        "step": record.step,
        "status": status_as_known(state, alive=alive),
        "alive": False if state.over else alive,
        "interruption": state.interrupted.reason if state.interrupted else None,
        "epochs": newest,
        "planned_epochs": state.begun.planned_epochs,
        "max_epochs": state.begun.max_epochs,
        "val_loss": state.epochs[newest].val_loss if newest is not None else None,
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
