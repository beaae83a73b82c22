"""Damage every file that the app reads, in every way, and look for tracebacks, waits and silent losses.

``python fuzz_files.py --seconds 600 --seed 1``
"""

import argparse
import random
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path

import common  # noqa: F401 - puts the tests' helpers on the path
import file_faults as faults


def main() -> int:
    """Fuzz until the time is over; print what was found and return 1 if anything was."""
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="opeddev-fuzz-"))
    whole = faults.make_workspace(folder / "workspace")
    kept = folder / "kept"
    shutil.move(whole, kept)
    before = faults.damaged(whole, kept, ".specs/hub.json", "twice", 0)
    names = faults.own_files(kept)
    draw, found, tried = random.Random(options.seed), list[str](), Counter[str]()
    end = time.monotonic() + options.seconds
    cases = [(name, damage) for name in names for damage in faults.DAMAGE]
    while time.monotonic() < end:
        name, damage = cases.pop(draw.randrange(len(cases))) if cases else (
            draw.choice(names), draw.choice(list(faults.MAY_STAY_WHOLE))
        )  # fmt: skip
        shutil.rmtree(whole, ignore_errors=True)
        seed = draw.randrange(1 << 32)
        now = faults.damaged(whole, kept, name, damage, seed)
        tried[damage] += 1
        losses = [] if damage in faults.MAY_STAY_WHOLE else faults.silent_losses(before, now, name)
        for what in [*now.bugs, *losses]:
            found.append(what)
            print(f"{name} · {damage} · seed {seed}\n  {what}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    print(f"seed {options.seed}: {tried.total()} damaged files ({len(names)} files, {len(tried)} kinds of damage), "
          f"{len(cases)} pairs of file and damage not tried, {len(found)} findings")  # fmt: skip
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
