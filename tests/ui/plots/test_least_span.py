"""No chart draws as a trend what its figures are too short to tell: rounding noise stays a flat line."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from opeddev_tui.ui.plots.canvas import Series, render
from opeddev_tui.ui.plots.charts import CHARTS
from opeddev_tui.ui.plots.downsample import at_least, limits
from opeddev_tui.ui.plots.overlay import MEASURES

# a learning rate is set, not measured: each of its digits is meant
EXACT = {"rate"}
EVERY = [(name, item.write, item.least) for name, item in (*MEASURES.items(), *CHARTS.items()) if name not in EXACT]


@pytest.mark.parametrize(("name", "write", "least"), EVERY)
@pytest.mark.parametrize("value", [0.0, 0.5, 66.0])
def test_values_that_are_written_alike_take_a_tenth_of_the_axis_at_most(
    name: str, write: object, least: float, value: float
) -> None:
    assert callable(write)
    digits = re.search(r"\d+(?:\.(\d+))?", write(0.123456))
    assert digits is not None, name
    unit = 10.0 ** -len(digits[1] or "") / (100 if "%" in write(1.0) and write(1.0) == "100%" else 1)
    low, high = at_least(limits([np.array([value, value + 0.4 * unit])], 0.04), least)
    assert high - low >= 9.99 * unit, name
    assert low <= value < value + 0.4 * unit <= high


@pytest.mark.parametrize("least", [0.0, 0.1, 10.0])
@pytest.mark.parametrize("ends", [(0.0, 0.004), (-0.004, 0.0), (0.2, 0.9), (-0.5, 0.5), (60.0, 61.0)])
def test_an_axis_spans_at_least_what_it_must_around_all_values(ends: tuple[float, float], least: float) -> None:
    low, high = at_least(ends, least)
    assert low <= ends[0]
    assert high >= ends[1]
    assert math.isclose(high - low, max(least, ends[1] - ends[0]))
    # shares, losses and loads are not below nothing
    assert ends[0] < 0 or low >= -0.05 * max(least, ends[1] - ends[0])


def test_a_kappa_of_nothing_is_a_flat_line() -> None:
    xs, ys = [1.0, 2.0, 3.0], [0.004, 0.002, 0.0]
    lines = [
        render([Series("a", xs, ys, "#ffffff", marker="a")], 60, 16, y_least=least).plain.splitlines()
        for least in (0.0, MEASURES["kappa"].least)
    ]
    noise, flat = ([place for place, line in enumerate(found) if "a" in line] for found in lines)
    assert noise[-1] - noise[0] > 8
    assert flat[-1] - flat[0] <= 1
