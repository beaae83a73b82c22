"""``check``: read every batch and the hold-out, print an inventory and every problem."""

import argparse
import statistics

from rich.table import Table
from rich.text import Text

from opeddev_tui.analysis.same_holdout import changed_holdout
from opeddev_tui.analysis.workspace_steps import matched
from opeddev_tui.commands.options import add_workspace, open_workspace
from opeddev_tui.commands.printing import CleanConsole
from opeddev_tui.config.settings import Grading
from opeddev_tui.data.batches import DataReport, check_data, describe, inventory
from opeddev_tui.data.grade_scale import written
from opeddev_tui.errors import Problem
from opeddev_tui.format import histogram, plural
from opeddev_tui.runs.grade_words import few_rows
from opeddev_tui.runs.history import list_runs
from opeddev_tui.text import clean_line
from opeddev_tui.workspace.typed_commands import within_here

_MOST_GRADES = 12


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_workspace(parser)


def run(options: argparse.Namespace) -> int:
    """Print the inventory, every note and every problem; return 1 if there is a problem."""
    workspace, loaded = open_workspace(options)
    report = check_data(workspace.root, loaded.settings)
    console = CleanConsole(workspace.root)
    console.print(_table(report, loaded.settings.grading))
    changes = matched(report.batches, list_runs(workspace)).steps.notes
    held = len(report.holdout.examples) if report.holdout is not None else 0
    few = filter(None, [few_rows(held, "every verdict")])
    changed = changed_holdout(workspace, report.holdout)
    notes, problems = [*changes, *few, *report.warnings], [*report.problems, *([changed] if changed else [])]
    # without rows nothing is tokenized, and asking the hub would take its time
    if any(item.examples for item in report.batches):
        with console.status("loading the tokenizer"):
            from opeddev_tui.models import token_check
            from opeddev_tui.training import grade_places

            tokens = token_check.check(workspace.root, loaded.settings, report)
            unfit, unplaced = grade_places.check(workspace.root, loaded.settings, report)
        console.say(tokens.figures)
        notes += [*tokens.notes, *unplaced]
        problems += [*tokens.problems, *unfit]
    for note in notes:
        console.say(f"note: {within_here(str(note))}")
    for problem in problems:
        _say(console, problem)
    console.print(f"{plural(len(problems), 'problem')}." if problems else "Everything can be trained on.")
    return 1 if problems else 0


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
