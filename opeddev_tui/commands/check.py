"""``check``: read every batch and the hold-out, print an inventory and every problem."""

import argparse
import statistics

from rich.table import Table
from rich.text import Text

from opeddev_tui.analysis.workspace_steps import matched
from opeddev_tui.commands.options import add_workspace, open_workspace
from opeddev_tui.commands.printing import CleanConsole
from opeddev_tui.config.settings import Grading
from opeddev_tui.data.batches import DataReport, check_data, describe, inventory
from opeddev_tui.data.grade_scale import written
from opeddev_tui.runs.history import list_runs
from opeddev_tui.text import clean, clean_line

_MOST_GRADES = 12
_BARS = " ▁▂▃▄▅▆▇█"


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_workspace(parser)


def run(options: argparse.Namespace) -> int:
    """Print the inventory, every note and every problem; return 1 if there is a problem."""
    workspace, loaded = open_workspace(options)
    report = check_data(workspace.root, loaded.settings)
    console = CleanConsole()
    console.print(_table(report, loaded.settings.grading))
    changes = matched(report.batches, list_runs(workspace)).steps.notes
    notes, problems = [*changes, *report.warnings], [*report.problems]
    # without rows nothing is tokenized, and asking the hub would take its time
    if any(item.examples for item in report.batches):
        with console.status("loading the tokenizer"):
            from opeddev_tui.models import token_check
            from opeddev_tui.training import grade_places

            tokens = token_check.check(workspace.root, loaded.settings, report)
            unfit, unplaced = grade_places.check(workspace.root, loaded.settings, report)
        if tokens.figures:
            console.print(Text(tokens.figures))
        notes += [*tokens.notes, *unplaced]
        problems += [*tokens.problems, *unfit]
    for note in notes:
        console.print(Text(f"note: {clean(note)}"))
    for problem in problems:
        console.print(Text(f"problem: {clean(str(problem))}"))
    count = len(problems)
    console.print(f"{count} problem{'' if count == 1 else 's'}." if count else "Everything can be trained on.")
    return 1 if count else 0


def grade_bar(grades: dict[int, int]) -> str:
    """Return the distribution of grades as one small bar per grade, lowest grade first; ``grades`` holds counts."""
    if not grades:
        return "-"
    most = max(grades.values())
    return "".join(_BARS[round(grades.get(grade, 0) / most * 8)] for grade in range(min(grades), max(grades) + 1))


def _grades(grades: dict[int, int], grading: Grading) -> str:
    """Return how often each grade occurs; for more than a dozen different grades their range and median."""
    if len(grades) > _MOST_GRADES:
        occurring = [grade for grade, count in grades.items() for _ in range(count)]
        return f"{min(occurring)} to {max(occurring)}, median {statistics.median_low(occurring)}"
    counts = " ".join(f"{written(grade, grading)}:{count}" for grade, count in grades.items())
    return f"{grade_bar(grades)}  {counts}"


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
