"""Processes that tests fork have the training stack already."""

import sys
from collections.abc import Sequence
from multiprocessing.context import ForkServerProcess

import engine_helpers as eh


def _count_missing(names: Sequence[str]) -> None:
    sys.exit(sum(name not in sys.modules for name in names))


def test_what_trains_is_loaded_before_a_process_is_forked() -> None:
    """Else each process loads it by itself for seconds, and nothing says so."""
    eh.begin_server()
    names = ("torch", "transformers.trainer", "opeddev_tui.training.steps", "opeddev_tui.training.hand")
    process = ForkServerProcess(target=_count_missing, args=(names,))
    process.start()
    process.join(120)
    assert process.exitcode == 0
