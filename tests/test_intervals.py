"""Intervals hold what they promise: Wilson's as published, the bootstrap as often as it says."""

import random

import numpy as np
import pytest

from opeddev_tui.intervals import percentile_interval, resampled_sums, wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    # Wilson intervals as tabled (Newcombe 1998, table I, method 3)
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_intervals_are_the_published_ones(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


def test_the_interval_covers_the_true_share_about_as_often_as_it_says() -> None:
    draw = random.Random(1)
    hits = 0
    for _ in range(2000):
        wins = sum(draw.random() < 0.6 for _ in range(30))
        low, high = wilson(wins, 30)
        hits += low <= 0.6 <= high
    assert 0.93 < hits / 2000 < 0.97


def test_without_trials_any_share_is_possible() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def test_all_quantities_see_the_same_resample_and_a_seed_repeats_it() -> None:
    values = [[1.0, 2.0, 4.0, 8.0], [2.0, 4.0, 8.0, 16.0]]
    drawn = resampled_sums(values, 100, seed=3)
    assert drawn.shape == (2, 100)
    assert (drawn[1] == 2 * drawn[0]).all()
    assert (drawn == resampled_sums(np.array(values), 100, seed=3)).all()
    assert (drawn != resampled_sums(values, 100, seed=4)).any()
    # four draws of four examples: between four times the smallest and four times the largest
    assert drawn[0].min() >= 4.0
    assert drawn[0].max() <= 32.0


def test_the_bootstrap_covers_the_true_mean_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(5)
    hits = 0
    for trial in range(400):
        sample = generator.normal(1.0, 1.0, 60)
        low, high = percentile_interval(resampled_sums([list(sample)], 400, seed=trial)[0] / 60)
        hits += low <= 1.0 <= high
    assert 0.90 < hits / 400 < 0.98
