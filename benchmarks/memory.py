"""Memory: the estimate before a run against what the process really grew by, on this machine's processor.

Each case trains one epoch of a random Qwen3-shaped model with the real engine (hold-out, grades, probe prompts and
all) in a process of its own, and compares the journal's estimate with the growth of the peak resident memory.

    python benchmarks/memory.py
    python benchmarks/memory.py --only "LoRA, eval 16"
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

VOCABULARY = 50_000


class Case(msgspec.Struct, frozen=True):
    """One shape of model and training."""

    name: str
    lora: bool = False
    hidden: int = 256
    layers: int = 4
    batch: int = 4
    eval_batch: int = 2
    length: int = 512
    completion: int = 96
    checkpointing: bool = False


CASES = (
    Case("full, eval 2"),
    Case("full, eval 16", eval_batch=16),
    Case("LoRA, eval 2", lora=True),
    Case("LoRA, eval 16", lora=True, eval_batch=16),
    Case("full, 12 layers of 512", hidden=512, layers=12),
    Case("LoRA, 12 layers of 512", lora=True, hidden=512, layers=12),
    Case("full, recomputing, 12 layers", layers=12, checkpointing=True),
    Case("LoRA, short rows, eval 32", lora=True, batch=2, eval_batch=32, length=160, completion=30),
)


def make_workspace(root: Path, case: Case) -> None:
    """Make a workspace whose rows are all ``case.length`` tokens long."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from opeddev_tui.demo.model import build_tiny_model

    draw = random.Random(1)
    words = [f"w{number}" for number in range(300)]

    def row(name: str, number: int) -> dict[str, object]:
        return {
            "id": f"{name}-{number}",
            "kind": "html",
            "task": " ".join(draw.choices(words, k=case.length)),
            "submission": f"{name} {number} " + " ".join(draw.choices(words, k=case.length)),
            "rubric": "It works.",
            "grade": draw.randint(1, 5),
            "feedback": " ".join(draw.choices(words, k=case.completion)),
        }

    # as few rows as reach the peak: a second optimizer step, one full batch of the hold-out
    sets = {"processed_webdev_coding/train": 2 * case.batch, "holdout_webdev_coding/validation": case.eval_batch}
    for folder, count in sets.items():
        path = root / f"datasets/{folder}.jsonl"
        path.parent.mkdir(parents=True)
        path.write_text("".join(json.dumps(row(folder, number)) + "\n" for number in range(count)))
    model = root / "model"
    build_tiny_model(model, [" ".join(words)] * 3 + ["Grade: 1\nFeedback: "], hidden_size=32, num_hidden_layers=1)
    Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=VOCABULARY,
            hidden_size=case.hidden,
            intermediate_size=3 * case.hidden,
            num_hidden_layers=case.layers,
            num_attention_heads=case.hidden // 64,
            num_key_value_heads=max(1, case.hidden // 128),
            head_dim=64,
            tie_word_embeddings=True,
        )
    ).save_pretrained(model)
    (root / "config.toml").write_text(tomli_w.dumps(settings_of(case)))


def settings_of(case: Case) -> dict[str, Any]:
    """Return the settings of ``case``."""
    return {
        "paths": {"model_store": "store"},
        "model": {"name": "model"},
        "data": {"max_length": case.length},
        "training": {
            "per_device_train_batch_size": case.batch,
            "per_device_eval_batch_size": case.eval_batch,
            "num_train_epochs": 1,
            "activation_checkpointing": case.checkpointing,
        },
        "lora": {"enabled": case.lora},
        "early_stop": {"policy": "rule", "max_extra_epochs": 0},
        "generation": {"num_probes": 2, "max_new_tokens": 8},
        "notify": {"terminal": False},
    }


def resident(name: str) -> int:
    """Return VmRSS or VmHWM of this process in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def one_case(root: Path) -> dict[str, Any]:
    """Train the workspace at ``root`` and return the estimate and the growth of the peak, in bytes."""
    import peft  # noqa: F401 - all that a training loads, so that the growth is the model's and not the libraries'
    import sklearn.feature_extraction.text
    import sklearn.linear_model  # noqa: F401
    import transformers.models.qwen3.modeling_qwen3  # noqa: F401

    from opeddev_tui.config import loading
    from opeddev_tui.runs import events as ev
    from opeddev_tui.runs.control import Control, StepRequest
    from opeddev_tui.training.steps import train_steps

    found: dict[str, Any] = {"phases": {}}
    phase = ""

    class Watch:
        """Notes the estimate, and the peak at the end of each phase."""

        def emit(self, event: ev.AnyEvent) -> None:
            nonlocal phase
            if isinstance(event, ev.MemoryEstimated):
                found["estimate"] = msgspec.to_builtins(event)
            if isinstance(event, ev.PhaseChanged | ev.RunFinished):
                peak = resident("VmHWM") - before
                found["phases"][phase] = max(found["phases"].get(phase, 0), peak)
                # 5 begins a new peak
                Path("/proc/self/clear_refs").write_text("5")
                phase = event.phase if isinstance(event, ev.PhaseChanged) else ""

    before = resident("VmRSS")
    train_steps(root, loading.load(root, environment={}), StepRequest(), sink=Watch(), control=Control())
    found["measured"] = max(found["phases"].values())
    return found


def main() -> None:
    """Run every case and print a table in Markdown."""
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--phases", action="store_true")
    parser.add_argument("--case", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(one_case(options.case)))
        return
    print("| case | estimated | measured | estimated : measured | peak |\n| --- | ---: | ---: | ---: | --- |")
    for case in CASES:
        if options.only not in case.name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            make_workspace(Path(folder), case)
            command = [sys.executable, __file__, "--case", folder]
            done = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE)
        found = json.loads(done.stdout.splitlines()[-1])
        estimated, measured = found["estimate"]["total"], found["measured"]
        print(
            f"| {case.name} | {estimated / 1e9:.2f} GB | {measured / 1e9:.2f} GB | {estimated / measured:.2f} "
            f"| {found['estimate'].get('peak', '')} |",
            flush=True,
        )
        if options.phases:
            print({name: f"{size / 1e9:.2f}" for name, size in found["phases"].items()}, found["estimate"])


if __name__ == "__main__":
    main()
