"""What only a GPU can show: padded rows, precision, memory, speed, readings, out of memory, whole trainings.

Uses a model of Qwen3-0.6B's shape with random weights, made here, and the tokenizer of a model folder.

    python benchmarks/gpu.py TOKENIZER DATA --out FOLDER [--parts padding memory …] [--shape tiny] [--real MODEL]

DATA is a folder with graded rows: ``train_01.jsonl`` … and ``validation.jsonl``. Each part prints a line per case and
adds to FOLDER/gpu.json, so that a part that fails, or the end of the time, loses nothing that was measured. ``--shape
tiny`` with ``--device cpu`` tries the script on a processor. The parts that run the program are in ``gpu_runs.py`` and
``gpu_ranks.py``, those about attention and texts in ``gpu_kernels.py`` and ``gpu_texts.py``.
"""

import argparse
import contextlib
import gc
import json
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).resolve().parent
GIB = 2**30
VOCABULARY = 151_936
SMALL_VOCABULARY = 4_096


class Bench:
    """The model's shape, the device, and the figures found so far."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        options.out.mkdir(parents=True, exist_ok=True)
        self.device = torch.device(options.device)
        self.cuda = self.device.type == "cuda"
        self.tiny = options.shape == "tiny"
        self.vocabulary = SMALL_VOCABULARY if self.tiny else VOCABULARY
        self.found: dict[str, Any] = {
            "device": torch.cuda.get_device_name(0) if self.cuda else "cpu",
            "torch": torch.__version__,
        }

    def tell(self, part: str, case: str, **figures: Any) -> None:
        """Print the figures of a case and keep them."""
        shown = {name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in figures.items()}
        print(f"{part} | {case} | {shown}", flush=True)
        self.found.setdefault(part, {})[case] = shown
        (self.options.out / "gpu.json").write_text(json.dumps(self.found, indent=1, default=str))

    def config(self, layers: int = 28, vocabulary: int = 0) -> Any:
        """Return the configuration of Qwen3-0.6B with ``layers`` layers, or a small one of the same make."""
        from transformers import Qwen3Config

        names = ("hidden_size", "intermediate_size", "head_dim", "num_hidden_layers")
        width: dict[str, Any] = dict(
            zip(names, (64, 128, 16, 4) if self.tiny else (1024, 3072, 128, layers), strict=True)
        )
        return Qwen3Config(
            vocab_size=vocabulary or self.vocabulary,
            num_attention_heads=16,
            num_key_value_heads=8,
            tie_word_embeddings=True,
            max_position_embeddings=40_960,
            pad_token_id=151_643 if (vocabulary or self.vocabulary) == VOCABULARY else 0,
            eos_token_id=151_645 if (vocabulary or self.vocabulary) == VOCABULARY else 1,
            **width,
        )

    def model(self, layers: int = 28, vocabulary: int = 0) -> Any:
        """Return a new model in float32 on the device, always the same."""
        from transformers import Qwen3ForCausalLM

        torch.manual_seed(0)
        with self.device:
            return Qwen3ForCausalLM(self.config(layers, vocabulary))

    def rows(self, lengths: list[int], completion: int = 64) -> list[Any]:
        """Return a random row of each length, the last ``completion`` tokens of it (at most half) the completion."""
        from opeddev_tui.models.token_rows import TokenRow

        generator = torch.Generator().manual_seed(1)
        found = []
        for number, length in enumerate(lengths):
            last = min(completion, length // 2)
            ids = torch.randint(5, self.vocabulary - 1000, (length,), generator=generator).tolist()
            found.append(TokenRow(number, ids[: length - last], ids[length - last :]))
        return found

    def batch(self, lengths: list[int], completion: int = 64, *, completion_only: bool = True) -> dict[str, Any]:
        """Return the collated batch of ``rows`` on the device."""
        from opeddev_tui.models.token_rows import LeftPadCollator

        batch = LeftPadCollator(0, completion_only=completion_only)(self.rows(lengths, completion))
        return {key: value.to(self.device) if torch.is_tensor(value) else value for key, value in batch.items()}

    def free(self) -> None:
        """Give back what earlier cases held, and begin the count of the peak anew."""
        gc.collect()
        if self.cuda:
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def wait(self) -> None:
        """Wait for the device, so that the clock tells the truth."""
        if self.cuda:
            torch.cuda.synchronize()

    def peak(self) -> float:
        """Return the peak of allocated memory in GiB; 0 on a processor."""
        return torch.cuda.max_memory_allocated() / GIB if self.cuda else 0.0


@contextlib.contextmanager
def cast(name: str, device: torch.device) -> Iterator[None]:
    """Run the block in the arithmetic ``name``: fp32, bf16 or fp16."""
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(name)
    with torch.autocast(device.type, dtype=dtype) if dtype else contextlib.nullcontext():
        yield


def precisions(bench: Bench) -> tuple[str, ...]:
    """Return the arithmetics that the device has."""
    return ("fp32", "bf16", "fp16") if bench.cuda else ("fp32", "bf16")


def adam(bench: Bench, model: Any, rate: float = 1e-5) -> Any:
    """Return the optimizer that the Trainer takes by default."""
    return torch.optim.AdamW([item for item in model.parameters() if item.requires_grad], lr=rate, fused=bench.cuda)


def optimize(bench: Bench, model: Any, optimizer: Any, batch: dict[str, Any], arithmetic: str) -> float:
    """Do one optimizer step by the model's own loss, as the Trainer does; return the loss."""
    with cast(arithmetic, bench.device):
        loss = model(**batch).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(loss.detach())


