"""Forecast the metric with more data: a power law through the best epochs of the steps. Pure functions.

The metric is the hold-out loss, or the distance of the step's model from the right grades where steps go by that.

The law is ``loss = a * rows ** b``. Three to five steps cannot tell a floor from the exponent, so no floor is fitted
and nothing is forecast beyond the next increment. The interval joins two uncertainties: which examples the hold-out
happens to hold (a bootstrap over them, the same draw for every step) and how far the steps lie off the law (residuals,
Student's t). It is meant for the loss on any hold-out of this kind (in simulations, 83 to 91% of the 80% intervals
held it), so it is wide for the loss on this one. There is no forecast if the direction is uncertain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from opeddev_tui.analysis.learning_curve import StepPoint, grade_points, points, resampled_losses
from opeddev_tui.format import share
from opeddev_tui.intervals import percentile_interval
from opeddev_tui.runs.state import RunState

if TYPE_CHECKING:
    from opeddev_tui.intervals import Numbers

CONFIDENCE = 0.8
_FEWEST_POINTS = 3
_SAMPLES = 4000
# an interval wider than this share of the loss is of no use
_WIDEST = 0.6
_METRICS = {"loss": "hold-out loss", "grade": "distance from the right grades"}


class Forecast(Struct, frozen=True):
    """The expected ``loss`` with ``added`` more rows, ``rows`` in all; the law is ``scale * rows ** exponent``.

    ``metric``: what it is a forecast of, the hold-out loss or the distance from the right grades (in grades).
    """

    rows: int
    added: int
    now: float
    loss: float
    interval: tuple[float, float]
    exponent: float
    scale: float
    points: int
    metric: str = "loss"

    @property
    def words(self) -> str:
        """The forecast as a sentence: that it may bring nothing stands before the promise, never behind it."""
        also = "may also bring nothing; if not, they" if self.interval[1] >= self.now else "should"
        low, high = self._told(self.interval[0]), self._told(self.interval[1])
        return (
            f"The next +{self.added} rows {also} bring the {_METRICS[self.metric]} from {self._told(self.now)} to "
            f"{self._told(self.loss)} ({share(CONFIDENCE)} interval {low} to {high}; power law through {self.points} "
            "steps)."
        )

    @property
    def words_if(self) -> str:
        """The forecast as a mere continuation of the trend, where what lies behind the trend is not known."""
        low, high = self._told(self.interval[0]), self._told(self.interval[1])
        return (
            f"Were the trend of {self.points} steps to hold, {_METRICS[self.metric]} {self._told(self.now)} would be "
            f"{self._told(self.loss)} after +{self.added} rows ({share(CONFIDENCE)} interval {low} to {high})."
        )

    def _told(self, value: float) -> str:
        digits = min(4, max(2, 1 + math.ceil(-math.log10(max(abs(self.now - self.loss), 1e-4)))))
        return f"{value:.{digits}f}"


class _Law(Struct, frozen=True):
    """A fitted power law with draws of its slope, offset and residual, each of shape [samples].

    It is fitted in logarithms, around ``center``; ``spread`` is the sum of squares of log rows, ``scatter`` the
    standard deviation of the residuals, ``count`` the number of steps.
    """

    slope: float
    offset: float
    draws: tuple[Numbers, Numbers, Numbers]
    spread: float
    center: float
    scatter: float
    count: int

    def at(self, rows: float) -> tuple[float, tuple[float, float]]:
        """Return the loss at ``rows``, and the interval of a new measurement there."""
        import numpy as np

        x = math.log(rows) - self.center
        slopes, offsets, noise = self.draws
        reach = self.scatter * math.sqrt(1 + 1 / self.count + x * x / self.spread)
        interval = percentile_interval(np.exp(offsets + slopes * x + noise * reach), CONFIDENCE)
        return math.exp(self.offset + self.slope * x), interval

    def falls(self) -> bool:
        """True if the whole interval of the exponent is below zero: the trend is more than noise."""
        slopes, _, noise = self.draws
        drawn = slopes + noise * self.scatter / math.sqrt(self.spread)
        return self.slope < 0 and percentile_interval(drawn, CONFIDENCE)[1] < 0


def _fit(series: Sequence[StepPoint]) -> _Law | None:
    """Return the law through ``series``; None with fewer than three sizes or with losses without a logarithm."""
    import numpy as np

    sizes = {point.rows for point in series}
    if len(sizes) < _FEWEST_POINTS or len({len(point.sums) for point in series}) != 1 or len(series[0].sums) < 2:
        return None
    losses = np.array([point.loss for point in series])
    if min(sizes) < 1 or not (np.isfinite(losses).all() and (losses > 0).all()):
        return None
    sums = np.array([point.sums for point in series])
    drawn = resampled_losses(sums, np.array([point.tokens for point in series], dtype=float), _SAMPLES, seed=0)
    if not (drawn > 0).all():
        return None
    x = np.log([point.rows for point in series])
    center = float(x.mean())
    x = x - center
    spread = float(x @ x)
    y, logs = np.log(losses), np.log(drawn)
    slope, offset = float(x @ y) / spread, float(y.mean())
    freedom = len(series) - 2
    residual = y - offset - slope * x
    noise = np.random.default_rng(1).standard_t(freedom, size=_SAMPLES)
    scatter = math.sqrt(float(residual @ residual) / freedom)
    return _Law(slope, offset, (logs @ x / spread, logs.mean(axis=1), noise), spread, center, scatter, len(series))


def forecast(series: Sequence[StepPoint]) -> Forecast | None:
    """Return the forecast for as many more rows as the last step added.

    None if the data do not support one: too few steps, no clear fall, or an interval too wide to use.
    """
    law = _fit(series)
    if law is None or not law.falls():
        return None
    *_, before, last = sorted(series, key=lambda point: point.rows)
    added = last.rows - before.rows
    if added < 1:
        return None
    loss, (low, high) = law.at(last.rows + added)
    if loss >= last.loss or high - low > _WIDEST * last.loss:
        return None
    scale = math.exp(law.offset - law.slope * law.center)
    return Forecast(last.rows + added, added, last.loss, loss, (low, high), law.slope, scale, len(series))


def forecast_of(states: Sequence[RunState]) -> Forecast | None:
    """Return the forecast from the steps in ``states`` (one per step, in order), None if there is none.

    It is of the metric that the last step went by.
    """
    started = [state.started for state in states if state.started is not None]
    if not started or started[-1].metric != "grade":
        return forecast(points(states))
    found = forecast(grade_points(states))
    return replace(found, metric="grade") if found is not None else None
