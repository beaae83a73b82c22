"""What only a GPU can show: padded rows, precision, memory, speed, out of memory, readings, a whole training.

Uses a model of Qwen3-0.6B's shape with random weights, made here, and the tokenizer of a model folder.

    python benchmarks/gpu.py TOKENIZER DATA --out FOLDER [--parts padding memory …] [--shape tiny] [--layers 28]

DATA is a folder with graded rows as JSONL. Each part prints a line per case and adds to FOLDER/gpu.json, so that a part
that fails, or the end of the time, loses nothing that was measured. ``--shape tiny`` runs it on a processor.
"""

import argparse
import contextlib
import hashlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).resolve().parent
GIB = 2**30
VOCABULARY = 151_936


class Bench:
    """The model's shape, the device, and the figures found so far."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.tiny = options.shape == "tiny"
        self.found: dict[str, Any] = {"device": self._name(), "torch": torch.__version__}

    def _name(self) -> str:
        return torch.cuda.get_device_name(0) if self.device.type == "cuda" else "cpu"

    def tell(self, part: str, case: str, **figures: Any) -> None:
        """Print the figures of a case and keep them."""
        shown = {name: round(value, 6) if isinstance(value, float) else value for name, value in figures.items()}
        print(f"{part} | {case} | {shown}", flush=True)
        self.found.setdefault(part, {})[case] = shown
        (self.options.out / "gpu.json").write_text(json.dumps(self.found, indent=1, default=str))

    def config(self) -> Any:
        """Return the configuration of Qwen3-0.6B, or a small one of the same make."""
        from transformers import Qwen3Config

        width = (
            {"hidden_size": 64, "intermediate_size": 128}
            if self.tiny
            else {"hidden_size": 1024, "intermediate_size": 3072}
        )
        return Qwen3Config(
            vocab_size=VOCABULARY,
            num_hidden_layers=2 if self.tiny else self.options.layers,
            num_attention_heads=16,
            num_key_value_heads=8,
            head_dim=8 if self.tiny else 128,
            tie_word_embeddings=True,
            pad_token_id=151_643,
            eos_token_id=151_645,
            **width,
        )

    def model(self) -> Any:
        """Return a new model in float32 on the device, always the same."""
        from transformers import Qwen3ForCausalLM

        torch.manual_seed(0)
        return Qwen3ForCausalLM(self.config()).to(self.device)

    def rows(self, count: int, length: int, completion: int = 64) -> list[Any]:
        """Return ``count`` random rows, each shorter than ``length`` by another amount but the first."""
        from opeddev_tui.models.token_rows import TokenRow

        generator = torch.Generator().manual_seed(1)
        found = []
        for number in range(count):
            prompt = max(8, length - completion - number % 8 * 37)
            ids = torch.randint(5, 150_000, (prompt + completion,), generator=generator).tolist()
            found.append(TokenRow(number, ids[:prompt], ids[prompt:]))
        return found


@contextlib.contextmanager
def cast(name: str, device: torch.device) -> Iterator[None]:
    """Run the block in the arithmetic ``name``."""
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(name)
    with torch.autocast(device.type, dtype=dtype) if dtype else contextlib.nullcontext():
        yield


def precisions(bench: Bench) -> tuple[str, ...]:
    """Return the arithmetics that the device has."""
    return ("fp32", "bf16", "fp16") if bench.device.type == "cuda" else ("fp32",)


def on_device(batch: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """Return what the model takes of a batch, on the device."""
    kept = {key: value for key, value in batch.items() if key not in ("rows", "weights")}
    return {key: value.to(device) if torch.is_tensor(value) else value for key, value in kept.items()}


def readings(bench: Bench) -> None:
    """Compare the app's readings with those of nvidia-smi."""
    from opeddev_tui.training.hardware import sample

    bench.tell(
        "readings", "app", **{name: getattr(sample(), name) for name in sample().__struct_fields__ if name != "at"}
    )
    if bench.device.type == "cuda":
        fields = "uuid,name,memory.used,memory.total,utilization.gpu,temperature.gpu,power.draw"
        done = subprocess.run(
            ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            check=False,
        )
        bench.tell("readings", "nvidia-smi", says=done.stdout.strip())
        bench.tell("readings", "torch", uuid=str(torch.cuda.get_device_properties(0).uuid))


