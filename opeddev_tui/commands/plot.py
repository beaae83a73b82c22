"""``plot``: draw every plot again, as PNG and SVG. Reads journals only."""

import argparse

from opeddev_tui.commands.options import add_workspace, open_workspace
from opeddev_tui.commands.printing import CleanConsole
from opeddev_tui.reports.plots import alone, write_plots
from opeddev_tui.runs.history import list_runs


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_workspace(parser)


def run(options: argparse.Namespace) -> int:
    """Write the plots and print their paths; return 1 if there is nothing to plot yet."""
    workspace, _ = open_workspace(options)
    with CleanConsole().status("drawing"), alone(workspace):
        written = write_plots(workspace, list_runs(workspace))
    print("\n".join(map(str, written)) or "Nothing is trained yet, so there is nothing to plot.")
    return 0 if written else 1
