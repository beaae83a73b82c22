"""The parts of ``gpu.py`` that run the program itself: whole trainings, killed ones, out of memory, the race.

Not for use by itself. A workspace is a temporary folder with graded rows and a model made here.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from gpu_texts import Encoder

if TYPE_CHECKING:
    from gpu import Bench

VOCABULARY = 151_936
GIB = 2**30
# makes the limit of memory hold in the training's own process, where no setting could
_LIMIT = """import sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "opeddev_tui.training.steps":
            import torch
            if torch.cuda.is_available():
                torch.cuda.set_per_process_memory_fraction({share})
sys.meta_path.insert(0, Finder())
"""


def copy_rows(data: Path, root: Path, train: int, holdout: int) -> None:
    """Copy the first ``train`` and ``holdout`` rows into the workspace ``root``."""
    lines = [line for path in sorted(data.glob("train_*.jsonl")) for line in path.read_text().splitlines()]
    for folder, name, rows in (
        ("processed_webdev_coding", "train.jsonl", lines[:train]),
        ("holdout_webdev_coding", "validation.jsonl", (data / "validation.jsonl").read_text().splitlines()[:holdout]),
    ):
        target = root / "datasets" / folder / name
        target.parent.mkdir(parents=True)
        target.write_text("\n".join(rows) + "\n")


def save_model(bench: Bench, folder: Path, layers: int) -> Path:
    """Write the random model with the tokenizer to ``folder`` and return it."""
    shutil.copytree(bench.options.tokenizer, folder)
    bench.model(layers, VOCABULARY).cpu().save_pretrained(folder)
    return folder


def make_workspace(bench: Bench, root: Path, model: Path, **sections: dict[str, Any]) -> None:
    """Make a workspace with 24 training and 12 hold-out rows on ``model``; ``sections`` overrule its settings."""
    import tomli_w

    copy_rows(bench.options.data, root, 24, 12)
    training = {"num_train_epochs": 2, "per_device_train_batch_size": 4, "logging_steps": 1}
    settings: dict[str, dict[str, Any]] = {
        "model": {"name": str(model)},
        "paths": {"model_store": str(root / "store")},
        "training": training | sections.pop("training", {}),
        "early_stop": {"policy": "rule", "max_extra_epochs": 0},
        "generation": {"num_probes": 4, "max_new_tokens": 8 if bench.tiny else 64},
        **sections,
    }
    (root / "config.toml").write_text(tomli_w.dumps(settings))


def start(bench: Bench, root: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    """Start the program on the workspace ``root``; its output goes to a file there."""
    hidden = {} if bench.cuda else {"CUDA_VISIBLE_DEVICES": ""}
    with (root / "output").open("a") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "opeddev_tui", *(words or ("train",)), "-w", str(root)],
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "COLUMNS": "200", **hidden, **environment},
        )


def finish(process: subprocess.Popen[str], seconds: float) -> int:
    """Wait for the end of ``process`` and return its code; kill it after ``seconds``, so that what it did is told."""
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def events_of(root: Path) -> list[Any]:
    """Return the events of all runs in ``root``; raises ``RuntimeError`` with the output where there is none."""
    from opeddev_tui.runs.journal import JournalReader

    runs = root / "logs" / "runs"
    if not runs.is_dir():
        raise RuntimeError((root / "output").read_text()[-2000:])
    return [event for run in sorted(runs.iterdir()) for event in JournalReader(run).read_new()]


def weights_digest(root: Path) -> str:
    """Return the first digits of the SHA-256 of the newest checkpoint's weights."""
    files = sorted((root / "store").rglob("model.safetensors"), key=lambda path: path.stat().st_mtime)
    if not files:
        return "no checkpoint"
    with files[-1].open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def checkpoint_sizes(root: Path) -> dict[str, float]:
    """Return the size of each checkpoint folder in GiB."""
    folders = sorted({path.parent for path in (root / "store").rglob("model.safetensors")})
    return {
        folder.name: round(sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) / GIB, 2)
        for folder in folders
    }


def seconds_by_phase(events: list[Any]) -> dict[str, float]:
    """Return the seconds between one phase and the next, summed by the phase's name."""
    from opeddev_tui.runs.events import PhaseChanged

    found: dict[str, float] = {}
    for one, after in itertools.pairwise([event for event in events if isinstance(event, PhaseChanged)]):
        found[one.phase] = round(found.get(one.phase, 0.0) + after.at - one.at, 2)
    return found