def padding(bench: Bench) -> None:
    """Look for NaN in rows padded on the left, and compare their losses with those of rows on their own."""
    from opeddev_tui.models.losses import example_losses
    from opeddev_tui.models.token_rows import LeftPadCollator

    model, collate = bench.model(), LeftPadCollator(0)
    for name in precisions(bench):
        for length in (256, 257, 289, 511, 513):
            rows = bench.rows(4, length)
            batch = on_device(collate(rows), bench.device)
            labels = batch.pop("labels")
            model.zero_grad(set_to_none=True)
            model.train()
            with cast(name, bench.device):
                logits = model(**batch).logits[:, :-1].float()
                loss = torch.nn.functional.cross_entropy(logits.transpose(1, 2), labels[:, 1:], ignore_index=-100)
            (loss * (1024 if name == "fp16" else 1)).backward()
            grads = all(bool(torch.isfinite(item.grad).all()) for item in model.parameters() if item.grad is not None)
            with cast(name, bench.device):
                together, tokens = example_losses(model, rows, collate, batch_size=4)
                alone, _ = example_losses(model, rows, collate, batch_size=1)
            apart = max(abs(a - b) / abs(b) for a, b in zip(together, alone, strict=True))
            bench.tell(
                *("padding", f"{name}, longest {length}, shortest {length - 111}"),
                finite=bool(torch.isfinite(logits).all()),
                gradients_finite=grads,
                loss=float(loss.detach()),
                padded_to_alone=apart,
                tokens=sum(tokens),
            )


def precision(bench: Bench) -> None:
    """Train 20 steps with float32 masters under autocast and with 16-bit weights; count the weights that moved."""
    from opeddev_tui.models.precision import resolve_precision
    from opeddev_tui.models.token_rows import LeftPadCollator

    bench.tell("precision", "resolved", **{key: getattr(resolve_precision("auto"), key) for key in ("name", "reason")})
    batch = on_device(LeftPadCollator(0)(bench.rows(4, 256)), bench.device)
    labels = batch.pop("labels")
    for case in ("float32 masters, bf16 autocast", "pure bf16"):
        model = bench.model()
        if case.startswith("pure"):
            model = model.to(torch.bfloat16)
        before = [item.detach().clone() for item in model.parameters()]
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
        losses = []
        for _ in range(20):
            with cast("" if case.startswith("pure") else "bf16", bench.device):
                logits = model(**batch).logits[:, :-1].float()
                loss = torch.nn.functional.cross_entropy(logits.transpose(1, 2), labels[:, 1:], ignore_index=-100)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            losses.append(float(loss.detach()))
        moved = sum(int((a != b).sum()) for a, b in zip(before, model.parameters(), strict=True))
        bench.tell(
            *("precision", case),
            weights_moved=moved / sum(item.numel() for item in before),
            first_loss=losses[0],
            last_loss=losses[-1],
        )
        del model, before, optimizer


def memory(bench: Bench) -> None:
    """Compare the estimate before loading with what a training took."""
    from opeddev_tui.config import settings as st

    cases = [
        (lora, batch, length, recompute)
        for lora in (False, True)
        for batch, length in ((1, 512), (4, 1024), (16, 1024))
        for recompute in (False, True)
        if not (recompute and batch == 1)
    ]
    for lora, batch, length, recompute in cases:
        settings = st.Settings(
            model=st.Model(precision="bf16"),
            data=st.Data(max_length=length),
            training=st.Training(per_device_train_batch_size=batch, activation_checkpointing=recompute),
            lora=st.Lora(enabled=lora),
        )
        name = f"{'LoRA' if lora else 'full'}, batch {batch} x {length}{', recomputed' if recompute else ''}"
        bench.tell("memory", name, **_memory_case(bench, settings, batch, length))


def _memory_case(bench: Bench, settings: Any, batch: int, length: int) -> dict[str, Any]:
    from opeddev_tui.models import loading
    from opeddev_tui.models import memory as estimating
    from opeddev_tui.models.token_rows import LeftPadCollator

    model: Any = bench.model()
    sizes = estimating.sizes_of(model)
    if settings.lora.enabled:
        model.requires_grad_(False)
        model = loading.with_adapters(model, settings.lora)
    if settings.training.activation_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    shape = estimating.BatchShape(batch, length, 64)
    estimated = estimating.estimate(
        sizes, settings, sixteen_bit=bench.device.type == "cuda", train=shape, holdout=shape, free=10**12
    )
    optimizer = torch.optim.AdamW([item for item in model.parameters() if item.requires_grad], lr=1e-5)
    inputs = on_device(LeftPadCollator(0)(bench.rows(batch, length)), bench.device)
    labels = inputs.pop("labels")
    if bench.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    model.train()
    for _ in range(2):
        with cast("bf16" if bench.device.type == "cuda" else "", bench.device):
            logits = model(**inputs).logits[:, :-1].float()
            loss = torch.nn.functional.cross_entropy(logits.transpose(1, 2), labels[:, 1:], ignore_index=-100)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    peak = torch.cuda.max_memory_allocated() if bench.device.type == "cuda" else 0
    reserved = torch.cuda.max_memory_reserved() if bench.device.type == "cuda" else 0
    training = estimated.weights + estimated.gradients + estimated.optimizer + estimated.activations
    return {
        "estimated_training_gib": training / GIB,
        "peak_gib": peak / GIB,
        "reserved_gib": reserved / GIB,
        "ratio": training / peak if peak else 0.0,
    }


