"""Time ``check`` on 500 rows of about 1,000 tokens, beyond what the imports take.

    python benchmarks/check.py TOKENIZER [--rows 500] [--tokens 1000]

TOKENIZER is a folder with tokenizer.json, such as that of Qwen3. A tiny random model is made beside a copy of it.
Three runs are timed after the imports; each includes loading the tokenizer.
"""

import argparse
import contextlib
import io
import json
import random
import shutil
import tempfile
import time
from pathlib import Path

from opeddev_tui import cli


def submission(draw: random.Random, lines: int) -> str:
    """Return ``lines`` lines of HTML and script, each of about 20 tokens."""
    words = ("button", "menu", "card", "list", "price", "user", "total", "items", "color", "width", "label", "form")
    made = []
    for number in range(lines):
        one, two = draw.sample(words, 2)
        indent = "  " * draw.randint(0, 6)
        made.append(f'{indent}<div class="{one}-{number}" id="{two}{draw.randint(0, 9999)}">{one} {two}</div>')
    return "\n".join(made)


def make_workspace(root: Path, tokenizer: Path, rows: int, tokens: int) -> int:
    """Write a workspace of ``rows`` training rows; return the median of their tokens."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen3Config

    model = root / "model"
    shutil.copytree(tokenizer, model)
    loaded = AutoTokenizer.from_pretrained(model)
    # check reads the headers of the weights, too
    config = Qwen3Config(
        vocab_size=len(loaded) + 64,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(model)
    draw = random.Random(0)
    lines = max(1, tokens // 24)
    for name, count in (("processed_webdev_coding/train", rows), ("holdout_webdev_coding/validation", 50)):
        path = root / "datasets" / f"{name}.jsonl"
        path.parent.mkdir(parents=True)
        with path.open("w") as file:
            for number in range(count):
                row = {
                    "id": f"{name} {number}",
                    "task": f"Make page {number} of {name}.",
                    "submission": submission(draw, lines),
                    "rubric": "One point off for each defect.",
                    "grade": draw.randint(1, 5),
                    "feedback": "It works.",
                }
                file.write(json.dumps(row) + "\n")
    (root / "config.toml").write_text(f'[model]\nname = "{model}"\n[data]\nmax_length = {4 * tokens}\n')
    lengths = sorted(len(loaded(submission(draw, lines))["input_ids"]) for _ in range(20))
    return lengths[len(lengths) // 2]


def main() -> None:
    """Make the rows, import everything once, time ``check``."""
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--tokens", type=int, default=1000)
    options = parser.parse_args()
    began = time.perf_counter()
    from transformers import AutoConfig, AutoTokenizer  # noqa: F401

    print(f"imports: {time.perf_counter() - began:.1f} s")
    with tempfile.TemporaryDirectory() as folder:
        median = make_workspace(Path(folder), options.tokenizer, options.rows, options.tokens)
        print(f"{options.rows} rows, submissions of {median} tokens")
        for _ in range(3):
            output = io.StringIO()
            began = time.perf_counter()
            with contextlib.redirect_stdout(output):
                code = cli.main(["check", "-w", folder])
            print(f"check: {time.perf_counter() - began:.2f} s, exit code {code}")
        print(output.getvalue().strip().splitlines()[-1])


if __name__ == "__main__":
    main()
