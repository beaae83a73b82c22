"""Probabilities from scores: the fit's gradient, any number of grades, grades that no row has."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from opeddev_tui.grading import ordinal
from opeddev_tui.grading.ordinal import Grades, Ordinal, fit_ordinal, fold_numbers, out_of_fold_probabilities


def scores_and_grades(count: int, size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    quality = draw.standard_normal(count)
    cuts = np.linspace(-1.5, 1.5, size + 1)[1:-1]
    return quality + 0.5 * draw.standard_normal(count), np.searchsorted(cuts, quality).astype(np.int64)


def test_the_gradient_is_that_of_the_loss() -> None:
    scores, grades = scores_and_grades(40, 5)
    share = np.random.default_rng(3).uniform(0.5, 2, 40)
    share /= share.sum()
    start = np.array([0.1, -1.0, -0.2, 0.1, 0.3])
    at = start + 0.3
    value, gradient = ordinal._loss(at, scores, grades, share, start)
    found = approx_fprime(at, lambda x: ordinal._loss(x, scores, grades, share, start)[0], 1e-7)
    assert np.isfinite(value)
    np.testing.assert_allclose(gradient, found, atol=1e-5)


@pytest.mark.parametrize("size", [2, 3, 5, 9, 21, 101])
def test_any_number_of_grades_is_fitted_better_than_by_their_frequencies(size: int) -> None:
    scores, grades = scores_and_grades(150, size)
    new_scores, new_grades = scores_and_grades(400, size, seed=1)
    fitted = fit_ordinal(scores, grades, size)
    probabilities = fitted.probabilities(new_scores)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    assert (probabilities > 0).all()
    assert list(fitted.cuts) == sorted(fitted.cuts)
    rows = np.arange(len(new_grades))
    frequencies = (np.bincount(grades, minlength=size) + 0.5) / (len(grades) + size / 2)
    surprise = -np.log(probabilities[rows, new_grades]).mean()
    assert surprise < -np.log(frequencies[new_grades]).mean() - 0.2


def test_true_probabilities_are_found_again() -> None:
    draw = np.random.default_rng(0)
    truth = Ordinal(2.0, (-2.0, 0.0, 1.5))
    scores = draw.standard_normal(20_000)
    chances = truth.probabilities(scores)
    grades = (chances.cumsum(1) < draw.random(20_000)[:, None]).sum(1)
    found = fit_ordinal(scores, grades, 4)
    np.testing.assert_allclose(found.probabilities(scores), chances, atol=0.02)


@pytest.mark.parametrize("missing", [0, 2, 4])
def test_a_grade_that_no_row_has_stays_possible_and_unlikely(missing: int) -> None:
    scores, grades = scores_and_grades(120, 5)
    kept = grades != missing
    probabilities = fit_ordinal(scores[kept], grades[kept], 5).probabilities(scores)
    assert probabilities[:, missing].min() > 0
    assert probabilities[:, missing].mean() < 0.05


def test_scores_without_spread_give_the_frequencies() -> None:
    grades = np.array([0, 0, 0, 1, 2, 2] * 20)
    fitted = fit_ordinal(np.full(120, 3.0), grades, 3)
    np.testing.assert_allclose(fitted.probabilities(np.array([3.0, -7.0])), [[0.5, 1 / 6, 1 / 3]] * 2, atol=0.01)


def test_scores_that_say_nothing_or_the_contrary_are_not_believed() -> None:
    scores, grades = scores_and_grades(200, 5)
    for misleading in (np.random.default_rng(9).standard_normal(200), -scores):
        probabilities = fit_ordinal(misleading, grades, 5).probabilities(np.array([-2.0, 2.0]))
        assert np.abs(probabilities[0] - probabilities[1]).max() < 0.3


def test_median_expected_grade_and_confidence() -> None:
    grades = Grades(np.array([[0.5, 0.3, 0.2], [0.4, 0.2, 0.4], [0.0, 0.1, 0.9]]))
    assert grades.median.tolist() == [0, 1, 2]
    np.testing.assert_allclose(grades.expected, [0.7, 1.0, 1.9])
    np.testing.assert_allclose(grades.confidence, [0.5, 0.2, 0.9])
    np.testing.assert_allclose(grades.within(1), [0.8, 1.0, 1.0])


def test_folds_keep_groups_together_and_are_of_like_size() -> None:
    groups = [f"author {row % 13}" for row in range(100)]
    folds = fold_numbers(100, groups)
    assert all(len({folds[row] for row in range(100) if groups[row] == name}) == 1 for name in set(groups))
    assert np.bincount(fold_numbers(100)).tolist() == [10] * 10
    assert fold_numbers(3).tolist() != [0, 0, 0]


def test_a_row_has_no_part_in_its_own_probabilities() -> None:
    scores, grades = scores_and_grades(60, 5)
    folds = fold_numbers(60).tolist()
    before = out_of_fold_probabilities(scores, grades, 5, folds)
    changed = grades.copy()
    changed[7] = (changed[7] + 3) % 5
    after = out_of_fold_probabilities(scores, changed, 5, folds)
    np.testing.assert_array_equal(before[7], after[7])
    assert np.abs(before - after).max() > 0