def losses_of(events: list[Any]) -> list[float]:
    """Return the hold-out losses, in order of their epochs."""
    from opeddev_tui.runs.events import HoldoutEvaluated

    return [round(event.loss, 6) for event in events if isinstance(event, HoldoutEvaluated)]


def train(bench: Bench) -> None:
    """Run the whole program on the whole model: a step of two epochs with scores, texts and checkpoints."""
    from opeddev_tui.runs.events import (
        GradesMeasured,
        GradesRead,
        HeadFitted,
        HoldoutEvaluated,
        MemoryEstimated,
        Progress,
        SamplesGenerated,
    )

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        root = Path(folder) / "whole"
        make_workspace(bench, root, save_model(bench, Path(folder) / "model", 28))
        began = time.perf_counter()
        process = start(bench, root)
        code = finish(process, 200 if bench.cuda else 900)
        seconds = time.perf_counter() - began
        events = events_of(root)
        taken = {
            kind.__name__: [round(getattr(event, "seconds", 0.0), 2) for event in events if isinstance(event, kind)]
            for kind in (HoldoutEvaluated, GradesMeasured, GradesRead, HeadFitted, SamplesGenerated)
        }
        speeds = [event.tokens_per_second for event in events if isinstance(event, Progress)]
        bench.tell(
            *("train", "whole model, 24 rows, 2 epochs, batch 4"),
            code=code,
            seconds=seconds,
            phases=seconds_by_phase(events),
            checkpoints=checkpoint_sizes(root),
            holdout_losses=losses_of(events),
            tokens_per_second=[round(speed) for speed in speeds if speed],
            estimate={
                event.peak: round(event.total / GIB, 2) for event in events if isinstance(event, MemoryEstimated)
            },
            taken=taken,
            end=(root / "output").read_text()[-300:],
        )


