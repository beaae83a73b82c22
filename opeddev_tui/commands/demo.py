"""``demo``: make a small workspace with data and a toy model, and train it."""

import argparse
from pathlib import Path

from rich.console import Console

from opeddev_tui.commands import train
from opeddev_tui.config import load
from opeddev_tui.demo.workspace import make_demo


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("folder", nargs="?", type=Path, default=Path("opeddev-demo"), help="default: opeddev-demo")
    parser.add_argument("--headless", action="store_true", help="train all three steps without the app")


def run(options: argparse.Namespace) -> int:
    """Make the workspace if it is not there, then train in the app or without it."""
    root = options.folder.expanduser().resolve()
    console = Console()
    console.print(
        "The demo trains a toy: a model of about one million random weights, made here from a seed. "
        "It shows the machinery, it does not learn to grade.",
        highlight=False,
    )
    with console.status("making data and model"):
        make_demo(root)
    console.print(f"Workspace: {root}", markup=False, highlight=False)
    if options.headless:
        loaded = load(root, overrides=['early_stop.policy="rule"'])
        return train.train_here(root, loaded, which="all", console=console)
    from opeddev_tui.ui.run import run_app

    return run_app(root, load(root), start=True)
