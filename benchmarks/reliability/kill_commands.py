"""``kill -9`` during commands that write: prune, export, report, plot, note, pin and export-logs.

Run from a clone with the app installed: ``python benchmarks/reliability/kill_commands.py --kills 20``. Each command is
killed at random moments in a copy of a trained workspace. Afterwards every checkpoint must be whole to the byte or must
not look like one, what a step ended with must be there, written files must be whole, and the same command, once more,
must do its work. Prints a table in Markdown and exits 1 if one of that is not so.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

import common
from engine_helpers import (
    Command,
    build_model,
    copy_workspace,
    make_workspace,
    place_of,
    start_training,
    states,
    workspace_of,
)

from opeddev_tui.checkpoints import folders
from opeddev_tui.runs.journal import JournalReader

COMMANDS = {
    "prune": ["checkpoints", "prune", "--yes"],
    "export": ["checkpoints", "export", "latest", "EXPORT"],
    "report": ["report"],
    "plot": ["plot"],
    "note": ["note", "a note that is killed"],
    "pin": ["checkpoints", "pin", "latest"],
    "export-logs": ["export-logs", "--jsonl", "LOGS"],
}
ENDS = {".png": b"IEND\xaeB`\x82", ".svg": b"</svg>\n", ".html": b"</html>\n"}


def trained(folder: Path) -> Path:
    """Return a workspace with two trained steps."""
    root = make_workspace(folder / "trained", build_model(folder / "model"), rows=20, batches=(20,))
    if start_training(root, "--step", "all").code() != 0:
        raise RuntimeError("the workspace could not be trained")
    return root


def faults_of(root: Path, target: Path, logs: Path) -> list[str]:
    """Return what is half."""
    workspace, found = workspace_of(root), []
    for run in workspace.run_ids():
        for folder in folders.list_folders(workspace.checkpoints(run)):
            if folders.read_manifest(folder) and (problems := folders.problems_of(folder)):
                found.append(f"{folder.name}: {'; '.join(problems)}")
        reader = JournalReader(workspace.run_folder(run))
        reader.read_new()
        found += [f"a line of the journal of {run} cannot be read"] if reader.skipped else []
    for state in states(root):
        assert state.finished is not None
        if folders.problems_of(place_of(root, state.finished.last_checkpoint)):
            found.append("the last checkpoint of a step is not whole")
    if target.exists() and not {"config.json", "model.safetensors", "README.md"} <= {p.name for p in target.iterdir()}:
        found.append("half an export")
    for path in (root / ".specs/plots").glob("*.*"):
        end = ENDS.get(path.suffix)
        if end is not None and not path.name.startswith(".") and not path.read_bytes().endswith(end):
            found.append(f"{path.name} is cut off")
    for path in (workspace.checkpoint_notes, *([logs] if logs.exists() else [])):
        if path.exists():
            [json.loads(line) for line in (path.read_text().splitlines() if path == logs else [path.read_text()])]
    return found


def once(source: Path, folder: Path, words: list[str], after: float) -> tuple[bool, list[str]]:
    """Kill a command after some seconds; return whether it was still running, and what is wrong."""
    root, target, logs = copy_workspace(source, folder / "workspace"), folder / "export", folder / "logs.jsonl"
    given = [{"EXPORT": str(target), "LOGS": str(logs)}.get(word, word) for word in words]
    process = Command([*given, "-w", str(root)], folder / "out")
    process.join(after)
    killed = process.kill_hard()
    found = faults_of(root, target, logs)
    shutil.rmtree(target, ignore_errors=True)
    again = Command([*given, "-w", str(root)], folder / "out")
    if again.code() != 0:
        found.append(f"once more: {again.text()[-300:]}")
    return killed, found + faults_of(root, target, logs)


def main() -> int:
    """Run the experiment and return the exit code."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20, help="runs per command")
    options = parser.parse_args()
    assert common.REPOSITORY.is_dir()
    folder = Path(tempfile.mkdtemp(prefix="opeddev-commands-"))
    source, draw, good = trained(folder), random.Random(1), True
    print("| killed | runs | killed in time | nothing half, and it works once more |\n| --- | --- | --- | --- |")
    for name, words in COMMANDS.items():
        whole = kills = 0
        began = time.perf_counter()
        once(source, folder / f"{name}-whole", words, 600.0)
        seconds = time.perf_counter() - began
        for number in range(options.kills):
            killed, found = once(source, folder / f"{name}{number}", words, draw.uniform(0.0, seconds / 2))
            kills, whole = kills + killed, whole + (not found)
            if found:
                print(f"{name} {number}: {'; '.join(found)}", file=sys.stderr, flush=True)
            shutil.rmtree(folder / f"{name}{number}")
        good = good and whole == options.kills
        print(f"| {name} | {options.kills} | {kills} | {whole} |", flush=True)
    shutil.rmtree(folder)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
