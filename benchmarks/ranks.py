"""Train the demo's first step with one process and with two (twice), and print what is equal and what it took.

    python benchmarks/ranks.py FOLDER [--epochs 2]
    python benchmarks/ranks.py FOLDER --namespaces        # as root: two network namespaces as two machines
    python benchmarks/ranks.py FOLDER --epochs 1 --faults # ranks killed and frozen everywhere, and resumed
    python benchmarks/ranks.py FOLDER --epochs 2 --launches # several at once, closed terminals, Ctrl+C, open questions
    python benchmarks/ranks.py FOLDER --epochs 1 --shard  # two processes with whole copies and with shards

FOLDER gets a workspace for each run. All have four rows per optimizer step, and one processor thread per process.
Figures come from the journals: a process of its own trains each, so imports and loading are not in them.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import ranks_faults
import ranks_launches
import ranks_namespaces
import ranks_shards

from opeddev_tui.config.loading import load
from opeddev_tui.demo.workspace import make_demo
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.history import list_runs
from opeddev_tui.runs.journal import read
from opeddev_tui.workspace.paths import Workspace

E = TypeVar("E")
STEP_ROWS = 4


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--namespaces", action="store_true", help="train across two network namespaces; needs root")
    parser.add_argument("--faults", action="store_true", help="kill and freeze ranks at every place of a training")
    parser.add_argument("--only", default="", metavar="WORDS", help="with --faults or --launches: these cases")
    parser.add_argument("--launches", action="store_true", help="start several at once, close terminals, press Ctrl+C")
    parser.add_argument("--shard", action="store_true", help="compare two processes with whole copies and with shards")
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if options.shard:
        now = f"{time.time():.0f}"
        return ranks_shards.run(lambda name: made(folder / f"{now}-{name}", 2, options.epochs), compared)
    two = trained(folder / "two", 2, options.epochs)
    if options.namespaces:
        root = made(folder / f"namespaces-{time.time():.0f}", 2, options.epochs)
        return ranks_namespaces.run(root, digests(two)[-1])
    if options.faults:
        make = partial(_fresh, folder, f"{time.time():.0f}", options.epochs)
        return ranks_faults.run(make, digests(two)[-1], options.only)
    if options.launches:
        make = partial(_fresh, folder, f"{time.time():.0f}", options.epochs)
        return ranks_launches.run(make, digests(two)[-1], options.only)
    one, again = trained(folder / "one", 1, options.epochs), trained(folder / "again", 2, options.epochs)
    rows = [*compared(one, two), *seconds(one, two, again)]
    rows.append(("weights of two processes, trained twice", "equal" if digests(two) == digests(again) else "DIFFERENT"))
    for name, value in rows:
        print(f"| {name} | {value} |")
    (folder / "ranks.json").write_text(json.dumps(dict(rows), indent=1))
    return 0


def _fresh(folder: Path, prefix: str, epochs: int, name: str) -> Path:
    """Make a workspace for two processes in ``folder``."""
    return made(folder / f"{prefix}-{name}", 2, epochs)


def made(root: Path, processes: int, epochs: int) -> Path:
    """Make the demo's workspace at ``root`` for so many processes."""
    if not root.exists():
        make_demo(root)
        config = root / "config.toml"
        own = {
            "per_device_train_batch_size = 4": f"per_device_train_batch_size = {STEP_ROWS // processes}\n"
            f"num_train_epochs = {epochs}\ntorch_num_threads = 1",
            "per_device_eval_batch_size = 16": "per_device_eval_batch_size = 8",
        }
        text = config.read_text()
        for before, after in own.items():
            text = text.replace(before, after)
        config.write_text(f'{text}\n[paths]\nmodel_store = "store"\n\n[early_stop]\nmax_extra_epochs = 0\n')
    return root


