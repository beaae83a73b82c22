"""``open`` and ``attach``: open the app on a workspace, also where another process trains in it."""

import argparse
import contextlib
from pathlib import Path

from opeddev_tui.commands.options import add_workspace, find_workspace
from opeddev_tui.config.loading import load
from opeddev_tui.terminal.own_session import split
from opeddev_tui.workspace.setup import is_workspace


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_workspace(parser, positional=True)
    parser.add_argument("--run", metavar="ID", help="replay this run")
    parser.add_argument("--view", action="store_true", help="only look: no key affects the training or writes anything")


def run(options: argparse.Namespace) -> int:
    """Open the app at the latest run; in a folder that is no workspace it offers to make one."""
    root = find_workspace(options)
    loaded = load(root, overrides=options.overrides)
    owner = split()
    from opeddev_tui.ui.process import DEMO, run_app

    if is_workspace(root, loaded.settings.paths):
        result = run_app(root, loaded, owner, run=options.run, read_only=options.view)
    else:
        # it offers to make one, there; nothing is written until then
        with contextlib.chdir(root):
            result = run_app(None, loaded, owner, run=options.run, read_only=options.view)
    while isinstance(result, str) and result != DEMO:
        folder = Path(result)
        result = run_app(folder, load(folder, overrides=options.overrides), owner, read_only=options.view)
    if result != DEMO:
        return int(result)
    from opeddev_tui.commands.demo import DEFAULT_FOLDER, show

    return show(root / DEFAULT_FOLDER, owner)
