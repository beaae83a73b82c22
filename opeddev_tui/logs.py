"""Owns where the libraries' words go: into the workspace's train.log, never onto the screen."""

import logging
import sys
from pathlib import Path

from opeddev_tui.storage import told_clearly

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def to_file(path: Path) -> None:
    """Send all logging and warnings of this process to ``path``; calling it again moves them."""
    with told_clearly(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter(FORMAT))
    root = logging.getLogger()
    for old in [item for item in root.handlers if isinstance(item, logging.FileHandler)]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    if "transformers" in sys.modules:
        quiet_libraries()


def quiet_libraries() -> None:
    """Take the libraries' own handlers and progress bars away; their words reach the root logger instead."""
    from datasets.utils import logging as datasets_logging
    from transformers.utils import logging as transformers_logging

    for library in (transformers_logging, datasets_logging):
        library.disable_progress_bar()
        library.enable_propagation()
    transformers_logging.disable_default_handler()
