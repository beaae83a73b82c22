"""Route logging and warnings, and a run's main facts, to train.log. Imports no library of the training stack."""

import logging
import os
from pathlib import Path

from opeddev_tui import events as ev
from opeddev_tui.storage import told_clearly

_RUN = logging.getLogger("opeddev_tui.run")
# anything longer is in the journal
_SHORT = 160
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def to_file(path: Path) -> None:
    """Send all logging and warnings of this process to ``path``; calling it again moves them."""
    with told_clearly(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600))
        handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter(FORMAT))
    root = logging.getLogger()
    for old in [item for item in root.handlers if isinstance(item, logging.FileHandler)]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)


class EventLog:
    """A sink that tells a run's main facts in train.log, between the words of the libraries."""

    def emit(self, event: ev.AnyEvent) -> None:
        """Log ``event`` if it is one of the main facts."""
        if isinstance(event, (ev.RunFailed, ev.CheckpointRejected)):
            _RUN.error("%s", _words(event))
        elif isinstance(event, (ev.Warned, ev.MemoryRetried, ev.Interrupted)):
            _RUN.warning("%s", _words(event))
        elif isinstance(event, (*ev.DURABLE, ev.ModelLoaded, ev.DataPrepared, ev.Resumed)):
            _RUN.info("%s", _words(event))


def _words(event: ev.AnyEvent) -> str:
    values = ((name, getattr(event, name)) for name in event.__struct_fields__ if name != "at")
    plain = (f"{name}={value}" for name, value in values if isinstance(value, (str, int, float)) and value != "")
    return " ".join([type(event).__name__, *(text if len(text) <= _SHORT else f"{text[:_SHORT]}…" for text in plain)])
