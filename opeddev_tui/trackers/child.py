"""The process of one tracker for one run: it follows the run's journal until its standard input ends.

It is started by ``trackers.sink`` and says what goes wrong in lines on its standard output; everything that the
tracker's library prints goes to standard error, which is the workspace's log.
"""

import argparse
import logging
import os
import sys
import threading
from pathlib import Path

from opeddev_tui.runs.log import FORMAT
from opeddev_tui.trackers.follow import Follower, reason_in_words
from opeddev_tui.trackers.writers import MAKERS, QUIET, STRIPPED, UNLESS_SET

_NICE = 10


def main() -> int:
    """Follow one run; return 0 if the tracker has taken everything."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("tracker", choices=MAKERS)
    for name in ("run_folder", "folder"):
        parser.add_argument(name, type=Path)
    parser.add_argument("project")
    parser.add_argument("last_seconds", type=float)
    options = parser.parse_args()
    tell = _own_output()
    os.nice(_NICE)
    os.environ.update(QUIET)
    for name, value in UNLESS_SET.items():
        os.environ.setdefault(name, value)
    for name in STRIPPED:
        os.environ.pop(name, None)
    logging.basicConfig(level=logging.WARNING, format=FORMAT)
    ended = threading.Event()
    threading.Thread(target=_wait_for_end, args=(ended, options.last_seconds), daemon=True).start()
    try:
        tracker = MAKERS[options.tracker](options.folder, options.project)
        done = Follower(options.run_folder, options.tracker, tracker, tell, ended).follow()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the process ends; the training is told in one line
        tell(reason_in_words(error))
        done = False
    # not by Python's own end: a library's threads and last words have had their time
    _leave(0 if done else 1)
    return 1


class _Told:
    """Standard output as it was, which no library gets."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __call__(self, line: str) -> None:
        try:
            os.write(self._descriptor, line.encode(errors="replace") + b"\n")
        except OSError:
            # the training is gone; the log has it
            print(line, file=sys.stderr)


def _own_output() -> _Told:
    """Keep standard output for this module, give what libraries print to standard error; they get no input."""
    told = _Told(os.dup(1))
    os.dup2(2, 1)
    return told


def _wait_for_end(ended: threading.Event, last_seconds: float) -> None:
    """Wait until the training lets go or is gone; a tracker that hangs then does not outlive it for long."""
    own_input = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    while os.read(own_input, 64):
        pass
    ended.set()
    # a little more than the training itself waits: it says what was given up
    threading.Event().wait(last_seconds + 5.0)
    _leave(1)


def _leave(code: int) -> None:
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
