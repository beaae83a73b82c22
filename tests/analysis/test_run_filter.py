"""Lines that choose runs: what passes, and what is said of a line that cannot be understood."""

from __future__ import annotations

import re

import pytest

from opeddev_tui.analysis.run_filter import Facts, names_of, parse
from opeddev_tui.errors import Problem

FIRST = Facts(
    {"learning_rate": 5e-5, "lora": True, "kappa": 0.6, "step": 2, "seed": 3, "model": "Qwen3", "exact": 0.5},
    "20260101 batch_100_01 Qwen3", "finished",
)  # fmt: skip
SECOND = Facts(
    {"learning_rate": 2e-4, "lora": False, "step": 1, "seed": 3, "model": "SmolLM"}, "20260102 base", "failed"
)
KNOWN = names_of([FIRST, SECOND])


@pytest.mark.parametrize(
    ("line", "passing"),
    [
        ("", (True, True)),
        ("lr<1e-4 lora !failed", (True, False)),
        ("qwk>0.5 step:2 seed=3", (True, False)),
        ("lr < 1e-4", (True, False)),
        ("LR>=2E-4", (False, True)),
        ("!lora", (False, True)),
        ("lora=no", (False, True)),
        ("lora!=yes", (False, True)),
        ("failed", (False, True)),
        ("base", (False, True)),
        ("!base seed=3", (True, False)),
        ("model:qwen", (True, False)),
        ("model=smollm", (False, True)),
        ("model!=smollm", (True, False)),
        ("exact=50%", (True, False)),
        ("lora | step=1", (True, True)),
        ("step!=2", (False, True)),
        ('"lr<3"', (False, False)),
        ('"2 base"', (False, True)),
        ("learning-rate<1", (True, True)),
        ("lr", (True, True)),
        ("qwk", (True, False)),
    ],
)
def test_a_line_lets_pass_what_it_names(line: str, passing: tuple[bool, bool]) -> None:
    chosen = parse(line, KNOWN)
    assert (chosen.passes(FIRST), chosen.passes(SECOND)) == passing


@pytest.mark.parametrize("line", ["qwk<0.9", "!qwk<0.9", "qwk!=0.9"])
def test_a_run_without_the_value_passes_no_comparison_of_it(line: str) -> None:
    assert not parse(line, KNOWN).passes(SECOND)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("lrr<3", "nothing here is called lrr. The nearest is lr"),
        ("lr<", "a value is missing after lr<"),
        ("lr<fast", "lr is a number, and fast is none"),
        ("step:two", "step is a number, and two is none"),
        ("model<3", "model is text, which < does not compare"),
        ("lora=perhaps", "lora is on or off"),
        ("lora>1", "lora is on or off"),
        ("<3", "<3 has no name before it"),
        ("!", "! has no name before it"),
        ('"two words', "a quote is not closed"),
        ("lora |", "one of them is empty"),
    ],
)
def test_a_line_that_cannot_be_understood_says_why(line: str, words: str) -> None:
    with pytest.raises(Problem, match=re.escape(words)):
        parse(line, KNOWN)