def speed(bench: Bench) -> None:
    """Compare tokens per second with the plain Trainer's."""
    layers = 2 if bench.tiny else bench.options.layers
    words = [
        "--layers",
        str(layers),
        "--batch",
        "8",
        "--length",
        "512",
        "--completion",
        "64",
        "--steps",
        "12",
        "--rounds",
        "2",
    ]
    if bench.tiny:
        words = [
            "--layers",
            "1",
            "--batch",
            "2",
            "--length",
            "64",
            "--completion",
            "16",
            "--steps",
            "3",
            "--rounds",
            "1",
        ]
    done = subprocess.run(
        [sys.executable, str(HERE / "training.py"), *words], capture_output=True, text=True, check=False
    )
    for number, line in enumerate(done.stdout.splitlines() or [done.stderr[-600:]]):
        bench.tell("speed", str(number), says=line)


def generate(bench: Bench) -> None:
    """Time the generation of texts."""
    from opeddev_tui.config import settings as st
    from opeddev_tui.models import chat, generation, loading

    tokenizer = loading.load_tokenizer(str(bench.options.tokenizer), st.Model())
    encoder = chat.ChatEncoder(tokenizer, max_length=2048)
    model = bench.model()
    rows = bench.rows(32, 512)
    for name in precisions(bench):
        for size in (1, 32):
            prompts = [row.prompt for row in rows[:size]]
            began = time.perf_counter()
            with cast(name, bench.device):
                texts = generation.generate(
                    model, encoder, prompts, pad_id=tokenizer.pad_token_id, max_new_tokens=64, batch_size=size
                )
            seconds = time.perf_counter() - began
            count = sum(map(len, texts))
            bench.tell("generate", f"{name}, {size} prompts", tokens_per_second=count / seconds, tokens=count)


def features(bench: Bench) -> None:
    """Compare features in 16 bit with those in float32, and time them."""
    from opeddev_tui.grading.features import read_rows
    from opeddev_tui.grading.spans import GradeRow

    model, found = bench.model(), {}
    rows = [GradeRow(row.prompt, row.completion, (4, len(row.prompt) - 4)) for row in bench.rows(64, 1024)]
    for name in precisions(bench):
        began = time.perf_counter()
        with cast(name, bench.device):
            found[name] = read_rows(model, rows, pad_id=0, batch_size=16).states
        apart = abs(found[name] - found["fp32"]).max() / abs(found["fp32"]).max()
        bench.tell("features", name, rows_per_second=len(rows) / (time.perf_counter() - began), apart=float(apart))


def make_workspace(bench: Bench, root: Path, **training: Any) -> None:
    """Make a workspace with 24 training and 12 hold-out rows and the random model."""
    import tomli_w

    for folder, name, count in (
        ("processed_webdev_coding", "train_01", 24),
        ("holdout_webdev_coding", "validation", 12),
    ):
        lines = (bench.options.data / f"{name}.jsonl").read_text().splitlines()[:count]
        target = root / "datasets" / folder / ("train.jsonl" if "train" in name else "validation.jsonl")
        target.parent.mkdir(parents=True)
        target.write_text("\n".join(lines) + "\n")
    model = root / "model"
    if not model.exists():
        shutil.copytree(bench.options.tokenizer, model)
        bench.model().cpu().save_pretrained(model)
    settings = {
        "model": {"name": "model"},
        "paths": {"model_store": str(root / "store")},
        "training": {
            "num_train_epochs": 2,
            "per_device_train_batch_size": 4,
            "save_total_limit": 3,
            "logging_steps": 1,
            **training,
        },
        "early_stop": {"policy": "rule", "max_extra_epochs": 0},
        "generation": {"num_probes": 4, "max_new_tokens": 64},
    }
    (root / "config.toml").write_text(tomli_w.dumps(settings))


def events_of(root: Path, output: str) -> list[Any]:
    """Return the events of all runs in ``root``; raises ``RuntimeError`` with the ``output`` where there is none."""
    from opeddev_tui.runs.journal import JournalReader

    runs = root / "logs" / "runs"
    if not runs.is_dir():
        raise RuntimeError(output)
    return [event for run in sorted(runs.iterdir()) for event in JournalReader(run).read_new()]


