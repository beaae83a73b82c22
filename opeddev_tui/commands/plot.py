"""``plot``: draw every plot anew, PNG and SVG. Reads journals only."""

import argparse

from rich.console import Console

from opeddev_tui.commands.options import add_workspace, load_settings
from opeddev_tui.reports.plots import alone, write_plots
from opeddev_tui.runs.history import list_runs
from opeddev_tui.workspace.paths import Workspace


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_workspace(parser)


def run(options: argparse.Namespace) -> int:
    """Write the plots and print where they are; 1 when there is nothing to plot yet."""
    root, loaded = load_settings(options)
    workspace = Workspace(root, loaded.settings.paths)
    console = Console()
    with console.status("drawing"), alone(workspace):
        written = write_plots(workspace, list_runs(workspace))
    for path in written:
        console.print(str(path), markup=False, highlight=False, soft_wrap=True)
    if not written:
        console.print("Nothing is trained yet, so there is nothing to plot.")
    return 0 if written else 1