def readings(bench: Bench) -> None:
    """Compare the app's readings with those of nvidia-smi."""
    from opeddev_tui.training.hardware import sample

    busy = torch.randn(4096, 4096, device=bench.device) if bench.cuda else torch.zeros(1)
    for _ in range(300 if bench.cuda else 0):
        busy = torch.tanh(busy @ busy)
    found = sample()
    bench.tell("readings", "app", **{name: getattr(found, name) for name in found.__struct_fields__ if name != "at"})
    if bench.cuda:
        fields = "index,uuid,name,memory.used,memory.total,utilization.gpu,temperature.gpu,power.draw"
        command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        bench.tell("readings", "nvidia-smi", says=done.stdout.strip() or done.stderr.strip())
        bench.tell("readings", "torch", uuid=str(torch.cuda.get_device_properties(0).uuid))


def padding(bench: Bench) -> None:
    """Look for NaN in rows padded on the left, and compare losses and texts with those of the rows on their own."""
    model = bench.model()
    longest = (33, 65) if bench.tiny else (256, 257, 289, 512, 513, 1025)
    for attention in ("sdpa", "eager"):
        model.set_attn_implementation(attention)
        for name in precisions(bench):
            for length in longest[: None if attention == "sdpa" else 2]:
                lengths = [length, length - 5, length // 2, 12]
                bench.tell(
                    "padding", f"{attention}, {name}, padded to {length}", **_padding_case(bench, model, name, lengths)
                )


def _padding_case(bench: Bench, model: Any, name: str, lengths: list[int]) -> dict[str, Any]:
    from opeddev_tui.models.losses import example_losses
    from opeddev_tui.models.token_rows import LeftPadCollator

    batch = bench.batch(lengths)
    model.train().zero_grad(set_to_none=True)
    with cast(name, bench.device):
        out = model(**batch, output_hidden_states=True)
    # the gradient scaler's first factor for fp16 is 65,536; a smaller one never overflows by itself
    (out.loss * (1024 if name == "fp16" else 1)).backward()
    real = batch["attention_mask"].bool()
    rows = bench.rows(lengths)
    with cast(name, bench.device):
        together, _ = example_losses(model, rows, LeftPadCollator(0), batch_size=4)
        alone, _ = example_losses(model, rows, LeftPadCollator(0), batch_size=1)
    pairs = list(zip(together, alone, strict=True))
    found = {
        "loss": float(out.loss.detach()),
        "loss_finite": bool(torch.isfinite(out.loss)),
        "gradients_finite": all(bool(torch.isfinite(item.grad).all()) for item in model.parameters()),
        "states_finite": all(bool(torch.isfinite(state[real]).all()) for state in out.hidden_states),
        "states_of_padding_finite": all(bool(torch.isfinite(state).all()) for state in out.hidden_states),
        "losses_apart": max(abs(a - b) / abs(b) for a, b in pairs),
        "texts_alike": _texts_alike(bench, model, name, rows),
    }
    model.zero_grad(set_to_none=True)
    return found


def _texts_alike(bench: Bench, model: Any, name: str, rows: list[Any]) -> str:
    """Return how many of the texts generated together are those generated one by one, and whether all was finite."""
    from gpu_texts import Encoder

    from opeddev_tui.models import generation

    encoder: Any = Encoder()
    found = []
    for size in (len(rows), 1):
        with cast(name, bench.device):
            found.append(
                generation.generate(
                    *(model, encoder, [row.prompt for row in rows]), pad_id=0, max_new_tokens=8, batch_size=size
                )
            )
    # NaN logits give token 0 for ever
    zero = sum(all(token == 0 for token in text) for text in found[0])
    return f"{sum(a == b for a, b in zip(*found, strict=True))} of {len(rows)}, {zero} of zeros alone"


def precision(bench: Bench) -> None:
    """Train 20 steps with float32 masters under autocast and with 16-bit weights; count the weights that moved."""
    from opeddev_tui.models.precision import resolve_precision

    bench.tell("precision", "resolved", **{key: getattr(resolve_precision("bf16"), key) for key in ("name", "reason")})
    batch = bench.batch([96, 90, 80, 64] if bench.tiny else [256, 230, 200, 256])
    for case, arithmetic in (
        ("float32 masters, bf16 autocast", "bf16"),
        ("float32 masters, float32", "fp32"),
        ("bf16 weights", ""),
    ):
        bench.free()
        model = bench.model().train()
        if not arithmetic:
            model = model.to(torch.bfloat16)
        before = [item.detach().clone() for item in model.parameters()]
        optimizer = adam(bench, model)
        losses = [optimize(bench, model, optimizer, batch, arithmetic) for _ in range(20)]
        moved = sum(int((a != b).sum()) for a, b in zip(before, model.parameters(), strict=True))
        share = moved / sum(item.numel() for item in before)
        bench.tell("precision", case, weights_moved=share, first_loss=losses[0], last_loss=losses[-1])
        del model, before, optimizer


def memory(bench: Bench) -> None:
    """Compare the estimate before loading with what a training and a scoring take."""
    from opeddev_tui.config import settings as st

    sizes = ((1, 64), (2, 96)) if bench.tiny else ((1, 512), (4, 512), (4, 1024), (16, 512), (16, 1024))
    cases = [(lora, *size, again) for lora in (False, True) for size in sizes for again in (False, True)]
    for lora, batch, length, recompute in cases:
        settings = st.Settings(
            data=st.Data(max_length=length),
            training=st.Training(
                per_device_train_batch_size=batch,
                per_device_eval_batch_size=batch,
                activation_checkpointing=recompute,
            ),
            lora=st.Lora(enabled=lora),
        )
        name = f"{'LoRA' if lora else 'full'}, batch {batch} × {length}{', recomputed' if recompute else ''}"
        try:
            bench.tell("memory", name, **_memory_case(bench, settings, batch, length))
        except torch.OutOfMemoryError as error:
            bench.tell("memory", name, does_not_fit=str(error).splitlines()[0][:160])


def _memory_case(bench: Bench, settings: Any, batch: int, length: int) -> dict[str, Any]:
    from opeddev_tui.models import loading
    from opeddev_tui.models import memory as estimating
    from opeddev_tui.models.losses import example_losses
    from opeddev_tui.models.token_rows import LeftPadCollator

    bench.free()
    model: Any = bench.model()
    shape = estimating.BatchShape(batch, length, min(128, length // 2))
    estimated = estimating.estimate(
        estimating.sizes_of(model), settings, sixteen_bit=bench.cuda, train=shape, holdout=shape, free=10**12
    )
    if settings.lora.enabled:
        model.requires_grad_(False)
        model = loading.with_adapters(model, settings.lora)
    if settings.training.activation_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    model.train()
    optimizer, inputs = adam(bench, model), bench.batch([length] * batch, 128)
    bench.free()
    for _ in range(2):
        optimize(bench, model, optimizer, inputs, "bf16" if bench.cuda else "fp32")
    training, reserved = bench.peak(), torch.cuda.max_memory_reserved() / GIB if bench.cuda else 0.0
    bench.free()
    with cast("bf16" if bench.cuda else "fp32", bench.device):
        example_losses(model, bench.rows([length] * batch, 128), LeftPadCollator(0), batch_size=batch)
    guess = (estimated.weights + estimated.gradients + estimated.optimizer + estimated.activations) * 1.1 / GIB
    scoring = (estimated.weights + estimated.optimizer + estimated.evaluation) * 1.1 / GIB
    return {
        "estimated": guess,
        "allocated": training,
        "reserved": reserved,
        "ratio": guess / training if training else 0.0,
        "scoring_estimated": scoring,
        "scoring_allocated": bench.peak(),
    }


def head(bench: Bench) -> None:
    """Time optimizer steps with the head on the completion only and with the head on every column."""
    sizes = ((2, 96, 24),) if bench.tiny else ((4, 512, 64), (8, 1024, 128), (8, 512, 256))
    model = bench.model().train()
    for batch, length, completion in sizes:
        for only in (True, False):
            bench.free()
            optimizer = adam(bench, model)
            inputs = bench.batch([length] * batch, completion, completion_only=only)
            seconds = []
            for _ in range(8):
                bench.wait()
                began = time.perf_counter()
                optimize(bench, model, optimizer, inputs, "bf16")
                bench.wait()
                seconds.append(time.perf_counter() - began)
            middle = sorted(seconds[2:])[3]
            name = f"batch {batch} × {length}, completion {completion}, head on {'it' if only else 'every column'}"
            bench.tell(
                "head",
                name,
                tokens_per_second=batch * length / middle,
                milliseconds=middle * 1000,
                peak_gib=bench.peak(),
            )
            del optimizer, inputs


def speed(bench: Bench) -> None:
    """Compare tokens per second with the plain Trainer's, each in a process of its own."""
    sizes = {"layers": 28, "batch": 8, "length": 512, "completion": 64, "steps": 14, "rounds": 1}
    if bench.tiny:
        sizes = {"layers": 1, "batch": 2, "length": 48, "completion": 16, "steps": 3, "rounds": 1}
    words = [word for name, size in sizes.items() for word in (f"--{name}", str(size))]
    command = [sys.executable, str(HERE / "training.py"), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for number, line in enumerate(done.stdout.splitlines() or [done.stderr[-1500:]]):
        bench.tell("speed", str(number), says=line)


def features(bench: Bench) -> None:
    """Compare features in 16 bit with those in float32, and time them."""
    from opeddev_tui.grading.features import read_rows
    from opeddev_tui.grading.spans import GradeRow

    model, found = bench.model().eval(), {}
    count, length = (8, 96) if bench.tiny else (256, 1024)
    lengths = [length - number % 16 * (length // 40) for number in range(count)]
    rows = [GradeRow(row.prompt, row.completion, (4, len(row.prompt) - 4)) for row in bench.rows(lengths)]
    read_rows(model, rows[:2], pad_id=0, batch_size=2)
    for name in precisions(bench):
        bench.free()
        began = time.perf_counter()
        with cast(name, bench.device):
            found[name] = read_rows(model, rows, pad_id=0, batch_size=16).states
        seconds = time.perf_counter() - began
        apart = float(abs(found[name] - found["fp32"]).max() / abs(found["fp32"]).max())
        bench.tell("features", name, rows_per_second=count / seconds, largest_apart=apart, peak_gib=bench.peak())


LIGHT: dict[str, Callable[[Bench], None]] = {
    "readings": readings,
    "padding": padding,
    "precision": precision,
    "memory": memory,
    "head": head,
    "features": features,
    "speed": speed,
}


def parse(names: list[str]) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--parts", nargs="+", choices=names, default=names)
    parser.add_argument("--shape", choices=("tiny", "0.6b"), default="0.6b")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--real", type=Path, help="folder of a real model, for the part race")
    return parser.parse_args()


def main() -> int:
    """Run the parts; exit 1 if one failed."""
    import gpu_kernels
    import gpu_ranks
    import gpu_runs
    import gpu_texts

    parts = LIGHT | gpu_texts.PARTS | gpu_kernels.PARTS | gpu_runs.PARTS | gpu_ranks.PARTS
    bench, failed = Bench(parse(list(parts))), 0
    for name in bench.options.parts:
        began = time.perf_counter()
        try:
            parts[name](bench)
        except Exception:  # noqa: BLE001 - reported, and the other parts go on
            failed += 1
            bench.tell(name, "failed", traceback=traceback.format_exc()[-2500:])
        bench.free()
        bench.tell("seconds", name, seconds=time.perf_counter() - began)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
