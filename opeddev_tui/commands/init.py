"""``init``: make a workspace: its folders and a config.toml with every setting."""

import argparse
from pathlib import Path

from opeddev_tui.commands.options import named_in_text
from opeddev_tui.commands.printing import CleanConsole
from opeddev_tui.config.loading import load
from opeddev_tui.data.example_row import example_row
from opeddev_tui.workspace.setup import make_workspace


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER", default=Path(), help="default: this folder")


def run(options: argparse.Namespace) -> int:
    """Make the workspace and print what was made and what comes next."""
    root = named_in_text(options.folder.expanduser().resolve())
    made = make_workspace(root)
    console = CleanConsole(root)
    console.print(f"Workspace: {root}", markup=False)
    for path in made:
        console.print(f"  made {path.relative_to(root) if path.is_relative_to(root) else path}", markup=False)
    settings = load(root).settings
    paths = settings.paths
    console.say(
        f"Next: put the first rows into {paths.base}, the validation rows into {paths.holdout}, "
        "then: opeddev-tui check, and opeddev-tui to open the app.",
    )
    console.say(f"One row, as an object per line of a .jsonl file: {example_row(settings.grading)}")
    return 0
