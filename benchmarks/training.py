"""Training throughput: the plain Hugging Face Trainer with its default collator against ours.

Same Qwen3-shaped model (hidden 1024, vocabulary 151,936), same rows, same seed. Each side runs in a process of its
own, one after the other and in turn; the figure is the ratio of tokens a second, and the losses must agree.

    python benchmarks/training.py --layers 4 --steps 6 --rounds 3
"""

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

VOCABULARY = 151_936
PAD = 0


def make_rows(count: int, length: int, completion: int) -> list[tuple[list[int], list[int]]]:
    """Return (prompt ids, completion ids) of rows of up to ``length`` tokens, the same in every process."""
    generator = random.Random(1)
    rows = []
    for _ in range(count):
        prompt = length - completion - generator.randrange(length // 8)
        draw = [generator.randrange(5, VOCABULARY) for _ in range(prompt + completion)]
        rows.append((draw[:prompt], draw[prompt:]))
    return rows


def make_model(layers: int) -> Any:
    """Return a Qwen3 of ``layers`` layers with random weights, made on the GPU where there is one, which is faster."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=1024,
        intermediate_size=3072,
        num_hidden_layers=layers,
        num_attention_heads=16,
        num_key_value_heads=8,
        head_dim=128,
        tie_word_embeddings=True,
        pad_token_id=PAD,
    )
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        return Qwen3ForCausalLM(config)


def one_side(options: argparse.Namespace) -> dict[str, Any]:
    """Train ``options.steps`` optimizer steps and return losses, seconds and memory."""
    import torch
    from transformers import PrinterCallback, Trainer, TrainerCallback

    from opeddev_tui.models.token_rows import LeftPadCollator, TokenRow
    from opeddev_tui.training.sampler import SimilarLengthSampler

    torch.set_num_threads(options.threads)
    rows = make_rows(options.steps * options.batch, options.length, options.completion)
    ours = options.side == "ours"
    collate: Any = LeftPadCollator(PAD) if ours else plain_collate

    class Clock(TrainerCallback):  # type: ignore[misc]
        """Takes the time of every optimizer step, and the losses."""

        def __init__(self) -> None:
            self.began, self.seconds, self.losses = 0.0, list[float](), list[float]()

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.began = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.seconds.append(time.perf_counter() - self.began)

        def on_log(self, *_: Any, logs: dict[str, float] | None = None, **__: Any) -> None:
            if logs and "loss" in logs:
                self.losses.append(logs["loss"])

    class InOrder(Trainer):  # type: ignore[misc]
        """Both sides see the rows in one order, ours: the comparison is of the computation alone."""

        def _get_train_sampler(self, *_: Any) -> Any:
            lengths = [len(prompt) + len(completion) for prompt, completion in rows]
            return SimilarLengthSampler(lengths, options.batch, 1, lambda: 0)

    dataset: list[Any] = [
        TokenRow(index, prompt, completion) if ours else {"prompt": prompt, "completion": completion}
        for index, (prompt, completion) in enumerate(rows)
    ]
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        arguments = arguments_of(options, folder)
        trainer = InOrder(
            make_model(options.layers), arguments, train_dataset=dataset, data_collator=collate, callbacks=[clock]
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    tokens = sum(len(prompt) + len(completion) for prompt, completion in rows)
    # the first step pays for allocations on both sides
    speed = tokens / len(clock.seconds) / statistics.median(clock.seconds[1:])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if torch.cuda.is_available():
        peak = torch.cuda.max_memory_allocated()
    return {"tokens_per_second": speed, "peak_bytes": peak, "losses": clock.losses}


def arguments_of(options: argparse.Namespace, folder: str) -> Any:
    """Return the TrainingArguments of both sides."""
    import torch
    from transformers import TrainingArguments

    return TrainingArguments(
        output_dir=folder,
        per_device_train_batch_size=options.batch,
        max_steps=options.steps,
        learning_rate=1e-4,
        lr_scheduler_type="constant",
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=1,
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        bf16=torch.cuda.is_available(),
    )


def plain_collate(rows: list[dict[str, list[int]]]) -> dict[str, Any]:
    """Pad on the right and let the model run its head on every column, as the default collators do."""
    import torch

    length = max(len(row["prompt"]) + len(row["completion"]) for row in rows)
    ids = torch.full((len(rows), length), PAD)
    labels = torch.full((len(rows), length), -100)
    mask = torch.zeros((len(rows), length), dtype=torch.long)
    for index, row in enumerate(rows):
        whole = row["prompt"] + row["completion"]
        ids[index, : len(whole)] = torch.tensor(whole)
        labels[index, len(row["prompt"]) : len(whole)] = torch.tensor(row["completion"])
        mask[index, : len(whole)] = 1
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def parse() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (
        ("layers", 4),
        ("steps", 5),
        ("batch", 2),
        ("length", 384),
        ("completion", 32),
        ("rounds", 3),
        ("threads", 1),
    ):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default {default}")
    parser.add_argument("--side", choices=("ours", "plain"), help=argparse.SUPPRESS)
    return parser.parse_args()


def in_process(side: str) -> dict[str, Any]:
    """Run one side in a process of its own."""
    command = [sys.executable, str(Path(__file__)), *sys.argv[1:], "--side", side]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> int:
    """Print the table; exit 1 when the losses differ by more than 1e-5 relative."""
    options = parse()
    if options.side:
        print(json.dumps(one_side(options)))
        return 0
    ratios, worst = [], 0.0
    for turn in range(options.rounds):
        plain, ours = in_process("plain"), in_process("ours")
        ratios.append(ours["tokens_per_second"] / plain["tokens_per_second"])
        pairs = zip(plain["losses"], ours["losses"], strict=True)
        worst = max(worst, *(abs(a - b) / abs(a) for a, b in pairs))
        print(
            f"round {turn + 1}: plain {plain['tokens_per_second']:7.0f} tokens/s {plain['peak_bytes'] / 2**30:5.2f} GiB"
            f"   ours {ours['tokens_per_second']:7.0f} tokens/s {ours['peak_bytes'] / 2**30:5.2f} GiB"
            f"   ratio {ratios[-1]:.2f}"
        )
    print(f"ratio ours : plain, median of {options.rounds}: {statistics.median(ratios):.2f}")
    print(f"largest relative difference of a loss: {worst:.1e}")
    return 0 if worst <= 1e-5 else 1


if __name__ == "__main__":
    sys.exit(main())
