"""The early-stop rule as a table, and its statistics by simulation."""

import itertools
import math
import random

import pytest

from opeddev_tui.analysis.early_stopping import Limits, judge, paired_difference
from opeddev_tui.runs.events import HoldoutEvaluated

LIMITS = Limits(planned_epochs=3, max_extra_epochs=2)


def evaluated(epoch: int, loss: float, spread: float = 0.0) -> HoldoutEvaluated:
    """An evaluation of 40 examples of 10 tokens whose mean loss is ``loss``."""
    sums = tuple(10 * (loss + (spread if index % 2 else -spread)) for index in range(40))
    return HoldoutEvaluated(epoch=epoch, loss=loss, sums=sums, tokens=(10,) * 40)


def history(*losses: float) -> dict[int, HoldoutEvaluated]:
    return {epoch: evaluated(epoch, loss) for epoch, loss in enumerate(losses)}


@pytest.mark.parametrize(
    ("losses", "scores", "choice", "limit"),
    [
        ([3, 2], {}, "continue", False),
        ([3, 4], {}, "continue", False),  # planned epochs are trained whatever they bring
        ([3, 2, 2.5], {}, "continue", False),
        ([3, 2, 1.5, 1.4], {}, "continue", False),
        ([3, 2, 1.5, 1.5], {}, "stop", False),  # a tie is no improvement
        ([3, 2, 1.5, 1.6], {}, "stop", False),
        ([3, 2, 1.5, 1.6], {3: 0.6}, "continue", False),  # either cause counts
        ([3, 2, 1.5, 1.6], {3: 0.5}, "stop", False),  # as good as before the step is not better
        ([3, 2, 1.5, 1.6], {2: 0.7, 3: 0.7}, "stop", False),
        ([3, 2, 1.5, 1.6], {2: 0.7, 3: 0.8}, "continue", False),
        ([3, 2, 1.5, 1.6], {2: 0.9}, "stop", False),  # only what was rated at this epoch
        ([3, 2, 1.5, 1.4, 1.3], {}, "continue", False),
        ([3, 2, 1.5, 1.4, 1.45], {}, "stop", False),  # against the best, not the one before
        ([3, 2, 1.3, 1.5, 1.4], {}, "stop", False),
        ([3, 2, 1.5, 1.4, 1.3, 1.2], {}, "stop", True),
        ([3, 2, 1.5, 1.4, 1.3, 1.2], {5: 0.9}, "stop", True),
        ([1, 2, 2, 2], {}, "stop", False),  # before the step counts as a best
        ([3, 2, math.nan, 1.9], {}, "continue", False),
        ([3, 2, 1.5, math.nan], {}, "stop", False),
        ([math.nan, math.nan, math.nan, 2], {}, "stop", False),
    ],
)
def test_the_rule(losses: list[float], scores: dict[int, float], choice: str, limit: bool) -> None:
    verdict = judge(len(losses) - 1, history(*losses), LIMITS, scores)
    assert (verdict.choice, verdict.limit_reached) == (choice, limit)
    assert verdict.reasons


def test_every_combination_around_the_limits_is_decided_by_the_definition() -> None:
    for planned, extra, epoch in itertools.product((1, 2, 3), (0, 1, 2), range(1, 6)):
        if epoch > planned + extra:
            continue
        for better, human in itertools.product((True, False), repeat=2):
            losses = [3.0] * epoch + [2.0 if better else 3.5]
            verdict = judge(epoch, history(*losses), Limits(planned, extra), {epoch: 0.9} if human else {})
            expected = epoch < planned or (epoch < planned + extra and (better or human))
            assert (verdict.choice == "continue") == expected, (planned, extra, epoch, better, human)
            assert verdict.limit_reached == (epoch >= planned + extra)


def test_min_delta_is_said() -> None:
    limits = Limits(3, 2, min_delta=0.2)
    assert judge(3, history(3, 2, 1.5, 1.4), limits).choice == "stop"
    assert any("min_delta" in reason for reason in judge(3, history(3, 2, 1.5, 1.4), limits).reasons)
    assert judge(3, history(3, 2, 1.5, 1.2), limits).choice == "continue"


def test_significant_mode_asks_the_interval() -> None:
    noisy = {0: evaluated(0, 3), 1: evaluated(1, 2.1), 2: evaluated(2, 2, spread=1), 3: evaluated(3, 1.99)}
    assert judge(3, noisy, Limits(3, 2)).choice == "continue"
    verdict = judge(3, noisy, Limits(3, 2, significant=True))
    assert verdict.choice == "stop"
    clear = {**noisy, 2: evaluated(2, 2.0)}
    assert judge(3, clear, Limits(3, 2, significant=True)).choice == "continue"


def test_words_say_direction_size_and_noise() -> None:
    falls = judge(3, history(3, 2, 1.5, 1.4), LIMITS).reasons[0]
    assert "better by 0.1000" in falls
    assert "epoch 2, the best so far" in falls
    rises = judge(3, history(3, 2, 1.5, 1.6), LIMITS).reasons[0]
    assert "worse by 0.1000" in rises
    assert "interval 0.1000 to 0.1000" in rises


def test_the_interval_covers_the_true_difference() -> None:
    """95% intervals hold the true value in 95 ± 2% of simulated hold-outs (token counts vary, noise is paired)."""
    generator = random.Random(1)
    held, trials = 0, 1200
    for trial in range(trials):
        tokens = tuple(generator.randint(10, 40) for _ in range(100))
        before = [count * (2 + generator.gauss(0, 0.5)) for count in tokens]
        # the later model gains 0.02 a token on average, with noise of its own on every example
        after = [value - count * generator.gauss(0.02, 0.1) for value, count in zip(before, tokens, strict=True)]
        one = HoldoutEvaluated(epoch=0, loss=0, sums=tuple(before), tokens=tokens)
        two = HoldoutEvaluated(epoch=1, loss=0, sums=tuple(after), tokens=tokens)
        low, high = paired_difference(one, two, samples=400, seed=trial).interval
        held += low <= 0.02 <= high
    assert held / trials == pytest.approx(0.95, abs=0.02)


def test_difference_counts_and_names_the_worst() -> None:
    one = HoldoutEvaluated(epoch=0, loss=0, sums=(10, 10, 10, 10), tokens=(10, 10, 10, 1))
    two = HoldoutEvaluated(epoch=1, loss=0, sums=(5, 12, 10, 11), tokens=(10, 10, 10, 1))
    difference = paired_difference(one, two)
    assert (difference.better, difference.worse) == (1, 2)
    assert difference.worst == (3, 1)
    assert difference.mean == pytest.approx(2 / 31)
