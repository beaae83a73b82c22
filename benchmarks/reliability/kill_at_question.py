"""``kill -9`` while the decision after an epoch is open: it is asked again, and nothing is trained before the answer.

Run from a clone with the app installed: ``python benchmarks/reliability/kill_at_question.py --runs 20``.
Each run is killed at the question after a random epoch, up to three times in a row, then answered to its end.
Prints a table and exits 1 if a question is lost, an optimizer step runs unasked or the final weights differ.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from common import new_workspace, undisturbed
from engine_helpers import Command, Follower, build_model, final_weights, journal_of, last_run, start_training, states

from opeddev_tui.runs import events as ev
from opeddev_tui.runs.control import Decide, send

ROWS = 8
EPOCHS = 3
# one more epoch is allowed, so that the third one ends with a question, too
ASK = ("--policy", "ask", "--set", "early_stop.max_extra_epochs=1")
# how long a restarted run is watched at its question
WATCHED = 0.5


def steps(root: Path) -> int:
    """Return how many optimizer steps the journal has."""
    return sum(isinstance(event, ev.Progress) for event in journal_of(root))


def wait_for_question(follower: Follower, process: Command, epoch: int) -> None:
    """Wait until the question after ``epoch`` is open."""
    follower.wait(lambda event: isinstance(event, ev.DecisionAwaited) and event.epoch == epoch, process)


def disturb(root: Path, draw: random.Random) -> tuple[int, int, int]:
    """Train one step, killed at one question; return (epoch, kills, optimizer steps that ran unasked)."""
    victim, kills, unasked = draw.randint(1, EPOCHS), draw.randint(1, 3), 0
    process = start_training(root, *ASK)
    follower = Follower(root)
    for epoch in range(1, EPOCHS + 1):
        wait_for_question(follower, process, epoch)
        for _ in range(kills if epoch == victim else 0):
            time.sleep(draw.uniform(0, 0.3))
            process.kill_hard()
            before = steps(root)
            process = start_training(root, *ASK)
            follower = Follower(root).follow(last_run(root))
            wait_for_question(follower, process, epoch)
            time.sleep(WATCHED)
            unasked += steps(root) - before
        send(last_run(root), Decide(epoch=epoch, choice="stop" if epoch == EPOCHS else "continue"))
    if process.code() != 0:
        raise RuntimeError(process.text()[-500:])
    return victim, kills, unasked


def main() -> int:
    """Run the experiment and return the exit code."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=20, help="runs (default: 20)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the epochs and moments")
    options = parser.parse_args()
    draw = random.Random(options.seed)
    folder = Path(tempfile.mkdtemp(prefix="opeddev-question-"))
    model = build_model(folder / "model")
    expected, _ = undisturbed(folder, model, ROWS)
    counts: Counter[str] = Counter()
    kills_in_all = failed = 0
    for number in range(1, options.runs + 1):
        root = new_workspace(folder, f"run{number}", model, ROWS)
        try:
            epoch, kills, unasked = disturb(root, draw)
            kills_in_all += kills
            same = final_weights(root) == expected and len(states(root)) == 1
            found = "exact" if same and not unasked else "OTHER WEIGHTS" if not same else f"{unasked} STEPS UNASKED"
            line = f"killed at the question after epoch {epoch}: {found}"
        except (RuntimeError, AssertionError) as error:
            found = line = f"LOST: {error}"
        failed += found != "exact"
        counts[line] += 1
        print(f"{number} of {options.runs}: {line}", file=sys.stderr, flush=True)
        shutil.rmtree(root)
    for line, count in sorted(counts.items()):
        print(f"{count:4} × {line}")
    print(f"\n{kills_in_all} kills, {failed} failed of {options.runs} runs")
    shutil.rmtree(folder)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
