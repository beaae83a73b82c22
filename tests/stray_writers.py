"""Owns the ways in which libraries write past the screen, for the processes of two tests; imported before any screen.

Each writer puts ``GARBLE-<name>`` somewhere, most of them with a jump into the middle of the screen before it.
"""

import ctypes
import faulthandler
import logging
import multiprocessing
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from typing import TextIO

BEFORE = logging.getLogger("before")
KEPT = sys.__stderr__


def say(stream: TextIO | None, word: str) -> None:
    """Write to a stream of Python."""
    assert stream is not None
    stream.write(f"\x1b[5;5HGARBLE-{word}\n")
    stream.flush()


def logger_after() -> None:
    """Make a handler only now."""
    logger = logging.getLogger("after")
    logger.addHandler(logging.StreamHandler())
    logger.warning("GARBLE-logger_after")


def c_puts() -> None:
    """Write from C, past Python's streams."""
    library = ctypes.CDLL(None)
    library.puts(b"\x1b[5;5HGARBLE-c_puts")
    library.fflush(None)


def bar() -> None:
    """Draw a progress bar."""
    from tqdm import tqdm

    for _ in tqdm(range(20), desc="GARBLE-tqdm"):
        time.sleep(0.005)


def dump() -> None:
    """Dump a traceback past Python's streams."""
    faulthandler.enable()
    faulthandler.dump_traceback()
    os.write(2, b"GARBLE-faulthandler\n")


def forked() -> None:
    """Write from a forked child."""
    process = multiprocessing.get_context("fork").Process(target=lambda: os.write(2, b"GARBLE-fork_worker\n"))
    process.start()
    process.join()


def spawn_lock() -> None:
    """Start the helper process of multiprocessing, which keeps the descriptors."""
    multiprocessing.get_context("spawn").RLock()
    os.write(2, b"GARBLE-spawn_lock\n")


def torch_warning() -> None:
    """Let torch warn from C++ and from Python."""
    import torch

    torch.ones(2, 3).resize_(7)
    torch.nn.functional.upsample(torch.ones(1, 1, 4, 4), 8)
    os.write(2, b"GARBLE-torch_warning\n")


def hf_logging() -> None:
    """Log through the handler of transformers."""
    from transformers.utils import logging as hf

    hf.set_verbosity_info()
    hf.get_logger("transformers.t").warning("GARBLE-hf_logging")


def datasets_map() -> None:
    """Draw the bar of datasets."""
    import datasets

    rows = datasets.Dataset.from_dict({"a": list(range(2000))})
    rows.map(lambda row: {"b": row["a"] + 1}, desc="GARBLE-datasets_map")


LIGHT: dict[str, Callable[[], object]] = {
    "print": lambda: print("\x1b[5;5HGARBLE-print"),
    "stderr": lambda: say(sys.stderr, "stderr"),
    "dunder_stderr": lambda: say(sys.__stderr__, "dunder_stderr"),
    "dunder_stdout": lambda: say(sys.__stdout__, "dunder_stdout"),
    "kept_dunder": lambda: say(KEPT, "kept_dunder"),
    "fd1": lambda: os.write(1, b"\x1b[5;5HGARBLE-fd1\n"),
    "fd2": lambda: os.write(2, b"\x1b[5;5HGARBLE-fd2\n"),
    "c_puts": c_puts,
    "child": lambda: subprocess.run(["sh", "-c", "echo GARBLE-child; echo GARBLE-child2 >&2"], check=True),
    "warning": lambda: warnings.warn("GARBLE-warning", stacklevel=1),
    "logger_before": lambda: BEFORE.warning("GARBLE-logger_before"),
    "logger_after": logger_after,
    "tqdm": bar,
    "faulthandler": dump,
    "fork_worker": forked,
    "spawn_lock": spawn_lock,
}
HEAVY: dict[str, Callable[[], object]] = {
    "torch_warning": torch_warning,
    "hf_logging": hf_logging,
    "datasets_map": datasets_map,
}
WRITERS = LIGHT | HEAVY
# what a script begins with that uses them: a handler from before the screen, and this folder to import from
PREAMBLE = f"""
import logging, sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
logging.basicConfig(level="WARNING")
from stray_writers import WRITERS
"""
