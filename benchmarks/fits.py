# ruff: noqa: E402 - the folders of the tests are added first
"""Fits of a grade head and of the n-gram grader, on one thread of the linear algebra and on all, in turns.

    python benchmarks/fits.py DATA [--rounds 5]

DATA is a folder with rows (``train_01.jsonl``), for the n-gram grader, whose 300 rows are those again where there are
fewer. Heads are fitted on made features of 2,000 numbers per row.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parent.parent / "tests" / part) for part in ("", "grading")]

from grading_samples import FIVE, graded_features

from opeddev_tui.analysis import one_thread
from opeddev_tui.grading.head import fit_head
from opeddev_tui.grading.rivals import n_grams


class AllThreads:
    """Stands for the libraries where nobody limits their threads."""

    def limit(self, **_: Any) -> contextlib.AbstractContextManager[None]:
        """Limit nothing."""
        return contextlib.nullcontext()


def seconds(work: Callable[[], object]) -> float:
    """Return how long ``work`` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    """Print the median seconds of both ways for each fit, and their ratio."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    texts = (options.data / "train_01.jsonl").read_text().splitlines()
    fits: dict[str, Callable[[], object]] = {
        f"head, {count} rows": partial(fit_head, *graded_features(count, width=2000), FIVE) for count in (20, 100, 300)
    }
    for count in (100, 300):
        rows, (_, labels) = list(islice(cycle(texts), count)), graded_features(count, width=2)
        fits[f"n-gram grader, {count} rows"] = partial(n_grams, rows, labels, FIVE, rows[:50], labels.kinds[:50])
    limited = one_thread._libraries
    for name, fit in fits.items():
        took: dict[str, list[float]] = {"one": [], "all": []}
        for _ in range(options.rounds + 1):
            for way, libraries in (("one", limited), ("all", AllThreads)):
                one_thread._libraries = libraries  # type: ignore[assignment]
                took[way].append(seconds(fit))
        one, every = (statistics.median(took[way][1:]) for way in ("one", "all"))
        print(f"{name}: one thread {one:.3f} s, all {every:.3f} s, ratio {every / one:.1f}", flush=True)


if __name__ == "__main__":
    main()
