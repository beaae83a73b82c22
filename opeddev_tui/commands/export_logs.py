"""``export-logs``: write the numbers of all runs for TensorBoard and other viewers, or give trackers what they lack.

Reads journals only.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from opeddev_tui.commands.options import add_workspace, open_workspace
from opeddev_tui.config.settings import Settings
from opeddev_tui.errors import SettingsProblem
from opeddev_tui.files import open_file, storage_errors
from opeddev_tui.format import plural
from opeddev_tui.reports.scalars import write_jsonl, write_tensorboard
from opeddev_tui.runs.journal import read
from opeddev_tui.text import clean_line
from opeddev_tui.trackers.names import PACKAGES, missing
from opeddev_tui.trackers.sink import command
from opeddev_tui.workspace.paths import Workspace

# most that one run may take to be given
_MOST_SECONDS = 3600.0


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_workspace(parser)
    targets = parser.add_mutually_exclusive_group(required=True)
    targets.add_argument("--tensorboard", type=Path, metavar="DIR", help="event files, one folder per run")
    targets.add_argument("--jsonl", type=Path, metavar="FILE", help="one JSON line per number")
    targets.add_argument(
        "--tracker",
        choices=PACKAGES,
        help="give this live tracker what it has not had of every run, as during a training (setting tracking)",
    )


def run(options: argparse.Namespace) -> int:
    """Write the numbers and print how many there are."""
    workspace, loaded = open_workspace(options)
    if options.tracker is not None:
        return _give(workspace, loaded.settings, options.tracker)
    runs = [read(workspace.run_folder(run)) for run in workspace.run_ids()]
    if options.jsonl is not None:
        count, target = write_jsonl(options.jsonl, runs), options.jsonl
    else:
        count, target = write_tensorboard(options.tensorboard, runs), options.tensorboard
    print(f"{count} numbers of {len(runs)} runs: {target}")
    return 0


def _give(workspace: Workspace, settings: Settings, tracker: str) -> int:
    """Give ``tracker`` the rest of every run; return 1 if it did not take all of it."""
    absent = missing(tracker)
    if absent:
        raise SettingsProblem(absent)
    runs = workspace.run_ids()
    left = [
        run for run in runs if not _given(workspace, command(tracker, run, workspace, settings.tracking, _MOST_SECONDS))
    ]
    rest = f"; not all of {', '.join(left)}: see {workspace.log}" if left else ""
    print(f"{PACKAGES[tracker].words} has all of {len(runs) - len(left)} of {plural(len(runs), 'run')}{rest}.")
    return 1 if left else 0


def _given(workspace: Workspace, words: list[str]) -> bool:
    """Run a tracker's process to its end, its input closed; return whether it took everything."""
    with storage_errors(workspace.log):
        log = open_file(workspace.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, cwd=workspace.root, check=False
        )
    finally:
        os.close(log)
    for line in done.stdout.decode(errors="replace").splitlines():
        print(clean_line(line), file=sys.stderr)
    return done.returncode == 0
