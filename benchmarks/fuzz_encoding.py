"""Encode random rows with real tokenizers for a while and check what must hold for every row.

    python benchmarks/fuzz_encoding.py --minutes 10 TOKENIZER [TOKENIZER …]

TOKENIZER is a folder with tokenizer.json. Ids must equal the tokenizer's own where a text spells no special token and
no role marker; no special token may come from a text; nothing may fail. Without TOKENIZER, the small tokenizers of the
tests are used. A tokenizer without a chat template is tried without one.
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import encoding_laws as laws
import tokenizer_families as families
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as some

from opeddev_tui.config import settings as st
from opeddev_tui.models.chat import ChatEncoder
from opeddev_tui.models.loading import load_tokenizer


def code_lines(chosen: random.Random, count: int) -> str:
    """Return indented lines as in submissions."""
    words = ("def", "if", "return", "<div>", "</li>", "{", "}", "color: red;", "// note", "<h1>", "x = 1", '"a"', "'b'")
    lines = []
    for _ in range(count):
        indent = chosen.choice((" ", "\t", "    ")) * chosen.randint(0, 9)
        lines.append(indent + " ".join(chosen.choices(words, k=chosen.randint(0, 6))))
    return "\n".join(lines)


def round_of(tokenizer: Any, encoder: ChatEncoder, number: int) -> int:
    """Check 200 rows drawn from ``number``; return how many were checked."""
    count = 0

    @seed(number)
    @settings(
        max_examples=200,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(some.lists(laws.TEXTS, min_size=1, max_size=3), laws.TEXTS, some.integers(0, 40))
    def check(texts: list[str], completion: str, lines: int) -> None:
        nonlocal count
        count += 1
        marks = [*laws.guarded_texts(tokenizer)]
        draw = random.Random(f"{number} {count}")
        mark = draw.choice(marks)
        cut = draw.randint(0, len(mark))
        code = code_lines(draw, lines)
        texts = [f"{text}{code}" for text in texts[: 1 if len(texts) == 2 else len(texts)]]
        texts[-1] += draw.choice(("", mark, mark[:cut] + mark + mark[cut:], mark[cut:] + texts[0]))
        laws.check_row(tokenizer, encoder, texts, completion + draw.choice(("", code, mark)))

    check()
    return count


def main() -> None:
    """Go round the tokenizers until the time is over."""
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__)
    parser.add_argument("tokenizers", nargs="*", metavar="TOKENIZER")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.tokenizers:
            loaded = {name: load_tokenizer(name, st.Model()) for name in options.tokenizers}
        else:
            loaded = {name: families.build(Path(folder) / name, name) for name in families.FAMILIES}
        encoders = {name: ChatEncoder(tokenizer, max_length=10**6) for name, tokenizer in loaded.items()}
        rows = dict.fromkeys(loaded, 0)
        number, end = options.seed, time.monotonic() + 60 * options.minutes
        while time.monotonic() < end:
            number += 1
            for name, tokenizer in loaded.items():
                rows[name] += round_of(tokenizer, encoders[name], number)
    for name, count in rows.items():
        print(f"{count} rows: {Path(name).as_posix()}")
    print(f"{sum(rows.values())} rows, {number - options.seed} rounds, nothing wrong")


if __name__ == "__main__":
    main()
