"""Made-up rows for tests of the grader: features with a known signal, grades on any scale, kinds, groups."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from opeddev_tui.config.settings import Grading
from opeddev_tui.grading.head import Labels, labels_of
from opeddev_tui.grading.scale import Scale

FIVE = Scale.of(Grading())
KINDS = ("html", "css", "js")


def graded_features(
    count: int, *, seed: int = 0, size: int = 5, signal: float = 1.5, width: int = 30, kinds: bool = True
) -> tuple[NDArray[np.float32], Labels]:
    """Return features [count, width] and labels; the grade follows a hidden quality that the features show in noise.

    A third of the signal lies in a direction of the row's kind.
    """
    draw = np.random.default_rng(seed)
    directions = np.random.default_rng(99).standard_normal((4, width)) / np.sqrt(width)
    quality = draw.standard_normal(count)
    kind = draw.integers(0, 3, count)
    shown = directions[0] + (0.5 * directions[1 + kind] if kinds else 0.0)
    features = signal * quality[:, None] * shown * np.sqrt(width) / 2 + draw.standard_normal((count, width))
    heard = quality + 0.3 * draw.standard_normal(count)
    cuts = np.quantile(np.random.default_rng(5).standard_normal(20_000) * 1.04, np.arange(1, size) / size)
    grades = np.searchsorted(cuts, heard).astype(np.int64)
    names = [KINDS[place] for place in kind] if kinds else []
    return features.astype(np.float32), labels_of(grades, names)


def grades_of_two(
    draw: np.random.Generator, count: int, *, skill: float, other: float, size: int = 5
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return (reference, grades of one grader, grades of another) with the given correlations to a hidden quality."""
    quality, one, two = draw.standard_normal((3, count))
    cuts = (-0.8, -0.2, 0.4, 1.1)[: size - 1]

    def graded(values: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.searchsorted(cuts, values).astype(np.int64)

    first = skill * quality + np.sqrt(1 - skill**2) * one
    second = other * quality + np.sqrt(1 - other**2) * two
    return graded(quality), graded(first), graded(second)


def share(hits: Sequence[bool]) -> float:
    """Return the share of true ones."""
    return float(np.mean(hits))
