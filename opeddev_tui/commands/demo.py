"""``demo``: make a small workspace with data and a toy model, and train it."""

import argparse
from pathlib import Path

from rich.console import Console

from opeddev_tui.commands import train
from opeddev_tui.config.loading import load
from opeddev_tui.demo.workspace import make_demo
from opeddev_tui.terminal.own_session import Owner, split

DEFAULT_FOLDER = Path("opeddev-demo")


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT_FOLDER, help="default: opeddev-demo")
    parser.add_argument("--headless", action="store_true", help="train all three steps without the app")


def run(options: argparse.Namespace) -> int:
    """Make the workspace if it is not there, then train in the app or without it."""
    if not options.headless:
        return show(options.folder, split())
    root = _make(options.folder)
    loaded = load(root, overrides=['early_stop.policy="rule"'])
    return train.train_here(root, loaded, which="all", console=Console())


def show(folder: Path, owner: Owner | None) -> int:
    """Make the workspace if it is not there, and train it in the app, in the terminal of ``owner``."""
    root = _make(folder)
    from opeddev_tui.ui.process import run_app

    return int(run_app(root, load(root), owner, start=True))


def _make(folder: Path) -> Path:
    root = folder.expanduser().resolve()
    console = Console()
    console.print(
        "The demo trains a toy: a model of about one million random weights, made here from a seed. "
        "It shows the machinery, it does not learn to grade.",
        highlight=False,
    )
    with console.status("making data and model"):
        make_demo(root)
    console.print(f"Workspace: {root}", markup=False, highlight=False)
    return root
