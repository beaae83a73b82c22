"""``attach``: this terminal for the app of the process that trains in a workspace; or a view of it that only reads."""

import argparse
from pathlib import Path

from opeddev_tui.commands.options import add_workspace, load_settings
from opeddev_tui.config import LoadedSettings
from opeddev_tui.errors import TrainingProblem
from opeddev_tui.workspace import Workspace


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_workspace(parser, positional=True)
    parser.add_argument(
        "--view", action="store_true", help="only look, in as many terminals as you like; its screen stays where it is"
    )


def run(options: argparse.Namespace) -> int:
    """Take the screen of the training, or look at it."""
    root, loaded = load_settings(options)
    return _view(root, loaded) if options.view else _attach(Workspace(root, loaded.settings.paths))


def _view(root: Path, loaded: LoadedSettings) -> int:
    from opeddev_tui.ui.run import run_app

    return run_app(root, loaded, read_only=True)


def _attach(workspace: Workspace) -> int:
    from opeddev_tui.ui.attach import attach
    from opeddev_tui.ui.handover import listening
    from opeddev_tui.ui.presence import reach

    if listening(workspace.socket):
        return attach(workspace.socket)
    trains = reach(workspace)
    if trains is None:
        raise TrainingProblem(
            "nothing is running here.",
            where=str(workspace.root),
            cure="Start a training without a screen: opeddev-tui train --detach; or open the app: opeddev-tui.",
        )
    raise TrainingProblem(
        f"process {trains.pid} trains here without an app, so it has no screen to take.",
        where=str(workspace.root),
        cure=f"Look at it with: opeddev-tui attach --view; stop it (saved, resumable) with: kill -TERM {trains.pid}."
        if trains.pid > 0
        else "",
    )