def trained(root: Path, processes: int, epochs: int) -> Path:
    """Train the first step at ``root`` unless it is trained; return the run's folder."""
    made(root, processes, epochs)
    workspace = Workspace(root, load(root, environment={}).settings.paths)
    if not list_runs(workspace):
        words = ["train", "-w", str(root), "--policy", "rule", "--set", f"training.num_processes={processes}"]
        began = time.perf_counter()
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, "-m", "opeddev_tui", *words], check=True, env=environment)
        print(f"{root.name}: {time.perf_counter() - began:.1f} s with all imports", flush=True)
    return list_runs(workspace)[-1].folder


# --- what is equal


def of(run: Path, kind: type[E]) -> list[E]:
    """Return the events of ``kind``."""
    return [event for event in read(run) if isinstance(event, kind)]


def digests(run: Path) -> list[str]:
    """Return the digests of the run's checkpoints."""
    return [event.digest for event in of(run, ev.CheckpointSaved)]


def compared(one: Path, two: Path) -> list[tuple[str, str]]:
    """Return what of a run with one process and one with two is equal, and the largest difference of what is not."""
    what: Mapping[str, Callable[[Path], Any]] = {
        "rows of every optimizer step, in order": lambda run: [(e.epoch, e.rows) for e in of(run, ev.RowsTrained)],
        "hold-out losses before the step, to the bit": lambda run: of(run, ev.HoldoutEvaluated)[0].sums,
        "grades before the step, to the bit": lambda run: of(run, ev.GradesRead)[0].ways,
        "decisions": lambda run: [(e.epoch, e.choice) for e in of(run, ev.Decided)],
        "texts of the probe prompts, every epoch": lambda run: [
            [sample.text for sample in e.samples] for e in of(run, ev.SamplesGenerated)
        ],
        "grades, every epoch and way": lambda run: [
            (way.way, way.grades) for e in of(run, ev.GradesRead) for way in e.ways
        ],
    }
    rows = [(name, _same(find(one), find(two))) for name, find in what.items()]
    losses = [[e.loss for e in of(run, ev.Progress) if e.loss is not None] for run in (one, two)]
    held = [[e.loss for e in of(run, ev.HoldoutEvaluated)] for run in (one, two)]
    steps = of(two, ev.DataPrepared)[0].steps_per_epoch
    return [
        *rows,
        ("training loss, first epoch, largest difference", f"{_most(losses[0][:steps], losses[1][:steps]):.1e}"),
        ("training loss, all epochs", f"{_most(*losses):.1e} of {max(losses[0]):.2f} to {min(losses[0]):.2f}"),
        ("hold-out loss, all epochs", f"{_most(*held):.1e}"),
        ("weights of one process and of two", _same(digests(one), digests(two))),
    ]


def _same(left: Any, right: Any) -> str:
    if left == right:
        return "equal"
    if isinstance(left, Sequence) and isinstance(right, Sequence) and len(left) == len(right):
        return f"{sum(a != b for a, b in zip(left, right, strict=True))} of {len(left)} differ"
    return "differ"


def _most(left: Sequence[float], right: Sequence[float]) -> float:
    return max(abs(a - b) for a, b in zip(left, right, strict=True))


# --- what it took


def seconds(one: Path, two: Path, again: Path) -> list[tuple[str, str]]:
    """Return the seconds of training, scoring, grading and generating of all epochs: one process, two, two again."""
    kinds: Mapping[str, Callable[[Path], float]] = {
        "training": _training_seconds,
        "scoring the hold-out": lambda run: sum(e.seconds for e in of(run, ev.HoldoutEvaluated)),
        "grades": lambda run: sum(e.seconds for e in of(run, ev.GradesRead)),
        "texts of the probe prompts": lambda run: sum(e.seconds for e in of(run, ev.SamplesGenerated)),
    }
    return [
        (f"seconds, {name}: one process : two (again)", f"{find(one):.1f} : {find(two):.1f} ({find(again):.1f})")
        for name, find in kinds.items()
    ]


def _training_seconds(run: Path) -> float:
    """Return the seconds of all optimizer steps."""
    rows = of(run, ev.DataPrepared)[0].rows
    return sum(rows / e.samples_per_second for e in of(run, ev.EpochFinished) if e.samples_per_second)


if __name__ == "__main__":
    sys.exit(main())
