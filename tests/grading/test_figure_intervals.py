"""Intervals and sets keep their promise where the truth is known; paired comparisons raise no false alarms."""

import numpy as np
import pytest
from grading_samples import grades_of_two, share
from sklearn.metrics import cohen_kappa_score

from opeddev_tui.grading import intervals
from opeddev_tui.grading.scores import Predictions, Reference, figures, paired_difference

DRAWS = 1000
# twice the standard deviation of a share of 0.95 over so many draws, and the promised 2%
ROOM = 0.02


def kappa_of(reference: np.ndarray, grades: np.ndarray) -> float:
    return intervals.kappa(grades.astype(float), reference.astype(float))[0]


@pytest.mark.parametrize("skill", [0.0, 0.6, 0.9])
@pytest.mark.parametrize("count", [50, 100, 300])
def test_the_interval_of_kappa_covers_as_promised(count: int, skill: float) -> None:
    draw = np.random.default_rng(count)
    truth = kappa_of(*grades_of_two(draw, 400_000, skill=skill, other=skill)[:2])
    covered = []
    for _ in range(DRAWS):
        reference, grades, _ = grades_of_two(draw, count, skill=skill, other=skill)
        found = intervals.kappa_estimate(grades.astype(float), reference.astype(float))
        covered.append(found.low <= truth <= found.high)
    assert share(covered) == pytest.approx(0.95, abs=ROOM)


@pytest.mark.parametrize("name", ["exact", "within_one", "mae", "signed_error"])
def test_the_intervals_of_shares_and_distances_cover_as_promised(name: str) -> None:
    draw = np.random.default_rng(4)
    reference, grades, _ = grades_of_two(draw, 400_000, skill=0.7, other=0.7)
    truth = figures(Predictions(grades), Reference(reference, 5))[name].value
    covered = []
    for _ in range(DRAWS):
        reference, grades, _ = grades_of_two(draw, 100, skill=0.7, other=0.7)
        found = figures(Predictions(grades), Reference(reference, 5))[name]
        covered.append(found.low <= truth <= found.high)
    # shares of 100 rows come in steps of 0.01, so that Wilson's interval covers a little more or less
    assert share(covered) == pytest.approx(0.95, abs=ROOM + 0.005)


@pytest.mark.parametrize("over", [0.0, 0.1, 0.3])
def test_the_interval_of_the_calibration_error_covers_as_promised(over: float) -> None:
    draw = np.random.default_rng(7)

    def rows(count: int) -> tuple[np.ndarray, np.ndarray]:
        confidence = 0.25 + 0.6 * draw.beta(2, 2.5, count)
        return confidence, draw.random(count) < confidence - over * (confidence - 0.2) / 0.4

    truth = intervals.calibration(*rows(400_000)).value
    covered = []
    for _ in range(DRAWS):
        found = intervals.calibration(*rows(100))
        # a perfect grader's error is zero but for the noise of the long run
        covered.append(found.low <= max(truth, 0.005) and truth <= found.high)
    assert share(covered) == pytest.approx(0.95, abs=ROOM + 0.005)


@pytest.mark.parametrize("figure", ["kappa", "mae", "exact"])
@pytest.mark.parametrize("count", [50, 100, 300])
def test_equally_good_graders_are_seldom_told_apart(count: int, figure: str) -> None:
    draw = np.random.default_rng(count + 1)
    alarms = []
    for _ in range(DRAWS):
        reference, one, two = grades_of_two(draw, count, skill=0.6, other=0.6)
        found = paired_difference(Predictions(one), Predictions(two), Reference(reference, 5), figure)
        alarms.append(found is not None and found.excludes_zero)
    assert share(alarms) == pytest.approx(0.05, abs=ROOM)


def test_a_better_grader_is_found_to_be_better() -> None:
    draw = np.random.default_rng(3)
    found = []
    for _ in range(200):
        reference, one, two = grades_of_two(draw, 100, skill=0.9, other=0.4)
        difference = paired_difference(Predictions(one), Predictions(two), Reference(reference, 5))
        found.append(difference is not None and difference.low > 0)
    assert share(found) > 0.95


def test_the_interval_of_a_paired_difference_covers_as_promised() -> None:
    draw = np.random.default_rng(11)
    reference, one, two = grades_of_two(draw, 400_000, skill=0.8, other=0.5)
    truth = kappa_of(reference, one) - kappa_of(reference, two)
    covered = []
    for _ in range(DRAWS):
        reference, one, two = grades_of_two(draw, 100, skill=0.8, other=0.5)
        found = paired_difference(Predictions(one), Predictions(two), Reference(reference, 5))
        covered.append(found is not None and found.low <= truth <= found.high)
    assert share(covered) == pytest.approx(0.95, abs=ROOM)


def test_many_rows_of_few_authors_do_not_pass_for_many_authors() -> None:
    draw = np.random.default_rng(5)
    covered: dict[str, list[bool]] = {"rows": [], "authors": []}
    groups = [str(row // 5) for row in range(200)]
    for _ in range(DRAWS):
        values = np.repeat(draw.standard_normal(40), 5) + 0.3 * draw.standard_normal(200)
        for name, found in (("rows", intervals.mean(values)), ("authors", intervals.mean(values, groups=groups))):
            covered[name].append(found.low <= 0 <= found.high)
    assert share(covered["authors"]) == pytest.approx(0.95, abs=ROOM)
    assert share(covered["rows"]) < 0.75


def test_groups_widen_the_interval_of_a_share() -> None:
    hits = np.repeat(np.arange(20) % 3 > 0, 5)
    alone, together = intervals.share(hits), intervals.share(hits, groups=[str(row // 5) for row in range(100)])
    assert together.value == alone.value
    assert together.high - together.low > 1.5 * (alone.high - alone.low)


@pytest.mark.parametrize("seed", range(5))
def test_kappa_is_that_of_the_library(seed: int) -> None:
    draw = np.random.default_rng(seed)
    reference, grades, _ = grades_of_two(draw, 60, skill=0.5, other=0.5)
    expected = cohen_kappa_score(grades, reference, labels=range(5), weights="quadratic")
    assert kappa_of(reference, grades) == pytest.approx(expected)


def test_a_sample_without_disagreement_is_not_taken_for_proof() -> None:
    reference = np.array([0, 1, 2, 3, 4] * 6, dtype=float)
    found = intervals.kappa_estimate(reference, reference)
    assert (found.value, found.high) == (1.0, 1.0)
    assert 0.9 < found.low < 1.0


@pytest.mark.parametrize("grades", [[2.0] * 20, [0.0, 4.0] * 10], ids=["always the same", "opposite"])
def test_graders_without_sense_have_a_kappa_and_no_error(grades: list[float]) -> None:
    found = intervals.kappa_estimate(np.array(grades), np.array([4.0, 0.0] * 10))
    assert found.value in (pytest.approx(0), pytest.approx(-1))
    assert found.low <= found.value <= found.high


def test_where_nothing_varies_kappa_is_not_defined() -> None:
    assert np.isnan(intervals.kappa_estimate(np.full(9, 3.0), np.full(9, 3.0)).value)
    assert np.isnan(intervals.mean(np.array([1.0])).low)
