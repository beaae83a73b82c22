"""Measures two starts at once: python benchmarks/reliability/two_starts.py [REPETITIONS]

Each repetition starts ``train`` twice, ``train --detach`` twice, or one of each at the same moment in a fresh
workspace; exactly one may train, the other must end with exit code 7 and name it. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

import engine_helpers as helpers
from pty_tools import PYTHON, until

from opeddev_tui.runs.events import RunStarted
from opeddev_tui.runs.journal import read
from opeddev_tui.workspace.lock import lock_holder

PAIRS = {
    "train, train": (["train"], ["train"]),
    "train --detach, train --detach": (["train", "--detach"], ["train", "--detach"]),
    "train, train --detach": (["train"], ["train", "--detach"]),
}


def once(folder: Path, model: Path, pair: tuple[list[str], list[str]]) -> float:
    """Start both; return how long the refusal took. Raises ``AssertionError`` if not exactly one trains."""
    root = helpers.make_workspace(folder / "workspace", model, rows=20)
    workspace = helpers.workspace_of(root)
    begin = time.monotonic()
    processes = [
        subprocess.Popen(
            [PYTHON, "-m", "opeddev_tui", *words, "-w", str(root)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for words in pair
    ]  # fmt: skip
    refused = 0.0
    while not refused:
        # looked at first: both may end between the two lines
        over = all(process.poll() is not None for process in processes)
        if any(process.poll() == 7 for process in processes):
            refused = time.monotonic() - begin
        assert refused or not over, [process.returncode for process in processes]
        time.sleep(0.01)
    told = [process.communicate(timeout=120)[1] for process in processes]
    until(lambda: lock_holder(workspace) is None, 120, "the training ends")
    codes = [process.returncode for process in processes]
    assert sorted(codes) == [0, 7], codes
    assert "already running" in told[codes.index(7)], told
    runs = workspace.run_ids()
    starts = [event for run in runs for event in read(workspace.run_folder(run)) if isinstance(event, RunStarted)]
    assert len(starts) == 1, runs
    return refused


def main() -> None:
    """Run every pair and print the table."""
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__)
    parser.add_argument("repetitions", type=int, nargs="?", default=20)
    repetitions: int = parser.parse_args().repetitions
    home = tempfile.mkdtemp(prefix="home-")
    os.environ.update(HOME=home, HF_HUB_OFFLINE="1")
    model = helpers.build_model(Path(home) / "tiny")
    print("| two starts | exactly one trains, the other exits 7 | refused after (worst) |")
    print("| --- | --- | --- |")
    for name, pair in PAIRS.items():
        done, worst = 0, 0.0
        for _ in range(repetitions):
            folder = Path(tempfile.mkdtemp(prefix="two-"))
            try:
                worst = max(worst, once(folder, model, pair))
                done += 1
            except AssertionError as error:
                print(f"  {name}: {error}", file=sys.stderr)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        print(f"| {name} | {done} of {repetitions} | {worst:.1f} s |", flush=True)
    shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
