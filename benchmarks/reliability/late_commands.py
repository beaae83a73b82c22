"""Notes, saves and stops sent at random moments to trainings that end, begin the next step or are killed meanwhile.

Run from a clone with the app installed: ``python benchmarks/reliability/late_commands.py --rounds 20``. Each round
trains two steps (``train --step all``), kills the process up to three times and resumes it, while another process keeps
notes on the newest run as ``note`` does and sends other commands as the app does. Afterwards every note that was
accepted must be in the journal of the run that it was meant for, exactly once, and in the observations; nothing may be
left in a mailbox; the weights must be those of an undisturbed series. Prints a table in Markdown and exits 1 if one of
that is not so.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import common  # noqa: F401 - puts the tests' helpers on the path
from engine_helpers import build_model, final_weights, make_workspace, start_training, states, workspace_of

from opeddev_tui.errors import BusyProblem, Problem
from opeddev_tui.runs import control as ctl
from opeddev_tui.runs import delivery, notes
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.journal import read
from opeddev_tui.runs.mailbox import MAILBOX_NAME

ROWS = 24


class Sender(threading.Thread):
    """Sends at random moments until it is told to end, and remembers what it was told."""

    def __init__(self, root: Path, draw: random.Random) -> None:
        super().__init__()
        self._workspace, self._draw = workspace_of(root), draw
        self.over = threading.Event()
        self.accepted: dict[str, str] = {}
        self.refused = 0
        self.fates: Counter[str] = Counter()

    def run(self) -> None:
        """Send."""
        number = 0
        while not self.over.is_set():
            time.sleep(self._draw.uniform(0.0, 0.15))
            runs = self._workspace.run_ids()
            if not runs:
                continue
            number += 1
            if number % 3:
                self._note(runs[-1], f"note {number} of this round")
            else:
                command = self._draw.choice((ctl.SaveNow(), ctl.SampleNow(), ctl.Resume()))
                self.fates[delivery.deliver(self._workspace, runs[-1], command, 5.0).fate] += 1

    def _note(self, run: str, text: str) -> None:
        try:
            notes.annotate(self._workspace, run, text)
            self.accepted[text] = run
        except BusyProblem:
            self.refused += 1


def train_with_kills(root: Path, draw: random.Random) -> int:
    """Train all steps, killing the process up to three times; return the number of kills."""
    kills = 0
    for _ in range(3):
        process = start_training(root, "--step", "all")
        process.join(draw.uniform(0.5, 3.5))
        if process.exitcode is None:
            kills += process.kill_hard()
    while True:
        process = start_training(root, "--step", "all")
        code = process.code()
        if code != 0:
            raise RuntimeError(process.text()[-500:])
        if [state.status for state in states(root)] == ["finished"] * 2:
            return kills


def once(root: Path, draw: random.Random, expected: str) -> tuple[Sender, int, list[str]]:
    """Return the sender, the number of kills and what is wrong."""
    sender = Sender(root, draw)
    sender.start()
    try:
        kills = train_with_kills(root, draw)
    finally:
        sender.over.set()
        sender.join()
    return sender, kills, faults_of(root, sender) + ([] if final_weights(root) == expected else ["other weights"])


def faults_of(root: Path, sender: Sender) -> list[str]:
    """Return what is wrong with the notes and the mailboxes."""
    workspace, found = workspace_of(root), []
    kept: dict[str, list[str]] = {}
    for run in workspace.run_ids():
        for event in read(workspace.run_folder(run)):
            if isinstance(event, ev.Annotated):
                kept.setdefault(event.note, []).append(run)
        left = list((workspace.run_folder(run) / MAILBOX_NAME).glob("*"))
        found += [f"{path.name} is left in a mailbox" for path in left]
    observations = workspace.path(workspace.paths.observations).read_text()
    for text, run in sender.accepted.items():
        if kept.get(text) != [run]:
            found.append(f"{text!r} meant for {run} is in {kept.get(text)}")
        elif observations.count(f"{text}\n") != 1:
            found.append(f"{text!r} is {observations.count(text)} times in the observations")
    return found


def main() -> int:
    """Run the experiment and return the exit code."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="opeddev-late-"))
    model = build_model(folder / "model")
    root = make_workspace(folder / "undisturbed", model, rows=ROWS, batches=(ROWS,))
    start_training(root, "--step", "all").code()
    expected = final_weights(root)
    good = kills = accepted = refused = 0
    fates: Counter[str] = Counter()
    for number in range(options.rounds):
        root = make_workspace(folder / f"round{number}", model, rows=ROWS, batches=(ROWS,))
        try:
            sender, killed, found = once(root, random.Random(f"{options.seed}/{number}"), expected)
        except (Problem, RuntimeError, AssertionError) as error:
            print(f"round {number}: {type(error).__name__}: {error}", file=sys.stderr)
            continue
        good, kills = good + (not found), kills + killed
        accepted, refused = accepted + len(sender.accepted), refused + sender.refused
        fates += sender.fates
        print(f"round {number}: {'; '.join(found) or 'as it should be'}", file=sys.stderr, flush=True)
        if not found:
            shutil.rmtree(root)
    print("| rounds as they should be | kills | notes kept, each once in its run | notes refused | other commands |")
    print("| --- | --- | --- | --- | --- |")
    others = ", ".join(f"{count} {fate}" for fate, count in sorted(fates.items()))
    print(f"| {good} of {options.rounds} | {kills} | {accepted} | {refused} | {others} |")
    return 0 if good == options.rounds else 1


if __name__ == "__main__":
    sys.exit(main())
