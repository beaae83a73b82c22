"""A disk that another program fills while a step is trained, at five levels: what was saved before must stay whole.

Run from a clone with the app installed, as root (a small file system is mounted): ``python
benchmarks/reliability/disk_full.py --rounds 5``. Each round trains a step to its end, then the next one on a disk that
is filled up after its first optimizer step, while the training is held, until only so many checkpoints fit. It must
end with exit code 4 and a sentence that names the disk's folder and says what to do; every checkpoint before that must
be whole; with room again ``train`` must go on to bit-equal weights.
Prints a table and exits 1 if one of that is not so.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from common import finish
from engine_helpers import (
    Command,
    Follower,
    build_model,
    checkpoint_folder,
    final_weights,
    make_workspace,
    place_of,
    start_training,
    states,
)

from opeddev_tui.checkpoints import folders
from opeddev_tui.runs import events as ev

ROWS = 20
# how many checkpoints of the step still fit
LEVELS = (0.3, 1.2, 1.5, 1.99, 2.3)


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a file system of 64 MB in memory."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], check=True, capture_output=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def may_mount() -> bool:
    """Return whether this process can mount a file system."""
    if os.getuid() != 0:
        return False
    try:
        with tempfile.TemporaryDirectory() as folder, small_disk(Path(folder) / "try"):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def fill(disk: Path, leave: float) -> Path:
    """Fill ``disk`` up to ``leave`` bytes; return the file to delete for room."""
    ballast, free = disk / "ballast", os.statvfs(disk)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, free.f_bavail * free.f_frsize - int(leave)))
    return ballast


def fill_while_training(root: Path, disk: Path, leave: float) -> tuple[Command, Path]:
    """Start the next step and fill the disk after its first optimizer step."""
    process = start_training(root)
    Follower(root).wait(lambda event: isinstance(event, ev.Progress), process)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)
    try:
        assert not list(checkpoint_folder(root).glob("checkpoint-*")), "the training was quicker than the disk"
        return process, fill(disk, leave)
    finally:
        os.kill(process.pid, signal.SIGCONT)


def faults_of_the_end(process: Command, root: Path, disk: Path, level: float) -> list[str]:
    """Return what is wrong with how the step ended, and with what it left."""
    code, told = process.code(), " ".join(process.text().split())
    found = [] if code == 4 else [f"exit code {code}"]
    for words in ("no space left on device", "free some space there", str(disk).lower()):
        found += [] if words in told.lower() else [f"not told: {words}"]
    failure = states(root)[-1].failure
    if failure is None or failure.kind != "storage" or not failure.resumable:
        found.append(f"recorded as {failure}")
    newest = folders.newest_verified(checkpoint_folder(root), for_resume=True).folder
    wanted = f"checkpoint-{10 * int(level)}" if level >= 1 else None
    if (newest.name if newest else None) != wanted:
        found.append(f"newest whole checkpoint {newest}, not {wanted}")
    before = states(root)[0].finished
    if before is None or folders.problems_of(place_of(root, before.last_checkpoint), for_resume=True):
        found.append("the step before is not whole")
    return found


def once(folder: Path, model: Path, level: float, expected: str) -> list[str]:
    """Fill the disk during a step; return what is wrong."""
    with small_disk(folder / "disk") as disk:
        settings = {"paths.model_store": str(disk / "store")}
        root = make_workspace(folder / "workspace", model, rows=ROWS, batches=(ROWS,), settings=settings)
        finish(root)
        size = max(saved.size for saved in states(root)[0].checkpoints.values())
        process, ballast = fill_while_training(root, disk, level * size)
        found = faults_of_the_end(process, root, disk, level)
        ballast.unlink()
        finish(root)
        return found + ([] if final_weights(root) == expected else ["other weights"])


def undisturbed(folder: Path, model: Path) -> str:
    """Return the weights of two steps on a disk with room."""
    root = make_workspace(folder / "undisturbed", model, rows=ROWS, batches=(ROWS,))
    finish(root)
    finish(root)
    return final_weights(root)


def main() -> int:
    """Run the experiment and return the exit code."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds over all levels (default: 5)")
    options = parser.parse_args()
    if not may_mount():
        print("Skipped: filling a disk takes a small file system of its own, and mounting one takes root.")
        return 0
    folder = Path(tempfile.mkdtemp(prefix="opeddev-full-"))
    model = build_model(folder / "model")
    expected = undisturbed(folder, model)
    good: Counter[float] = Counter()
    for number in range(options.rounds * len(LEVELS)):
        level = LEVELS[number % len(LEVELS)]
        place = folder / f"run{number}"
        place.mkdir()
        try:
            found = once(place, model, level, expected)
        except (AssertionError, RuntimeError) as error:
            found = [str(error)]
        good[level] += not found
        told = "; ".join(found) or "as it should be"
        print(f"{number + 1}: room for {level} checkpoints: {told}", file=sys.stderr, flush=True)
        shutil.rmtree(place)
    shutil.rmtree(folder)
    print("| room for | exit code 4, cure told, earlier checkpoints whole, bit-equal with room again |\n| --- | --- |")
    for level in LEVELS:
        print(f"| {level} checkpoints | {good[level]} of {options.rounds} |")
    return 0 if sum(good.values()) == options.rounds * len(LEVELS) else 1


if __name__ == "__main__":
    sys.exit(main())
