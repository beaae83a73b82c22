"""``open``: the app on a workspace."""

import argparse

from opeddev_tui.commands.options import add_workspace, find_workspace, is_workspace
from opeddev_tui.config import load


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_workspace(parser, positional=True)
    parser.add_argument("--run", metavar="ID", default=None, help="replay this run")


def run(options: argparse.Namespace) -> int:
    """Open the app at the latest run, or at the offer to make a workspace."""
    from opeddev_tui.ui.run import run_app

    root = find_workspace(options)
    loaded = load(root, overrides=options.overrides)
    return run_app(root if is_workspace(root) or options.workspace else None, loaded, run=options.run)