def start(root: Path, **environment: str) -> subprocess.Popen[str]:
    """Start a training in ``root``."""
    return subprocess.Popen(
        [sys.executable, "-m", "opeddev_tui", "train", "-w", str(root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environment},
    )


def weights_digest(root: Path) -> str:
    """Return the SHA-256 of the newest checkpoint's weights, and delete all checkpoints."""
    files = sorted((root / "store").rglob("model.safetensors"), key=lambda path: path.stat().st_mtime)
    found = hashlib.sha256(files[-1].read_bytes()).hexdigest()[:16] if files else "no checkpoint"
    # three runs of 7 GB per checkpoint would fill a small disk
    shutil.rmtree(root / "store", ignore_errors=True)
    return found


def train(bench: Bench) -> None:
    """Run the whole program: a step of two epochs, undisturbed twice, then killed in epoch 2 and resumed."""
    from opeddev_tui.runs.events import EpochFinished, PhaseChanged
    from opeddev_tui.runs.journal import JournalReader

    with tempfile.TemporaryDirectory() as folder:
        first = Path(folder) / "first"
        make_workspace(bench, first)
        for name in ("again", "killed"):
            (Path(folder) / name).mkdir()
            shutil.copytree(first / "datasets", Path(folder) / name / "datasets")
            (Path(folder) / name / "model").symlink_to(first / "model")
            shutil.copy(first / "config.toml", Path(folder) / name)
            text = (
                (Path(folder) / name / "config.toml")
                .read_text()
                .replace(str(first / "store"), str(Path(folder) / name / "store"))
            )
            (Path(folder) / name / "config.toml").write_text(text)
        for name in ("first", "again"):
            root = Path(folder) / name
            began = time.perf_counter()
            process = start(root)
            output = process.communicate(timeout=300)[0]
            events = events_of(root, output)
            times = {f"{e.phase}": 0.0 for e in events if isinstance(e, PhaseChanged)}
            ordered = [e for e in events if isinstance(e, PhaseChanged)]
            for one, after in itertools.pairwise(ordered):
                times[one.phase] += after.at - one.at
            bench.tell(
                *("train", name),
                code=process.returncode,
                seconds=time.perf_counter() - began,
                weights=weights_digest(root),
                phases={key: round(value, 1) for key, value in times.items()},
                end=output[-400:],
            )
        root = Path(folder) / "killed"
        process = start(root)
        reader, ended = None, time.monotonic() + 200
        while time.monotonic() < ended and process.poll() is None:
            runs = list((root / "logs" / "runs").glob("*")) if (root / "logs" / "runs").exists() else []
            reader = reader or (JournalReader(runs[0]) if runs else None)
            if reader and any(isinstance(event, EpochFinished) and event.epoch == 1 for event in reader.read_new()):
                time.sleep(1.0)
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.05)
        process.communicate()
        again = start(root)
        output = again.communicate(timeout=300)[0]
        bench.tell(
            *("train", "killed in epoch 2, resumed"),
            first_code=process.returncode,
            code=again.returncode,
            weights=weights_digest(root),
            end=output[-400:],
        )


def oom(bench: Bench) -> None:
    """Train with a batch that does not fit and see the engine halve it."""
    share = bench.options.share
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "small"
        make_workspace(bench, root, per_device_train_batch_size=24, per_device_eval_batch_size=12, num_train_epochs=1)
        site = Path(folder) / "site"
        site.mkdir()
        (site / "sitecustomize.py").write_text(
            "import sys\nclass F:\n    def find_spec(self, name, path=None, target=None):\n"
            "        if name == 'opeddev_tui.training.steps':\n            import torch\n"
            f"            torch.cuda.is_available() and torch.cuda.set_per_process_memory_fraction({share})\n"
            "sys.meta_path.insert(0, F())\n"
        )
        path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
        process = start(root, PYTHONPATH=path)
        output = process.communicate(timeout=400)[0]
        events = events_of(root, output)
        told = [event.message for event in events if hasattr(event, "message")]
        bench.tell("oom", f"share {share}", code=process.returncode, told=told, end=output[-600:])


PARTS: dict[str, Callable[[Bench], None]] = {
    "readings": readings,
    "padding": padding,
    "precision": precision,
    "memory": memory,
    "speed": speed,
    "generate": generate,
    "features": features,
    "train": train,
    "oom": oom,
}


def main() -> int:
    """Run the parts; exit 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--shape", choices=("tiny", "0.6b"), default="0.6b")
    parser.add_argument("--layers", type=int, default=28)
    parser.add_argument("--share", type=float, default=0.25, help="share of the GPU's memory for the part oom")
    bench, failed = Bench(parser.parse_args()), 0
    for name in bench.options.parts:
        began = time.perf_counter()
        try:
            PARTS[name](bench)
        except Exception:  # noqa: BLE001 - reported, and the other parts go on
            failed += 1
            bench.tell(name, "failed", traceback=traceback.format_exc()[-1500:])
        if bench.device.type == "cuda":
            torch.cuda.empty_cache()
        bench.tell("seconds", name, seconds=time.perf_counter() - began)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
