"""``demo``: make a small workspace with data and a toy model, and train it."""

import argparse
from pathlib import Path

from opeddev_tui.commands import train
from opeddev_tui.commands.options import named_in_text
from opeddev_tui.commands.printing import CleanConsole
from opeddev_tui.config.loading import load
from opeddev_tui.demo.about import about
from opeddev_tui.demo.workspace import make_demo
from opeddev_tui.runs.control import StepRequest
from opeddev_tui.terminal.own_session import Owner, split

DEFAULT_FOLDER = Path("opeddev-demo")


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "folder", nargs="?", type=Path, metavar="FOLDER", default=DEFAULT_FOLDER, help="default: opeddev-demo"
    )
    parser.add_argument("--headless", action="store_true", help="train all three steps without the app")


def run(options: argparse.Namespace) -> int:
    """Make the workspace if there is none yet, then train it in the app, or without it."""
    if not options.headless:
        return show(options.folder, split())
    root = _make(options.folder)
    loaded = load(root, overrides=['early_stop.policy="rule"'])
    return train.train_here(root, loaded, StepRequest(which="all"))


def show(folder: Path, owner: Owner | None) -> int:
    """Make the workspace if there is none yet and train it in the app, shown in the terminal of ``owner``."""
    root = _make(folder)
    from opeddev_tui.ui.process import run_app

    return int(run_app(root, load(root), owner, start=True))


def _make(folder: Path) -> Path:
    root = named_in_text(folder.expanduser().resolve())
    console = CleanConsole()
    console.say(f"{about(root)} It has about one million random weights, made here from a seed.")
    with console.status("making the data and the model"):
        make_demo(root)
    console.print(f"Workspace: {root}", markup=False, highlight=False)
    return root
