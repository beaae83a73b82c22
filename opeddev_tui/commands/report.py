"""``report``: one HTML page and a Markdown file with all results. Reads journals only."""

import argparse

from opeddev_tui.commands.options import add_workspace, open_workspace
from opeddev_tui.commands.printing import CleanConsole
from opeddev_tui.reports.report import write_report
from opeddev_tui.runs.history import list_runs


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_workspace(parser)


def run(options: argparse.Namespace) -> int:
    """Write the report and print the paths of its files."""
    workspace, _ = open_workspace(options)
    with CleanConsole().status("drawing"):
        written = write_report(workspace, list_runs(workspace))
    print(*written, sep="\n")
    return 0
