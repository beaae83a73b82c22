"""``rank``: be one process of a training that another process leads; nobody calls it by hand."""

import argparse
import os
import signal
import sys
from pathlib import Path

from opeddev_tui.errors import TrainingProblem
from opeddev_tui.ranks import children, group
from opeddev_tui.ranks.launcher import Launched
from opeddev_tui.ranks.life import end_with_parent, leave
from opeddev_tui.ranks.line import Line, open_store


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("run_folder", type=Path, metavar="RUNFOLDER", help="the folder of the run, with its orders")


def run(options: argparse.Namespace) -> int:
    """Do what rank 0 says; return the exit code."""
    launched: Launched | None = options.launched
    port, secret = os.environ.pop(children.PORT, ""), os.environ.pop(children.SECRET, "")
    if launched is None or not port.isdecimal():
        raise TrainingProblem("is started by a training with several processes, not by hand.", where="rank")
    # rank 0 leads every stop, also where SLURM or systemd signals every process: this one ends with it
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    end_with_parent()
    line = Line(open_store(children.LOOPBACK, int(port), leads=False), launched.rank, os.environ.pop(children.NAME, ""))
    from opeddev_tui.training import hand

    place = group.Place(launched.rank, launched.world, launched.local, launched.world, children.LOOPBACK)
    try:
        hand.serve(line, place, options.run_folder, secret)
    except RuntimeError as error:
        if not group.is_of_exchange(error):
            raise
        leave()  # another rank has gone: rank 0 knows which
    sys.stdout.flush()
    # rank 0 waits for this end, and the libraries take seconds to leave
    os._exit(0)
