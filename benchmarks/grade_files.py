"""``grade`` on many files: files per second, memory over time, killed and gone on with; and on the hold-out.

MODEL is a model folder, DATA a folder with train_01.jsonl and validation.jsonl of graded rows. A workspace with a short
LoRA step is made from them, unless --workspace names one that is trained; nothing else is trained. Then the hold-out is
graded and compared with what the training recorded, and files made of the rows, all different, are graded into one:
the process is killed (SIGKILL) on the way and started again.

    python benchmarks/grade_files.py ~/models/SmolLM2-135M ~/data/webdev_grading --files 1000
"""

import argparse
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import tomli_w

from opeddev_tui.config.loading import load
from opeddev_tui.runs.history import list_runs
from opeddev_tui.serving.choice import choose
from opeddev_tui.workspace.paths import Workspace

ROWS = 30
SETTINGS = {
    "paths": {"model_store": "store"},
    "data": {"max_length": 768, "completion_tokens": 96},
    "training": {"num_train_epochs": 1},
    "lora": {"enabled": True},
    "early_stop": {"policy": "rule", "max_extra_epochs": 0},
    "generation": {"num_probes": 0},
}


def make_workspace(root: Path, model: Path, data: Path) -> Path:
    """Make a workspace of the first rows of ``data`` at ``root`` and train a step with adapters."""
    base = root / "datasets/processed_webdev_coding/train.jsonl"
    held = root / "datasets/holdout_webdev_coding/validation.jsonl"
    for path in (base, held):
        path.parent.mkdir(parents=True)
    base.write_text("".join((data / "train_01.jsonl").read_text().splitlines(keepends=True)[:ROWS]))
    held.write_text((data / "validation.jsonl").read_text())
    tables = {**SETTINGS, "model": {"name": str(model.resolve())}}
    (root / "config.toml").write_text(tomli_w.dumps(tables))
    subprocess.run([sys.executable, "-m", "opeddev_tui", "train", "-w", str(root)], check=True)
    return root


def same_as_recorded(root: Path, held: Path) -> str:
    """Grade the hold-out and return how many grades and probabilities are those that the training recorded."""
    settings = load(root).settings
    workspace = Workspace(root, settings.paths)
    choice = choose(workspace, settings)
    states = {record.id: record.state for record in list_runs(workspace)}
    recorded = choice.state.readings[choice.epoch].by(choice.way)
    assert recorded is not None
    assert choice.entry is None or choice.entry.run in states
    began = time.perf_counter()
    done = subprocess.run([*command(root), "--json", str(held)], check=True, capture_output=True, text=True)
    took = time.perf_counter() - began
    found = [json.loads(line) for line in done.stdout.splitlines()]
    equal = sum(str(row["grade"]) == grade for row, grade in zip(found, recorded.grades, strict=True))
    apart = max(
        abs(chance - known)
        for row, chances in zip(found, recorded.probabilities, strict=True)
        for chance, known in zip(row["probabilities"].values(), chances, strict=True)
    )
    print(done.stderr.strip())
    words = f"{equal} of {len(found)} grades of the hold-out are those recorded by {choice.way}"
    return f"{words}; probabilities differ by at most {apart:.4f} (recorded with 4 digits); {took:.0f} s with loading"


def make_files(folder: Path, rows: list[dict[str, str]], count: int) -> None:
    """Write ``count`` source files, no two of them equal."""
    for number, row in zip(range(count), itertools.cycle(rows), strict=False):
        text = f"{row['submission']}\n{'/*' if row['kind'] != 'html' else '<!--'} {number} "
        place = folder / f"{number // 100:02}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:05}.{row['kind']}").write_text(text + ("*/" if row["kind"] != "html" else "-->"))


def command(root: Path) -> list[str]:
    """Return how ``grade`` is called on the workspace ``root``."""
    return [sys.executable, "-m", "opeddev_tui", "grade", "-w", str(root)]


def lines_of(path: Path) -> int:
    """Return how many results are in ``path``."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


def watched(words: list[str], out: Path, until: int) -> tuple[list[tuple[int, float]], bool]:
    """Run ``words`` until ``out`` has ``until`` lines, then kill it; return (lines, MiB) over time, and if it ended."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    memory = psutil.Process(process.pid)
    seen: list[tuple[int, float]] = []
    while process.poll() is None:
        done = lines_of(out)
        try:
            seen.append((done, memory.memory_info().rss / 2**20))
        except psutil.Error:
            break
        if done >= until:
            os.kill(process.pid, signal.SIGKILL)
            break
        time.sleep(0.5)
    return seen, process.wait() == 0


def grade_all(root: Path, folder: Path, out: Path, count: int, kills: int) -> None:
    """Grade ``folder`` into ``out`` with ``kills`` kills on the way, and print what came out."""
    words = [*command(root), "--out", str(out), str(folder)]
    for part in range(1, kills + 2):
        before, began = lines_of(out), time.perf_counter()
        until = count * part // (kills + 1) if part <= kills else count + 1
        seen, ended = watched(words, out, until)
        rated = [(done, mib) for done, mib in seen if done > before]
        took = time.perf_counter() - began
        working = len(rated) * took / max(1, len(seen))
        graded = lines_of(out) - before
        sizes = [mib for _, mib in rated] or [0.0]
        marks = [sizes[min(len(sizes) - 1, len(sizes) * share // 10)] for share in (1, 5, 9)]
        end = "ended" if ended else "killed"
        print(
            f"process {part} {end}: {graded} files, {graded / max(1e-9, working):.2f} per second once loaded; resident "
            f"{', '.join(f'{mib:.0f}' for mib in marks)} MiB after 10, 50 and 90% of it, at most {max(sizes):.0f}"
        )
    names = [json.loads(line)["file"] for line in out.read_text().splitlines()]
    print(f"{len(names)} results, {len(set(names))} different files of {count}: {len(names) - len(set(names))} twice")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--workspace", type=Path, help="a trained one; nothing is trained then")
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="grade-files-") as place:
        root = options.workspace or make_workspace(Path(place) / "workspace", options.model, options.data)
        print(same_as_recorded(root, options.data / "validation.jsonl"))
        rows = [
            json.loads(line)
            for path in sorted(options.data.glob("train_*.jsonl"))
            for line in path.read_text().splitlines()
        ]
        make_files(Path(place) / "files", rows, options.files)
        grade_all(root, Path(place) / "files", Path(place) / "out.jsonl", options.files, options.kills)


if __name__ == "__main__":
    main()
