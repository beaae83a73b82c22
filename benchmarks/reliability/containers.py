"""One folder, two containers: a training in PID and network namespaces of its own, everything else outside.

Run from a clone with the app installed, as root: ``python benchmarks/reliability/containers.py``. The real ``train``
runs inside, where it is process 1 or 2. Outside, ``status`` must say that it lives and that its number counts in its
container, a second start must be refused, ``note`` and ``decide`` must reach it, and once it was killed ``status`` must
say so and ``train`` go on to bit-equal weights. Then the same with the places changed. Prints a table in Markdown and
exits 1 if one of that is not so.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from broken_machine import Real
from common import finish, undisturbed
from engine_helpers import Follower, build_model, final_weights, make_workspace, states

from opeddev_tui.runs import events as ev

INSIDE = ["unshare", "--pid", "--net", "--fork", "--kill-child", "--mount-proc"]
ROWS = 20


def command(words: list[str], *, inside: bool) -> subprocess.CompletedProcess[str]:
    """Run ``opeddev-tui`` with ``words``."""
    program = [*(INSIDE if inside else []), sys.executable, "-m", "opeddev_tui", *words]
    return subprocess.run(program, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def start(root: Path, *, inside: bool) -> Real:
    """Start a training that asks."""
    out = root.parent / "out.txt"
    words = [sys.executable, "-m", "opeddev_tui", "train", "-w", str(root), "--policy", "ask"]
    with out.open("wb") as file:
        process = subprocess.Popen(
            [*(INSIDE if inside else []), *words], stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )
    return Real(process, out)


def expect(found: list[str], what: str, is_so: object) -> None:
    """Add ``what`` to ``found`` unless ``is_so``."""
    if not is_so:
        found.append(what)


def once(root: Path, expected: str, *, inside: bool) -> list[str]:
    """Train on one side, look and act from the other; return what is wrong."""
    found: list[str] = []
    process = start(root, inside=inside)
    follower = Follower(root)
    follower.wait(lambda event: isinstance(event, ev.DecisionAwaited), process)
    told = json.loads(command(["status", "--json", "-w", str(root)], inside=not inside).stdout)
    expect(found, "not alive", told["alive"] is True and told["runs"][-1]["status"] == "awaiting")
    expect(found, "its number is not said to be another container's", told["elsewhere"] is True)
    second = command(["train", "-w", str(root)], inside=not inside)
    expect(found, f"a second start: {second.returncode}", second.returncode == 7)
    note = command(["note", "from the other side", "-w", str(root)], inside=not inside)
    expect(found, f"note: {note.stdout}{note.stderr}", "has kept it" in note.stdout)
    decided = command(["decide", "continue", "-w", str(root)], inside=not inside)
    expect(found, f"decide: {decided.stderr}", decided.returncode == 0)
    follower.wait(lambda event: isinstance(event, ev.Progress) and event.global_step == 7, process)
    os.kill(process.pid, signal.SIGKILL)
    process.process.wait()
    told = json.loads(command(["status", "--json", "-w", str(root)], inside=not inside).stdout)
    expect(found, f"after the kill: {told['runs'][-1]['status']}", told["runs"][-1]["status"] == "interrupted")
    finish(root)
    expect(found, "the note is lost", [note.note for note in states(root)[-1].notes] == ["from the other side"])
    expect(found, "other weights", final_weights(root) == expected)
    return found


def main() -> int:
    """Run both and print the table."""
    if os.getuid() != 0 or subprocess.run([*INSIDE, "true"], check=False).returncode != 0:
        print("Skipped: namespaces of one's own take root.")
        return 0
    folder = Path(tempfile.mkdtemp(prefix="opeddev-containers-"))
    model = build_model(folder / "model")
    expected, _ = undisturbed(folder, model, ROWS)
    good = True
    print("| training | alive, refused, noted, decided, killed, resumed to bit-equal weights |\n| --- | --- |")
    for name, inside in (("in a container", True), ("outside, looked at from a container", False)):
        (folder / name).mkdir()
        found = once(make_workspace(folder / name / "workspace", model, rows=ROWS), expected, inside=inside)
        good = good and not found
        print(f"| {name} | {'; '.join(found) or 'yes'} |", flush=True)
    shutil.rmtree(folder)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
