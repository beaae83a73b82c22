"""Route logging, warnings and a run's main events to train.log. Imports no library of the training stack."""

import logging
import os
import sys
from pathlib import Path

from opeddev_tui.files import open_file, storage_errors
from opeddev_tui.runs import events as ev

_RUN = logging.getLogger("opeddev_tui.training.run")
# most characters per field; the whole text is in the journal
_MOST_CHARS = 160
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class _LogFile(logging.FileHandler):
    """A log on a disk that may fail: a failure is reported once, and the training goes on without a log."""

    _told = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002 - as logging has it
        """Say once that the log cannot be written, instead of a traceback per line."""
        if not self._told:
            self._told = True
            error = sys.exc_info()[1]
            print(f"{self.baseFilename}: cannot be written: {error}", file=sys.stderr)


def to_file(path: Path) -> None:
    """Send all logging and warnings of this process to ``path``, from now on there alone. Raises ``StorageProblem``."""
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(open_file(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND))
        handler = _LogFile(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter(FORMAT))
    root = logging.getLogger()
    for old in [item for item in root.handlers if isinstance(item, logging.FileHandler)]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)


class EventLog:
    """A sink that logs a run's main events among the messages of the libraries."""

    def emit(self, event: ev.AnyEvent) -> None:
        """Log ``event`` if it is one of the main ones."""
        if isinstance(event, (ev.RunFailed, ev.CheckpointRejected)):
            _RUN.error("%s", _line_of(event))
        elif isinstance(event, ev.Warned) and event.routine:
            _RUN.info("%s", _line_of(event))
        elif isinstance(event, (ev.Warned, ev.MemoryRetried, ev.Interrupted, ev.RankSilent, ev.RankLost)):
            _RUN.warning("%s", _line_of(event))
        elif isinstance(event, ev.RaceHeld) and event.verdict:
            # the one sentence that a log is searched for
            _RUN.info("RaceHeld epoch=%s chosen=%s: %s", event.epoch, event.chosen, event.verdict)
        elif isinstance(event, (ev.DurableEvent, ev.ModelLoaded, ev.DataPrepared, ev.Resumed, ev.CommandTaken)):
            _RUN.info("%s", _line_of(event))


def _line_of(event: ev.AnyEvent) -> str:
    """Return the name of ``event`` with its texts and numbers."""
    values = ((name, getattr(event, name)) for name in event.__struct_fields__ if name != "at")
    fields = (f"{name}={value}" for name, value in values if isinstance(value, (str, int, float)) and value != "")
    return " ".join([type(event).__name__, *(f if len(f) <= _MOST_CHARS else f"{f[:_MOST_CHARS]}…" for f in fields)])
