"""Forecast the hold-out loss with more data: a power law through the best losses of the steps. Pure functions.

The law is ``loss = a * rows ** b``. Three to five steps cannot tell a floor from the exponent, so no floor is fitted
and nothing is forecast beyond the next increment. The interval joins two uncertainties: which examples the hold-out
happens to hold (a bootstrap over them, the same draw for every step) and how far the steps lie off the law (residuals,
Student's t). It is meant for the loss on any hold-out of this kind (in simulations, 83 to 91 % of the 80 % intervals
held it), so it is wide for the loss on this one. There is no forecast if the direction is uncertain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from opeddev_tui.analysis.learning_curve import StepPoint, points, resampled_losses
from opeddev_tui.intervals import percentile_interval
from opeddev_tui.runs.state import RunState

if TYPE_CHECKING:
    from opeddev_tui.intervals import Numbers

CONFIDENCE = 0.8
_FEWEST_POINTS = 3
_SAMPLES = 4000
# an interval wider than this share of the loss is of no use
_WIDEST = 0.6


class Forecast(Struct, frozen=True):
    """The expected ``loss`` with ``added`` more rows, ``rows`` in all; ``exponent`` is b, negative if rows help."""

    rows: int
    added: int
    now: float
    loss: float
    interval: tuple[float, float]
    exponent: float
    points: int
    confidence: float = CONFIDENCE

    @property
    def words(self) -> str:
        """The forecast as a sentence."""
        digits = min(4, max(2, 1 + math.ceil(-math.log10(max(abs(self.now - self.loss), 1e-4)))))
        low, high = self.interval
        text = (
            f"The next +{self.added} rows should bring the hold-out loss from {self.now:.{digits}f} to "
            f"{self.loss:.{digits}f} ({self.confidence:.0%} interval {low:.{digits}f} to {high:.{digits}f}; "
            f"power law through {self.points} steps)"
        )
        return f"{text}; it may also bring nothing." if high >= self.now else f"{text}."


class Fit(Struct, frozen=True):
    """A fitted power law with draws of slope, offset and residual, each of shape [samples]; read it with ``at``."""

    slope: float
    offset: float
    draws: tuple[Numbers, Numbers, Numbers]
    spread: float
    center: float
    scatter: float
    count: int

    def at(self, rows: float, confidence: float = CONFIDENCE) -> tuple[float, float, float]:
        """Return (loss, low, high) at ``rows``; the interval is that of a new measurement."""
        import numpy as np

        x = math.log(rows) - self.center
        slopes, offsets, noise = self.draws
        reach = self.scatter * math.sqrt(1 + 1 / self.count + x * x / self.spread)
        interval = percentile_interval(np.exp(offsets + slopes * x + noise * reach), confidence)
        return math.exp(self.offset + self.slope * x), *interval

    def falls(self, confidence: float = CONFIDENCE) -> bool:
        """True if the whole interval of the exponent is below zero: the trend is more than noise."""
        slopes, _, noise = self.draws
        return (
            self.slope < 0
            and percentile_interval(slopes + noise * self.scatter / math.sqrt(self.spread), confidence)[1] < 0
        )


def fit(series: Sequence[StepPoint], *, samples: int = _SAMPLES, seed: int = 0) -> Fit | None:
    """Return the law through ``series``; None with fewer than three sizes or with losses without a logarithm."""
    import numpy as np

    sizes = {point.rows for point in series}
    if len(sizes) < _FEWEST_POINTS or len({len(point.sums) for point in series}) != 1 or len(series[0].sums) < 2:
        return None
    losses = np.array([point.loss for point in series])
    if min(sizes) < 1 or not (np.isfinite(losses).all() and (losses > 0).all()):
        return None
    sums = np.array([point.sums for point in series])
    drawn = resampled_losses(sums, np.array([point.tokens for point in series], dtype=float), samples, seed)
    if not (drawn > 0).all():
        return None
    x = np.log([point.rows for point in series])
    center = float(x.mean())
    x = x - center
    spread = float(x @ x)
    y = np.log(losses)
    slope, offset = float(x @ y) / spread, float(y.mean())
    freedom = len(series) - 2
    residual = y - offset - slope * x
    logs = np.log(drawn)
    noise = np.random.default_rng(seed + 1).standard_t(freedom, size=samples)
    return Fit(
        slope=slope,
        offset=offset,
        draws=(logs @ x / spread, logs.mean(axis=1), noise),
        spread=spread,
        center=center,
        scatter=math.sqrt(float(residual @ residual) / freedom),
        count=len(series),
    )


def forecast(
    series: Sequence[StepPoint], *, added: int | None = None, confidence: float = CONFIDENCE, seed: int = 0
) -> Forecast | None:
    """Return the forecast for ``added`` more rows (default: as many as the last step added).

    None if the data do not support one: too few steps, no clear fall, or an interval too wide to use.
    """
    law = fit(series, seed=seed)
    if law is None or not law.falls(confidence):
        return None
    ordered = sorted(series, key=lambda point: point.rows)
    last = ordered[-1]
    more = added or last.rows - ordered[-2].rows
    if more < 1:
        return None
    loss, low, high = law.at(last.rows + more, confidence)
    if loss >= last.loss or high - low > _WIDEST * last.loss:
        return None
    return Forecast(
        rows=last.rows + more,
        added=more,
        now=last.loss,
        loss=loss,
        interval=(low, high),
        exponent=law.slope,
        points=len(series),
        confidence=confidence,
    )


def forecast_of(states: Sequence[RunState]) -> Forecast | None:
    """Return the forecast from the steps in ``states`` (one per step, in order), None if there is none."""
    return forecast(points(states))
