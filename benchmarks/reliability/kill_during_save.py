"""``kill -9`` while a checkpoint is being saved: what counts as the latest one must be whole and go on exactly.

The model is large enough (about 6 M parameters, 70 MB a checkpoint) for saves to take a while.
Run from a clone with the app installed: ``python benchmarks/reliability/kill_during_save.py --runs 100``.
Prints a table and exits 1 if a latest checkpoint is unusable or the finished run has other weights.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from common import finish, new_workspace, undisturbed
from engine_helpers import (
    build_model,
    checkpoint_folder,
    final_weights,
    journal_of,
    start_training,
    wait_until,
    workspace_of,
)

from opeddev_tui.checkpoints import folders
from opeddev_tui.runs import events as ev

ROWS = 8
STEPS = 2  # optimizer steps an epoch: the checkpoints are 2, 4 and 6


def folder_of(root: Path, step: int) -> Path | None:
    """Return the checkpoint folder of ``step``, if it is there."""
    return next(iter(workspace_of(root).store.glob(f"*/checkpoint-{step}")), None)


def seconds_of_a_save(folder: Path, model: Path) -> float:
    """Return how long a save takes, from its folder to its manifest."""
    root = new_workspace(folder, "timed", model, ROWS)
    process = start_training(root)
    times = []
    for step in (STEPS, 2 * STEPS, 3 * STEPS):
        wait_until(lambda step=step: folder_of(root, step), process)  # type: ignore[misc]
        began = time.perf_counter()
        place = folder_of(root, step)
        assert place is not None
        wait_until((place / folders.MANIFEST).exists, process)
        times.append(time.perf_counter() - began)
    process.join()
    return sum(times) / len(times)


def kill_in_a_save(root: Path, draw: random.Random, seconds: float) -> tuple[int, str]:
    """Train until a save begins, kill at a random moment of it; return the save's step and what was left of it."""
    step = STEPS * draw.randint(1, 3)
    process = start_training(root)
    wait_until(lambda: folder_of(root, step), process)
    time.sleep(draw.uniform(0, 1.05 * seconds))
    process.kill_hard()
    place = folder_of(root, step)
    left = "nothing" if place is None else "whole" if not folders.problems_of(place) else "half"
    return step, left


def main() -> int:
    """Run the experiment and return the exit code."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=100, help="kills (default: 100)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the moments")
    options = parser.parse_args()
    draw = random.Random(options.seed)
    folder = Path(tempfile.mkdtemp(prefix="opeddev-save-"))
    model = build_model(folder / "model", hidden_size=256, num_hidden_layers=6)
    expected, _ = undisturbed(folder, model, ROWS)
    seconds = seconds_of_a_save(folder, model)
    print(f"a save takes {1000 * seconds:.0f} ms", flush=True)
    counts: Counter[str] = Counter()
    for number in range(1, options.runs + 1):
        root = new_workspace(folder, f"run{number}", model, ROWS)
        step, left = kill_in_a_save(root, draw, seconds)
        latest = folders.newest_verified(checkpoint_folder(root), for_resume=True).folder
        try:
            finish(root)
            found = "exact" if final_weights(root) == expected else "OTHER WEIGHTS"
            # the last save may have been over, and the run with it: then nothing was left to resume
            resumed = next((event.checkpoint for event in journal_of(root) if isinstance(event, ev.Resumed)), None)
            if resumed is not None and resumed != (ev.checkpoint_name(latest) if latest else ""):
                found = f"RESUMED FROM {resumed}"
        except (RuntimeError, AssertionError) as error:
            found = f"UNUSABLE: {error}"
        counts[
            f"save of step {step} left {left}, resumed from {latest.name if latest else 'the beginning'}: {found}"
        ] += 1
        if found != "exact":
            counts["failed"] += 1
        print(f"{number} of {options.runs}: step {step}, {left}: {found}", file=sys.stderr, flush=True)
        shutil.rmtree(root)
    failed = counts.pop("failed", 0)
    for line, count in sorted(counts.items()):
        print(f"{count:4} × {line}")
    print(f"\n{failed} unusable of {options.runs}")
    shutil.rmtree(folder)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
