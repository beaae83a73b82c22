"""``check``: read every batch and the hold-out, print an inventory and every problem."""

import argparse

from rich.console import Console
from rich.table import Table
from rich.text import Text

from opeddev_tui.batches import DataReport, check_data, describe, inventory
from opeddev_tui.commands.options import add_workspace, load_settings
from opeddev_tui.text import clean, clean_line

_BARS = " ▁▂▃▄▅▆▇█"


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_workspace(parser)


def run(options: argparse.Namespace) -> int:
    """Return 0 if all data can be trained on, 1 if not."""
    root, loaded = load_settings(options)
    report = check_data(root, loaded.settings)
    console = Console()
    console.print(_table(report))
    with console.status("loading the tokenizer"):
        from opeddev_tui import token_check

        tokens = token_check.check(root, loaded.settings, report)
    if tokens.figures:
        console.print(Text(tokens.figures))
    for warning in (*report.warnings, *tokens.notes):
        console.print(Text(f"note: {clean(warning)}"))
    problems = [*report.problems, *tokens.problems]
    for problem in problems:
        console.print(Text(f"problem: {clean(str(problem))}"))
    count = len(problems)
    console.print(Text(f"{count} problem{'' if count == 1 else 's'}." if count else "Everything can be trained on."))
    return 1 if count else 0


def grade_bar(grades: dict[int, int]) -> str:
    """Return the distribution of grades as one small bar a grade, the lowest grade first."""
    if not grades:
        return "-"
    most = max(grades.values())
    return "".join(_BARS[round(grades.get(grade, 0) / most * 8)] for grade in range(min(grades), max(grades) + 1))


def _table(report: DataReport) -> Table:
    table = Table("batch", "rows", "so far", "grades", "longest (characters)", "fingerprint")
    rows = inventory(report.batches)
    if report.holdout is not None:
        rows = [*rows, describe(report.holdout)]
    for summary in rows:
        held = summary.number < 0
        grades = " ".join(f"{grade}:{count}" for grade, count in summary.grades.items())
        table.add_row(
            Text(clean_line(summary.name)),
            str(summary.rows),
            "" if held else str(summary.cumulative),
            Text(f"{grade_bar(summary.grades)}  {grades}"),
            str(summary.characters_longest),
            summary.fingerprint[:12],
        )
    return table
