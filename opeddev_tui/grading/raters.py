"""Agreement between the people who graded a row: the ceiling of any grader's score.

Kappa of two people is taken over all pairs of grades of a row, each row counting once. A grader is compared with it on
the same rows: with one person's grade, as a second person would be, not with their median.
"""

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from opeddev_tui.data.rows import Example
from opeddev_tui.format import plural
from opeddev_tui.grading import intervals
from opeddev_tui.grading.intervals import Estimate
from opeddev_tui.grading.scale import Positions, Scale
from opeddev_tui.grading.scores import MISSING
from opeddev_tui.runs.grade_words import few_rows, too_few

Floats = NDArray[np.float64]
# fewer rows with several grades tell nothing of a grader
FEWEST_ROWS = 5


class RaterAgreement(Struct, frozen=True):
    """How far people agree on ``rows`` rows with several grades: kappa of two of them, and how often they are equal.

    ``compared`` hold-out rows have several grades and one of the grader: ``grader`` is its kappa with one person,
    ``less_people`` that less the people's own on the same rows; both None where there are too few. ``words`` say it.
    """

    rows: int
    kappa: Estimate
    exact: Estimate
    compared: int
    grader: Estimate | None
    less_people: Estimate | None
    words: str


class _Pairs(Struct, frozen=True):
    """Per row [n]: mean squared distance of its pairs; means and mean squares of both sides; which rows go together."""

    distance: Floats
    one: Floats
    one_squared: Floats
    other: Floats
    other_squared: Floats
    groups: list[str]

    def kappa(self) -> tuple[float, Floats]:
        """Return quadratic weighted kappa and each row's influence on it (as ``intervals.kappa``)."""
        first, second = self.one.mean(), self.other.mean()
        expected = self.one_squared.mean() + self.other_squared.mean() - 2 * first * second
        if expected <= 1e-12:
            return math.nan, np.zeros(len(self.distance))
        observed = self.distance.mean()
        moved = self.one_squared + self.other_squared - 2 * second * self.one - 2 * first * self.other
        influence = -(self.distance - observed) / expected + observed / expected**2 * (moved - moved.mean())
        return float(1 - observed / expected), influence

    def estimate(self) -> Estimate:
        """Return kappa with its interval."""
        value, influence = self.kappa()
        spread = float(self.other_squared.mean() - self.other.mean() ** 2)
        return intervals.kappa_interval(value, influence, spread, groups=self.groups)


def rater_agreement(
    train: Sequence[Example],
    held: Sequence[Example],
    scale: Scale,
    grader: tuple[str, Positions] | None = None,
) -> RaterAgreement | None:
    """Return how far people agree, None where no row has two grades.

    ``grader``: the words for a grader and its grades [m] of the ``held`` rows, positions.
    """
    several = [example for example in (*train, *held) if len(example.grades) > 1]
    if not several:
        return None
    people = _people(several, scale)
    pairs = np.array([_equal_pairs(example.grades) for example in several])
    compared = [
        at
        for at, example in enumerate(held)
        if grader is not None and len(example.grades) > 1 and grader[1][at] != MISSING
    ]
    kappa = people.estimate()
    told = f"Two people agree with kappa {_told(kappa)} on {plural(len(several), 'row')} that several have graded"
    if grader is None or len(compared) < FEWEST_ROWS:
        words = f"{told}: no grader can be expected to agree with them more."
        return RaterAgreement(
            len(several), kappa, intervals.mean(pairs, groups=people.groups), len(compared), None, None, words
        )
    alike = [held[at] for at in compared]
    one, two = _grader(alike, grader[1][compared], scale), _people(alike, scale)
    with_one = one.estimate()
    less = _difference(one, two)
    words = f"{told}. {_compared_words(grader[0], with_one, two.estimate(), less, len(compared))}"
    exact = intervals.mean(pairs, groups=people.groups)
    return RaterAgreement(len(several), kappa, exact, len(compared), with_one, less, words)


def _people(rows: Sequence[Example], scale: Scale) -> _Pairs:
    grades = [scale.positions(row.grades).astype(np.float64) for row in rows]
    means = np.array([row.mean() for row in grades])
    squares = np.array([(row**2).mean() for row in grades])
    # the mean squared distance of two grades of a row is twice their variance
    distances = np.array([2 * row.var(ddof=1) for row in grades])
    return _Pairs(distances, means, squares, means, squares, _groups(rows))


def _grader(rows: Sequence[Example], given: Positions, scale: Scale) -> _Pairs:
    people = _people(rows, scale)
    mine = given.astype(np.float64)
    distances = mine**2 - 2 * mine * people.one + people.one_squared
    return _Pairs(distances, mine, mine**2, people.one, people.one_squared, people.groups)


def _difference(one: _Pairs, other: _Pairs) -> Estimate | None:
    (mine, my_influence), (theirs, their_influence) = one.kappa(), other.kappa()
    if math.isnan(mine - theirs):
        return None
    return intervals.from_influences(mine - theirs, my_influence - their_influence, groups=one.groups)


def _groups(rows: Sequence[Example]) -> list[str]:
    return [row.group for row in rows]


def _equal_pairs(grades: Sequence[int]) -> float:
    pairs = [a == b for at, a in enumerate(grades) for b in grades[:at]]
    return sum(pairs) / len(pairs)


def _compared_words(name: str, grader: Estimate, people: Estimate, less: Estimate | None, rows: int) -> str:
    begin = f"On the {plural(rows, 'hold-out row')} among them {name} agrees with one person with kappa {_told(grader)}"
    few = f" {few_rows(rows)}".rstrip()
    if less is None:
        return f"{begin}.{few}"
    if too_few(rows):
        return f"{begin}, two people with {people.value:.2f}.{few}"
    size = f"{people.value:.2f} for two people; difference {less.value + 0.0:+.2f}, {less.low:+.2f} to {less.high:+.2f}"
    if less.high < 0:
        return f"{begin}, less than a second person would ({size}): better is possible.{few}"
    if less.low > 0:
        return f"{begin}, more than a second person would ({size}): it grades as their average does.{few}"
    return f"{begin}, which is not shown to be less than a second person would ({size}).{few}"


def _told(estimate: Estimate) -> str:
    if math.isnan(estimate.value):
        return "that is not defined (one grade only)"
    if math.isnan(estimate.low):
        return f"{estimate.value:.2f}"
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"
