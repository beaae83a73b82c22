"""``export-logs``: write the numbers of all runs for TensorBoard and other viewers. Reads journals only."""

import argparse
from pathlib import Path

from opeddev_tui.commands.options import add_workspace, open_workspace
from opeddev_tui.reports.scalars import write_jsonl, write_tensorboard
from opeddev_tui.runs.journal import read


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_workspace(parser)
    targets = parser.add_mutually_exclusive_group(required=True)
    targets.add_argument("--tensorboard", type=Path, metavar="DIR", help="event files, one folder per run")
    targets.add_argument("--jsonl", type=Path, metavar="FILE", help="one JSON line per number")


def run(options: argparse.Namespace) -> int:
    """Write the numbers and print how many there are."""
    workspace, _ = open_workspace(options)
    runs = [read(workspace.run_folder(run)) for run in workspace.run_ids()]
    if options.jsonl is not None:
        count, target = write_jsonl(options.jsonl, runs), options.jsonl
    else:
        count, target = write_tensorboard(options.tensorboard, runs), options.tensorboard
    print(f"{count} numbers of {len(runs)} runs: {target}")
    return 0
