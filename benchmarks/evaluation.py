"""Time the evaluation after an epoch, hold-out loss and grades together, beside another checkout of the app.

    python benchmarks/evaluation.py MODEL DATA --other CHECKOUT [--rounds 3] [--rows 12] [--lora] [--set NAME=VALUE …]
    python benchmarks/evaluation.py MODEL DATA [--rounds 3]

MODEL is a model folder, DATA a folder with train*.jsonl and validation.jsonl of graded rows. Each round trains the
same few rows for two epochs with CHECKOUT and with this checkout in turn, in processes of their own, and reads the
seconds of loss and grades from their journals. What comes once per step (the base model's features, the step's head) is
told apart.

Without CHECKOUT it measures processor seconds in one process, for a machine with other work on it: the pass for the
loss and the generation of grades, as version 0.1 had them, in turns with the pass that gives both.
"""

import argparse
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent.parent
# (event, field) of what is done after every epoch, and once per step
PER_EPOCH = (("HoldoutEvaluated", "seconds"), ("GradesMeasured", "seconds"))
ONCE = (("HeadFitted", "read_seconds"), ("HeadFitted", "fit_seconds"))


def make_workspace(root: Path, data: Path, rows: int) -> None:
    """Write ``rows`` training rows and the whole hold-out of ``data`` into a workspace at ``root``."""
    lines = itertools.chain.from_iterable(path.open() for path in sorted(data.glob("train*.jsonl")))
    for name, chosen in (
        ("processed_webdev_coding/train.jsonl", list(itertools.islice(lines, rows))),
        ("holdout_webdev_coding/validation.jsonl", (data / "validation.jsonl").open().readlines()),
    ):
        path = root / "datasets" / name
        path.parent.mkdir(parents=True)
        path.write_text("".join(chosen))


def train(checkout: Path, root: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Train in the workspace at ``root`` with the app in ``checkout``; return the events of the run."""
    wanted = {
        "model.name": str(Path(options.model).absolute()),
        "paths.model_store": "store",
        "training.num_train_epochs": 2,
        "training.torch_num_threads": options.threads,
        "early_stop.policy": "rule",
        "early_stop.max_extra_epochs": 0,
        "generation.num_probes": 0,
        "lora.enabled": str(options.lora).lower(),
    }
    given = [f"{name}={value}" for name, value in wanted.items()] + options.set
    words = itertools.chain.from_iterable(("--set", item) for item in given)
    environment = {**os.environ, "PYTHONPATH": str(checkout), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "opeddev_tui", "train", "-w", str(root), *words]
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    (journal,) = root.glob("logs/runs/*/events.jsonl")
    return [json.loads(line) for line in journal.open()]


def seconds(events: list[dict[str, Any]]) -> tuple[float, float]:
    """Return (mean seconds per evaluation of loss and grades, seconds of what comes once per step)."""
    newest: dict[tuple[str, int], float] = {}
    for event in events:
        for kind, name in PER_EPOCH:
            if event["type"] == kind and (kind, event["epoch"]) not in newest:
                newest[kind, event["epoch"]] = event[name]
    epochs = {epoch for _, epoch in newest}
    once = sum(event.get(name, 0.0) for event in events for kind, name in ONCE if event["type"] == kind)
    return sum(newest.values()) / len(epochs), once


def measure_parts(options: argparse.Namespace) -> list[float]:
    """Print processor seconds of both ways for each round and return their ratios."""
    import torch

    from opeddev_tui.config.settings import Settings
    from opeddev_tui.data.batches import Batch, load_batch
    from opeddev_tui.grading.features import read_rows
    from opeddev_tui.grading.grade_tokens import grade_stem, grade_tokens
    from opeddev_tui.grading.spans import with_span
    from opeddev_tui.models.chat import ChatEncoder
    from opeddev_tui.models.generation import generate
    from opeddev_tui.models.loading import load_model, load_tokenizer
    from opeddev_tui.models.losses import example_losses
    from opeddev_tui.models.token_rows import LeftPadCollator

    torch.set_num_threads(options.threads)
    settings = Settings()
    tokenizer = load_tokenizer(options.model, settings.model)
    model, pad_id = load_model(options.model, settings.model).eval(), tokenizer.pad_token_id
    encoder = ChatEncoder(tokenizer, max_length=settings.data.max_length)
    examples = load_batch(Batch("hold-out", -1, options.data / "validation.jsonl"), settings).examples
    rows = encoder.encode_all(examples).rows
    spans = [with_span(encoder, examples[row.row], row.prompt, row.completion) for row in rows]
    stem = grade_stem([example.completion for example in examples], settings.grading.pattern)
    tokens = grade_tokens(encoder, stem, "12345") if stem else None

    def apart() -> None:
        example_losses(model, rows, LeftPadCollator(pad_id), batch_size=4)
        prompts, sampling = [row.prompt for row in rows], settings.generation
        generate(model, encoder, prompts, pad_id=pad_id, max_new_tokens=8, batch_size=8, sampling=sampling)

    def together() -> None:
        read_rows(model, spans, pad_id=pad_id, batch_size=4, loss=True, grade_tokens=tokens)

    ratios = []
    for number in range(1, options.rounds + 1):
        other, ours = processor_seconds(apart), processor_seconds(together)
        ratios.append(ours / other)
        print(f"round {number}: apart {other:.2f} s, together {ours:.2f} s, ratio {ours / other:.2f}", flush=True)
    return ratios


def processor_seconds(work: Callable[[], None]) -> float:
    """Return the processor time that ``work`` takes."""
    began = time.process_time()
    work()
    return time.process_time() - began


def measure_versions(options: argparse.Namespace) -> list[float]:
    """Print seconds of both checkouts for each round and return their ratios."""
    ratios = []
    for number in range(1, options.rounds + 1):
        found = []
        for checkout in (options.other.absolute(), HERE):
            root = Path(tempfile.mkdtemp(prefix="evaluation-"))
            try:
                make_workspace(root, options.data, options.rows)
                found.append(seconds(train(checkout, root, options)))
            finally:
                shutil.rmtree(root)
        (other, _), (ours, once) = found
        ratios.append(ours / other)
        print(
            f"round {number}: other {other:.2f} s, ours {ours:.2f} s per evaluation, ratio {ours / other:.2f};", end=" "
        )
        print(f"once per step {once:.2f} s", flush=True)
    return ratios


def main() -> None:
    """Measure in turns and print seconds and ratios."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("--other", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--lora", action="store_true")
    parser.add_argument("--set", action="append", default=[])
    options = parser.parse_args()
    ratios = measure_versions(options) if options.other is not None else measure_parts(options)
    print(f"ours : other {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
