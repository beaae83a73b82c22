"""``note``: keep an observation on a run, in its journal and in the observations file."""

import argparse
import sys

from opeddev_tui.commands.options import add_workspace, open_workspace
from opeddev_tui.errors import TrainingProblem
from opeddev_tui.runs.notes import annotate
from opeddev_tui.terminal.editor import edit


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "text", nargs="?", metavar="TEXT", default="", help="the note; without it $EDITOR opens, or stdin is read"
    )
    add_workspace(parser)
    parser.add_argument("--run", metavar="ID", default="", help="default: the newest run")
    parser.add_argument("--epoch", type=int, default=None, help="default: the newest epoch of the run")


def run(options: argparse.Namespace) -> int:
    """Keep the note and print where it is; return 1 if nothing was written."""
    workspace, _ = open_workspace(options)
    chosen = options.run or next(reversed(workspace.run_ids()), "")
    if not chosen or not workspace.run_folder(chosen).is_dir():
        missing = f"there is no run {chosen}." if chosen else "there is no run yet."
        raise TrainingProblem(missing, cure="See the runs with: opeddev-tui status.")
    text = (options.text or _written()).strip()
    if not text:
        print("Nothing was written, so nothing is kept.", file=sys.stderr)
        return 1
    print(f"{chosen}: {annotate(workspace, chosen, text, options.epoch)}")
    return 0


def _written() -> str:
    """Return what the person writes in their editor, or what comes through a pipe."""
    return edit("") if sys.stdin.isatty() else sys.stdin.read()
