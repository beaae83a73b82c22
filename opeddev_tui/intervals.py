"""Confidence intervals: Wilson's for shares, the percentile bootstrap over examples for all other figures.

numpy and statistics are imported on first use, so that the screen starts fast.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

CONFIDENCE = 0.95
# resamples are drawn in parts to keep memory small
_PARTS = 10


def wilson(successes: float, trials: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the score interval of the share successes / trials (Wilson 1927); (0, 1) without trials.

    Unlike the normal approximation it holds at shares of 0 and 1 and for few trials.
    """
    if trials <= 0:
        return 0.0, 1.0
    from statistics import NormalDist

    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / trials
    middle = share + z * z / (2 * trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def resampled_sums(values: Sequence[Sequence[float]] | Numbers, samples: int, seed: int = 0) -> Numbers:
    """Return the sums of ``values`` over bootstrap resamples of the examples (Efron and Tibshirani 1993).

    ``values`` has shape [quantities, examples]; all quantities share the resamples. The result has shape
    [quantities, samples], with ``samples`` rounded down to a multiple of ten. Equal seeds give equal resamples.
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
    """Return the quantiles of ``drawn`` between which its middle share ``confidence`` lies."""
    import numpy as np

    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