def exact(bench: Bench) -> None:
    """Compare the weights of undisturbed runs with those of a run killed in epoch 2 and resumed.

    Once as the program trains, once with torch's deterministic algorithms; a model of 4 layers, all runs side by side.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        model = save_model(bench, Path(folder) / "model", 4)
        deterministic = {"arguments": {"full_determinism": True}}
        for case, training in (("as it trains", {}), ("deterministic", deterministic)):
            roots = [Path(folder) / case.replace(" ", "-") / name for name in ("first", "again", "killed")]
            for root in roots:
                make_workspace(bench, root, model, training=training)
            # cuBLAS reads it once, at the first product
            words = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"} if training else {}
            processes = [start(bench, root, **words) for root in roots]
            killed_at = _kill_in_second_epoch(processes[2], roots[2])
            resumed = start(bench, roots[2], **words)
            codes = [finish(process, 120 if bench.cuda else 900) for process in (*processes[:2], resumed)]
            digests = [weights_digest(root) for root in roots]
            bench.tell(
                *("exact", case),
                codes=codes,
                killed_at_epoch=killed_at,
                killed_with=processes[2].returncode,
                weights=digests,
                undisturbed_runs_alike=digests[0] == digests[1],
                resumed_alike=digests[0] == digests[2],
                losses=[losses_of(events_of(root)) for root in roots],
                end=(roots[0] / "output").read_text()[-300:] if any(codes) else "",
            )
            for root in roots:
                shutil.rmtree(root / "store", ignore_errors=True)


def _kill_in_second_epoch(process: subprocess.Popen[str], root: Path) -> float:
    """Kill ``process`` after the first steps of epoch 2 and return the epoch that was recorded last; -1: too late."""
    from opeddev_tui.runs.events import Progress
    from opeddev_tui.runs.journal import JournalReader

    reader, ended = None, time.monotonic() + (90 if torch.cuda.is_available() else 600)
    while time.monotonic() < ended and process.poll() is None:
        runs = list((root / "logs" / "runs").glob("*")) if (root / "logs" / "runs").exists() else []
        reader = reader or (JournalReader(runs[0]) if runs else None)
        for event in reader.read_new() if reader else ():
            if isinstance(event, Progress) and event.epoch > 1.2:
                process.send_signal(signal.SIGKILL)
                process.wait()
                return float(event.epoch)
        time.sleep(0.01)
    return -1.0


def oom(bench: Bench) -> None:
    """Train with a batch that does not fit and see the engine halve it; then score and generate in little memory."""
    from opeddev_tui.runs.events import MemoryRetried, Warned

    share = 20 * GIB / torch.cuda.get_device_properties(0).total_memory if bench.cuda else 1.0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        root = Path(folder) / "small"
        training = {"per_device_train_batch_size": 24, "per_device_eval_batch_size": 12, "num_train_epochs": 1}
        make_workspace(bench, root, save_model(bench, Path(folder) / "model", 28), training=training)
        site = Path(folder) / "site"
        site.mkdir()
        (site / "sitecustomize.py").write_text(_LIMIT.format(share=share))
        path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
        began = time.perf_counter()
        code = finish(start(bench, root, PYTHONPATH=path), 200 if bench.cuda else 900)
        events = events_of(root)
        bench.tell(
            *("oom", "training in 20 GiB, batch 24"),
            code=code,
            seconds=time.perf_counter() - began,
            retries=[(e.batch_size, e.accumulation, e.message[:90]) for e in events if isinstance(e, MemoryRetried)],
            warnings=[event.message for event in events if isinstance(event, Warned)],
            holdout_losses=losses_of(events),
            end=(root / "output").read_text()[-300:],
        )
    _oom_in_scoring(bench)


def _oom_in_scoring(bench: Bench) -> None:
    """Score rows and generate texts in 12 GiB with batches that do not fit; compare with the loss in batches of one."""
    from opeddev_tui.config import settings as st
    from opeddev_tui.models.precision import resolve_precision
    from opeddev_tui.training.model_in_use import ModelInUse
    from opeddev_tui.training.scorer import Holdout, Scorer

    bench.free()
    model, count, length = bench.model(), 8 if bench.tiny else 64, 64 if bench.tiny else 1536
    lengths = [length - number % 5 for number in range(count)]
    rows: Any = bench.rows(lengths, length // 3)
    tokenizer: Any = type("Tokenizer", (), {"pad_token_id": 0})()
    encoder: Any = Encoder()
    loaded = ModelInUse(model, tokenizer, encoder, resolve_precision("bf16"))
    found: dict[str, Any] = {}
    if bench.cuda:
        torch.cuda.set_per_process_memory_fraction(12 * GIB / torch.cuda.get_device_properties(0).total_memory)
    try:
        for size in (count, 1):
            training = st.Training(per_device_eval_batch_size=size)
            settings = st.Settings(training=training, generation=st.Generation(batch_size=count * 4))
            told: Any = Told()
            holdout = Holdout([], rows, [])
            scorer = Scorer(settings, told, loaded, holdout)
            found[f"loss, batch {size}"] = scorer.score(0).loss
            found[f"warnings, batch {size}"] = told.warnings()
        told = Told()
        settings = st.Settings(training=st.Training(per_device_eval_batch_size=count * 4))
        scorer = Scorer(settings, told, loaded, holdout)
        texts = _generate_within_memory(scorer, model, [row.prompt for row in rows] * 4)
        found |= {"texts": texts, "warnings, generation": told.warnings()}
    finally:
        if bench.cuda:
            torch.cuda.set_per_process_memory_fraction(1.0)
    bench.tell("oom", "scoring and generation in 12 GiB", **found)


def _generate_within_memory(scorer: Any, model: Any, prompts: list[list[int]]) -> int:
    """Generate as the scorer does and return how many texts there are."""
    from opeddev_tui.models import generation

    encoder: Any = Encoder()
    return len(
        scorer.runner.within_memory(
            lambda batch: generation.generate(*(model, encoder, prompts), pad_id=0, max_new_tokens=4, batch_size=batch)
        )
    )


class Told:
    """Takes the place of the bus and keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def emit(self, event: Any) -> None:
        self.events.append(event)

    def warnings(self) -> list[str]:
        """Return the messages of the warnings."""
        return [event.message for event in self.events if hasattr(event, "message")]


def race(bench: Bench) -> None:
    """Hold the race with the real model on all rows, in the precision of this device and in float32."""
    if bench.options.real is None:
        raise ValueError("the part race needs --real MODEL")
    import tomli_w

    for name in ("bf16", "fp32"):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            root = Path(folder) / name
            copy_rows(bench.options.data, root, *((40, 10) if bench.tiny else (300, 50)))
            settings = {
                "model": {"name": str(bench.options.real.resolve()), "precision": name},
                "paths": {"model_store": str(root / "store")},
            }
            (root / "config.toml").write_text(tomli_w.dumps(settings))
            began = time.perf_counter()
            code = finish(start(bench, root, "race"), 120 if bench.cuda else 600)
            seconds = time.perf_counter() - began
            bench.tell("race", name, code=code, seconds=seconds, says=(root / "output").read_text()[:2500])


PARTS: dict[str, Callable[[Bench], None]] = {"train": train, "exact": exact, "oom": oom, "race": race}
