"""What more graded rows should bring: kappa by number of rows, from heads fitted on parts of the rows there are.

The law is kappa(n) = a − b / √n, which fits graded code from 100 to 700 rows; it is used for the next increment alone.
The interval joins which hold-out rows there are (bootstrap, one draw for every size) and which rows the parts hold.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from opeddev_tui.analysis.forecast import CONFIDENCE
from opeddev_tui.format import share
from opeddev_tui.grading.head import Floats, Labels, cannot_fit, fit_head
from opeddev_tui.grading.intervals import Estimate
from opeddev_tui.grading.scale import Positions, Scale

_SHARES = (0.4, 0.6, 0.8, 1.0)
_DRAWS = 4
_SAMPLES = 400
_FEWEST = 40


class GradeForecast(Struct, frozen=True):
    """Kappa ``now`` with ``rows`` rows and ``then`` with ``added`` more; ``gain`` has an 80% interval."""

    rows: int
    added: int
    now: float
    then: float
    gain: Estimate

    @property
    def words(self) -> str:
        """The forecast as a sentence."""
        also = " may also bring nothing; if not" if self.gain.low <= 0 else ""
        return (
            f"{self.added} more rows{also}: kappa {self.now:.2f} → {self.then:.2f} "
            f"({share(CONFIDENCE)} interval of the gain {self.gain.low:+.2f} to {self.gain.high:+.2f})."
        )


def grade_forecast(
    features: NDArray[np.floating],
    labels: Labels,
    scale: Scale,
    holdout: tuple[NDArray[np.floating], Sequence[str], Positions],
    added: int,
    *,
    differences: NDArray[np.floating] | None = None,
    seed: int = 0,
) -> GradeForecast | None:
    """Return what ``added`` rows should bring; None for fewer than 40 rows or where parts cannot be fitted.

    ``holdout``: features, kinds and right grades of rows that no head sees. ``differences`` as in ``head.fit_head``.
    """
    count = len(labels.grades)
    if count < _FEWEST or added < 1:
        return None
    sizes = [round(share * count) for share in _SHARES]
    generator = np.random.default_rng(seed)
    grades: list[list[Positions]] = []
    for size in sizes:
        found = [
            _graded(features, labels, scale, holdout, size, generator, differences)
            for _ in range(_DRAWS if size < count else 1)
        ]
        if any(item is None for item in found):
            return None
        grades.append([item for item in found if item is not None])
    even = np.full((1, len(holdout[2])), 1.0)
    now = float(_kappas(grades[-1][0], holdout[2], even)[0])
    step = float(1 / np.sqrt(count) - 1 / np.sqrt(count + added))
    gain = step * float(_slopes(grades, sizes, holdout[2], even, None)[0])
    counts = generator.multinomial(len(holdout[2]), np.full(len(holdout[2]), 1 / len(holdout[2])), size=_SAMPLES)
    drawn = step * _slopes(grades, sizes, holdout[2], counts.astype(np.float64), generator)
    if not np.isfinite([now, gain]).all() or not np.isfinite(drawn).any():
        return None
    low, high = np.nanquantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return GradeForecast(count, added, now, min(1.0, now + gain), Estimate(gain, float(low), float(high)))


def _graded(
    features: NDArray[np.floating],
    labels: Labels,
    scale: Scale,
    holdout: tuple[NDArray[np.floating], Sequence[str], Positions],
    size: int,
    generator: np.random.Generator,
    differences: NDArray[np.floating] | None,
) -> Positions | None:
    chosen = np.zeros(len(labels.grades), bool)
    chosen[generator.permutation(len(labels.grades))[:size]] = True
    part = labels.chosen(chosen)
    if cannot_fit(part):
        return None
    return fit_head(features[chosen], part, scale, differences=differences).head.grades(holdout[0], holdout[1]).median


def _slopes(
    grades: Sequence[Sequence[Positions]],
    sizes: Sequence[int],
    right: Positions,
    counts: Floats,
    generator: np.random.Generator | None,
) -> Floats:
    """Return b of the law per resample, [samples]; with a ``generator`` each uses parts drawn anew, else means."""
    kappas = []
    for draws in grades:
        every = np.stack([_kappas(item, right, counts) for item in draws])
        if generator is None:
            kappas.append(every.mean(0))
        else:
            picks = generator.integers(0, len(draws), (len(draws), len(counts)))
            kappas.append(np.take_along_axis(every, picks, axis=0).mean(0))
    x = -1 / np.sqrt(np.asarray(sizes, dtype=np.float64))
    weights = np.array([len(draws) for draws in grades], dtype=np.float64)
    x = x - (weights @ x) / weights.sum()
    return np.asarray((weights * x) @ np.stack(kappas) / ((weights * x) @ x), dtype=np.float64)


def _kappas(grades: Positions, right: Positions, counts: Floats) -> Floats:
    """Return the quadratic weighted kappa of each resample; ``counts`` [samples, n] say how often a row was drawn."""
    one, other = grades.astype(np.float64), right.astype(np.float64)
    values = np.stack([(one - other) ** 2, one, other, one**2 + other**2], axis=1)
    distance, mean, reference, squares = (counts @ values / counts.sum(1, keepdims=True)).T
    expected = squares - 2 * mean * reference
    return np.asarray(np.where(expected > 0, 1 - distance / np.maximum(expected, 1e-12), np.nan), dtype=np.float64)
