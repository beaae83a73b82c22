"""``check``: read every batch and the hold-out, print an inventory and every problem."""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from rich.table import Table
from rich.text import Text

from opeddev_tui.analysis.same_holdout import changed_holdout
from opeddev_tui.analysis.workspace_steps import matched
from opeddev_tui.commands.options import add_json, add_workspace, open_workspace
from opeddev_tui.commands.printing import CleanConsole, print_json
from opeddev_tui.config.settings import Grading, Settings
from opeddev_tui.data.batches import BatchSummary, DataReport, check_data, describe, inventory
from opeddev_tui.data.grade_scale import written
from opeddev_tui.errors import Problem, each
from opeddev_tui.format import histogram, plural
from opeddev_tui.runs.grade_words import few_rows
from opeddev_tui.runs.history import list_runs
from opeddev_tui.text import clean_line
from opeddev_tui.workspace.paths import Workspace
from opeddev_tui.workspace.typed_commands import for_here, within_here

if TYPE_CHECKING:
    from opeddev_tui.models.token_check import TokenReport

_MOST_GRADES = 12


class Found(Struct, frozen=True):
    """All that the check found; ``tokens`` is None where nothing was encoded."""

    report: DataReport
    tokens: TokenReport | None
    notes: list[str]
    problems: list[Problem]


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_json(parser)
    add_workspace(parser)


def run(options: argparse.Namespace) -> int:
    """Print the inventory, every note and every problem; return 1 if there is a problem."""
    workspace, loaded = open_workspace(options)
    report = check_data(workspace.root, loaded.settings)
    # with --json the standard output is for the object alone
    console = CleanConsole(workspace.root, stderr=options.json)
    if not options.json:
        # the tokenizer may take a while
        console.print(_table(report, loaded.settings.grading))
    found = _find(workspace, loaded.settings, report, console)
    if options.json:
        print_json(as_json(found, workspace.root, loaded.settings.grading))
    else:
        _tell(found, console)
    return 1 if found.problems else 0


def _tell(found: Found, console: CleanConsole) -> None:
    if found.tokens is not None:
        console.say(found.tokens.figures)
    for note in found.notes:
        console.say(f"note: {within_here(note)}")
    for problem in found.problems:
        _say(console, problem)
    console.print(f"{plural(len(found.problems), 'problem')}." if found.problems else "Everything can be trained on.")


def _find(workspace: Workspace, settings: Settings, report: DataReport, console: CleanConsole) -> Found:
    changes = matched(report.batches, list_runs(workspace)).steps.notes
    held = len(report.holdout.examples) if report.holdout is not None else 0
    few = filter(None, [few_rows(held, "every verdict")])
    changed = changed_holdout(workspace, report.holdout)
    notes, problems = [*changes, *few, *report.warnings], [*report.problems, *([changed] if changed else [])]
    tokens = None
    # without rows nothing is tokenized, and asking the hub would take its time
    if any(item.examples for item in report.batches):
        with console.status("loading the tokenizer"):
            from opeddev_tui.models import token_check
            from opeddev_tui.training import grade_places

            tokens = token_check.check(workspace.root, settings, report)
            unfit, unplaced = grade_places.check(workspace.root, settings, report)
        notes += [*tokens.notes, *unplaced]
        problems += [*tokens.problems, *unfit]
    return Found(report, tokens, [str(note) for note in notes], [one for some in problems for one in each(some)])


def as_json(found: Found, root: Path, grading: Grading) -> dict[str, Any]:
    """Return all that was found in the workspace at ``root`` as plain values; docs/json.md describes them."""
    report = found.report
    sets = [_set_json("training", summary, grading) for summary in inventory(report.batches)]
    if report.holdout is not None:
        sets.append(_set_json("holdout", describe(report.holdout), grading))
    if report.test is not None:
        # sealed: how many, and nothing about what
        rows, fingerprint = len(report.test.examples), report.test.fingerprint
        sealed = BatchSummary("test", report.test.batch.number, rows, rows, {}, 0, fingerprint)
        hidden = {"grades": None, "longest_characters": None}
        sets.append(_set_json("test", sealed, grading) | hidden)
    lengths = found.tokens.lengths if found.tokens is not None else None
    return {
        "workspace": str(root),
        "trainable": not found.problems,
        "sets": sets,
        "tokens": msgspec.to_builtins(lengths),
        "notes": [for_here(note, root) for note in found.notes],
        "problems": [
            {
                "kind": problem.kind,
                "where": problem.where,
                "message": for_here(problem.message, root),
                "cure": for_here(problem.cure, root),
            }
            for problem in found.problems
        ],
    }


def _set_json(part: str, summary: BatchSummary, grading: Grading) -> dict[str, Any]:
    return {
        "set": part,
        "name": summary.name,
        "rows": summary.rows,
        "rows_so_far": summary.cumulative if part == "training" else None,
        "grades": {written(grade, grading): count for grade, count in summary.grades.items()},
        "longest_characters": summary.characters_longest,
        "fingerprint": summary.fingerprint,
    }


def _say(console: CleanConsole, problem: Problem) -> None:
    """Print ``problem``; where it takes more than a line, its place has one of its own, which nothing breaks."""
    line = f"problem: {within_here(str(problem))}"
    if len(line) <= console.width or not problem.where:
        console.say(line)
        return
    console.say(f"problem: {within_here(problem.where)}", soft_wrap=True)
    console.say(within_here(" ".join(filter(None, (problem.message, problem.cure)))), indent=2)


def _grades(grades: dict[int, int], grading: Grading) -> str:
    """Return how often each grade occurs, with a small bar per grade; of more than a dozen grades range and median."""
    if not grades:
        return "-"
    if len(grades) > _MOST_GRADES:
        occurring = [grade for grade, count in grades.items() for _ in range(count)]
        return f"{min(occurring)} to {max(occurring)}, median {statistics.median_low(occurring)}"
    counts = " ".join(f"{written(grade, grading)}:{count}" for grade, count in grades.items())
    bars = histogram([grades.get(grade, 0) for grade in range(min(grades), max(grades) + 1)])
    return f"{bars}  {counts}"


def _table(report: DataReport, grading: Grading) -> Table:
    table = Table("batch", "rows", "so far", "grades", "longest (characters)", "fingerprint")
    rows = inventory(report.batches)
    if report.holdout is not None:
        rows = [*rows, describe(report.holdout)]
    for summary in rows:
        is_holdout = summary.number < 0
        table.add_row(
            Text(clean_line(summary.name)),
            str(summary.rows),
            "" if is_holdout else str(summary.cumulative),
            Text(_grades(summary.grades, grading)),
            str(summary.characters_longest),
            summary.fingerprint[:12],
        )
    if report.test is not None:
        # sealed: how many, and nothing about what
        count, fingerprint = str(len(report.test.examples)), report.test.fingerprint[:12]
        table.add_row("test", count, "", "", "", fingerprint)
    return table
