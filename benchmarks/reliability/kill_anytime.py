"""``kill -9`` at random moments of a step, again and again, then ``train`` to the end: the weights must be the same.

Run from a clone with the app installed: ``python benchmarks/reliability/kill_anytime.py --runs 30``.
Prints a table and exits 1 if a run does not end with the undisturbed run's weights, bit by bit.
"""

import argparse
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from common import finish, new_workspace, undisturbed
from engine_helpers import build_model, final_weights, journal_of, place_of, start_training, states

from opeddev_tui.checkpoints import folders
from opeddev_tui.runs import events as ev


def disturbed(root: Path, draw: random.Random, seconds: float, most_kills: int) -> int:
    """Train ``root`` to its end under kills; return how many hit a living process."""
    kills = 0
    while kills < most_kills:
        process = start_training(root)
        process.join(draw.uniform(0.05, 1.1 * seconds))
        if not process.kill_hard():
            if process.exitcode != 0:
                raise RuntimeError(f"train ended with {process.exitcode}: {process.text()[-500:]}")
            return kills
        kills += 1
    finish(root)
    return kills


def faults(root: Path, expected: str) -> list[str]:
    """Return what is wrong with a run that was killed and finished."""
    found = []
    if final_weights(root) != expected:
        found.append("other weights")
    if len(states(root)) != 1:
        found.append(f"{len(states(root))} runs instead of one")
    state = states(root)[0]
    rows = [sorted(seen) for seen in state.rows_trained.values()]
    if rows != [list(range(len(rows[0])))] * 3:
        found.append("rows not seen once an epoch")
    if state.finished is None or folders.problems_of(place_of(root, state.finished.last_checkpoint)):
        found.append("the last checkpoint is not whole")
    return found


def main() -> int:
    """Run the experiment and return the exit code."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=30, help="runs (default: 30)")
    parser.add_argument("--kills", type=int, default=6, help="most kills a run (default: 6)")
    parser.add_argument("--rows", type=int, default=40, help="rows of the step (default: 40)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the moments")
    options = parser.parse_args()
    draw = random.Random(options.seed)
    folder = Path(tempfile.mkdtemp(prefix="opeddev-kill-"))
    model = build_model(folder / "model")
    expected, seconds = undisturbed(folder, model, options.rows)
    print(f"undisturbed: {seconds:.1f} s, weights {expected[:16]}", flush=True)
    print("run  kills  resumed from (optimizer steps)        result", flush=True)
    results: Counter[str] = Counter()
    total = 0
    for number in range(1, options.runs + 1):
        root = new_workspace(folder, f"run{number}", model, options.rows)
        try:
            kills = disturbed(root, draw, seconds, options.kills)
            found = faults(root, expected)
            resumed = [event.global_step for event in journal_of(root) if isinstance(event, ev.Resumed)]
        except (RuntimeError, AssertionError) as error:
            kills, found, resumed = 0, [str(error)], []
        result = "; ".join(found) or "bit-equal"
        results["bit-equal" if not found else "FAILED"] += 1
        total += kills
        print(f"{number:3}  {kills:5}  {' '.join(map(str, resumed)) or '-':36}  {result}", flush=True)
        shutil.rmtree(root)
    print(f"\n{results['bit-equal']} of {options.runs} runs bit-equal under {total} kills")
    shutil.rmtree(folder)
    return 1 if results["FAILED"] else 0


if __name__ == "__main__":
    sys.exit(main())
