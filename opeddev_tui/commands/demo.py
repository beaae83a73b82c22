"""``demo``: make a small workspace with data and a toy model, and train it."""

import argparse
from pathlib import Path

from opeddev_tui.commands import train
from opeddev_tui.commands.options import named_in_text
from opeddev_tui.commands.printing import CleanConsole
from opeddev_tui.config.loading import load
from opeddev_tui.demo.about import about, is_demo
from opeddev_tui.demo.workspace import make_demo
from opeddev_tui.errors import Problem, SettingsProblem
from opeddev_tui.runs.control import StepRequest
from opeddev_tui.terminal.own_session import Owner, first_terminal, split
from opeddev_tui.text import clean_line
from opeddev_tui.workspace.setup import is_workspace, workspaces_below

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
    if first_terminal() is None:
        raise Problem("the app needs a terminal.", cure="Without one: opeddev-tui demo --headless.")
    root = _make(folder)
    from opeddev_tui.ui.process import run_app

    return int(run_app(root, load(root), owner, start=True))


def _make(folder: Path) -> Path:
    root = named_in_text(folder.expanduser().resolve())
    _refuse_own(root)
    console = CleanConsole()
    console.say(f"{about(root)} It has about one million random weights, made here from a seed.")
    with console.status("making the data and the model"):
        make_demo(root)
    console.print(f"Workspace: {root}", markup=False, highlight=False)
    return root


def _refuse_own(root: Path) -> None:
    """Raise ``SettingsProblem`` where ``root`` is a workspace of a person, or holds one: a demo has its own folder."""
    cure = "Name a new folder: opeddev-tui demo FOLDER."
    settings = load(root, environment={}).settings
    if is_workspace(root, settings.paths):
        if not is_demo(settings):
            raise SettingsProblem("it is a workspace of yours, no demo.", where=str(root), cure=cure)
    elif held := workspaces_below(root):
        raise SettingsProblem(f"it holds a workspace, {clean_line(held[0].name)}.", where=str(root), cure=cure)
