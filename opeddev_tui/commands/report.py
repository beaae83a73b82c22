"""``report``: one HTML page and a Markdown file with all that was found. Reads journals only."""

import argparse

from rich.console import Console

from opeddev_tui.commands.options import add_workspace, load_settings
from opeddev_tui.reports.report import write_report
from opeddev_tui.runs.history import list_runs
from opeddev_tui.workspace.paths import Workspace


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_workspace(parser)


def run(options: argparse.Namespace) -> int:
    """Write the report and print where it is."""
    root, loaded = load_settings(options)
    workspace = Workspace(root, loaded.settings.paths)
    console = Console()
    with console.status("drawing"):
        written = write_report(workspace, list_runs(workspace))
    for path in written:
        console.print(str(path), markup=False, highlight=False, soft_wrap=True)
    return 0
