"""Intervals of recorded figures: Wilson's for shares, the percentile bootstrap over examples for everything else.

numpy is imported when numbers are asked for, so that a screen can know this module and still start fast.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

CONFIDENCE = 0.95
# resamples are drawn in parts, which keeps the memory small
_PARTS = 10


def wilson(successes: float, trials: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the score interval of a share (Wilson 1927); (0, 1) where nothing was tried.

    It holds at shares of 0 and 1 and for few trials.
    """
    if trials <= 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / trials
    middle = share + z * z / (2 * trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def resampled_sums(values: Sequence[Sequence[float]] | Numbers, samples: int, seed: int = 0) -> Numbers:
    """Return the sums of ``values`` over resamples of the examples: the bootstrap (Efron and Tibshirani 1993).

    ``values`` has shape [quantities, examples]; all quantities see the same resample. The result has shape
    [quantities, samples]; ``samples`` is rounded down to a multiple of ten. A seed always gives the same resamples.
    """
    import numpy as np

    rows = np.asarray(values, dtype=float)
    examples = rows.shape[1]
    generator = np.random.default_rng(seed)
    chances = np.full(examples, 1 / examples)
    # a resample is how often each example was drawn
    parts = [rows @ generator.multinomial(examples, chances, size=samples // _PARTS).T for _ in range(_PARTS)]
    result: Numbers = np.concatenate(parts, axis=1)
    return result


def percentile_interval(drawn: Numbers, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the interval that holds the middle share ``confidence`` of ``drawn``."""
    import numpy as np

    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
