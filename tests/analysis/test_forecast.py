"""The forecast: right on a clean law, honest about doubt, silent where the data say nothing."""

import numpy as np
import pytest
from msgspec.structs import replace

from opeddev_tui.analysis.forecast import Forecast, forecast
from opeddev_tui.analysis.learning_curve import StepPoint


def law(sizes: list[int], seed: int, *, exponent: float = -0.3, training_noise: float = 0.01) -> list[StepPoint]:
    """Return steps on ``4 * rows ** exponent``: examples of unlike difficulty, and noise of every training."""
    generator = np.random.default_rng(seed)
    difficulty, tokens = generator.lognormal(0, 0.5, 50), generator.integers(10, 40, 50)
    series = []
    for step, rows in enumerate(sizes):
        level = 4.0 * rows**exponent * np.exp(generator.normal(0, training_noise))
        sums = difficulty * level * generator.lognormal(0, 0.1, 50) * tokens
        series.append(
            StepPoint(
                step=step, batch="b", rows=rows, epoch=3, loss=float(sums.sum() / tokens.sum()), interval=(0, 0),
                sums=tuple(map(float, sums)), tokens=tuple(map(int, tokens)),
            )
        )  # fmt: skip
    return series


def test_clean_law_is_found() -> None:
    """Without noise the exponent and the next loss are those of the law."""
    tokens = (10,) * 4
    series = [
        StepPoint(
            step=i, batch="b", rows=rows, epoch=1, loss=2 * rows**-0.5, interval=(0, 0),
            sums=tuple(2 * rows**-0.5 * 10 for _ in tokens), tokens=tokens,
        )
        for i, rows in enumerate((100, 200, 300))
    ]  # fmt: skip
    found = forecast(series)
    assert found is not None
    assert found.exponent == pytest.approx(-0.5)
    assert found.scale == pytest.approx(2)
    assert found.loss == pytest.approx(0.1)
    assert found.interval == pytest.approx((0.1, 0.1))
    assert (found.rows, found.added, found.points) == (400, 100, 3)


@pytest.mark.parametrize("steps", [3, 5])
def test_interval_covers(steps: int) -> None:
    """The 80% interval holds the loss expected on such hold-outs in about 80% of the cases, not far from it."""
    sizes = [100 * number for number in range(1, steps + 1)]
    expected = 4.0 * (100 * (steps + 1)) ** -0.3 * np.exp(0.5**2 / 2)
    held = spoken = 0
    for seed in range(40):
        found = forecast(law(sizes, seed, training_noise=0.02))
        if found is not None:
            spoken += 1
            held += found.interval[0] <= expected <= found.interval[1]
    assert spoken >= 34
    assert 0.7 <= held / spoken <= 0.97


def test_silent_without_a_trend() -> None:
    """Losses that do not fall with the size are rarely given a forecast: in about one case of ten at most."""
    spoken = [forecast(law([100, 200, 300], seed, exponent=0.0, training_noise=0.02)) for seed in range(40)]
    assert sum(item is not None for item in spoken) <= 5


def test_silent_with_too_little() -> None:
    """Two sizes, or hold-outs of unlike length, support nothing."""
    series = law([100, 200, 300], 1)
    assert forecast(series[:2]) is None
    assert forecast([]) is None
    assert forecast([*series[:2], replace(series[2], sums=series[2].sums[:9], tokens=series[2].tokens[:9])]) is None
    assert forecast([*series[:2], replace(series[2], loss=float("nan"))]) is None


def test_words() -> None:
    """The sentence names both losses, the interval and what it is made from."""
    found = Forecast(
        rows=500, added=100, now=0.82, loss=0.79, interval=(0.74, 0.83), exponent=-0.2, scale=2.8, points=4
    )
    assert found.words == (
        "The next +100 rows may also bring nothing; if not, they bring the hold-out loss from 0.820 to 0.790 (80% "
        "interval 0.740 to 0.830; power law through 4 steps)."
    )
    # however short the line is cut, the promise is not read without the reservation
    assert found.words.index("bring nothing") < found.words.index("0.790")
    sure = replace(found, interval=(0.74, 0.81))
    assert sure.words.startswith("The next +100 rows should bring the hold-out loss from 0.820 to 0.790 (80% interval")
    assert "nothing" not in sure.words


def test_repeatable() -> None:
    """Equal data give equal words."""
    series = law([100, 200, 300], 3)
    assert forecast(series) == forecast(series)
