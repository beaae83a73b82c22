"""Figures over one denominator, and differences in the right direction."""

import numpy as np
import pytest
from grading_samples import FIVE, grades_of_two

from opeddev_tui.grading.scores import (
    MISSING,
    Predictions,
    Reference,
    answered,
    counted_grades,
    figures,
    paired_difference,
)


def test_a_missing_grade_counts_against_every_figure() -> None:
    reference, grades, _ = grades_of_two(np.random.default_rng(0), 80, skill=0.8, other=0.8)
    whole = figures(Predictions(grades), Reference(reference, 5))
    silent = grades.copy()
    silent[:20] = MISSING
    partly = figures(Predictions(silent), Reference(reference, 5))
    assert answered(Predictions(silent)) == pytest.approx(0.75)
    for name in ("kappa", "exact", "within_one"):
        assert partly[name].value < whole[name].value
    assert partly["mae"].value > whole["mae"].value


def test_a_missing_grade_is_the_farthest_one() -> None:
    reference = Reference(np.array([0, 1, 2, 3, 4]), 5)
    assert counted_grades(Predictions(np.full(5, MISSING)), reference).tolist() == [4, 4, 0, 0, 0]
    assert figures(Predictions(np.full(5, MISSING)), reference)["within_one"].value == 0


@pytest.mark.parametrize("size", [2, 3, 5, 101])
def test_answering_less_never_looks_better(size: int) -> None:
    draw = np.random.default_rng(size)
    reference = Reference(draw.integers(0, size, 40), size)
    grades = draw.integers(0, size, 40)
    for place in draw.permutation(40):
        before = figures(Predictions(grades.copy()), reference)
        grades[place] = MISSING
        now = figures(Predictions(grades), reference)
        assert now["exact"].value <= before["exact"].value
        assert now["within_one"].value <= before["within_one"].value
        assert now["mae"].value >= before["mae"].value
    assert (now["exact"].value, now["within_one"].value) == (0, 0)


def test_written_grades_are_numbers_of_the_scale_or_missing() -> None:
    assert Predictions.written([1, None, 5], FIVE).grades.tolist() == [0, MISSING, 4]
    assert Predictions.written([], FIVE).grades.tolist() == []


def test_figures_of_known_grades() -> None:
    found = figures(Predictions(np.array([0, 2, 2, 4])), Reference(np.array([0, 1, 4, 4]), 5))
    assert found["exact"].value == 0.5
    assert found["within_one"].value == 0.75
    assert found["mae"].value == 0.75
    assert found["signed_error"].value == -0.25
    assert "nll" not in found


def test_figures_of_known_probabilities() -> None:
    chances = np.array([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]])
    found = figures(Predictions(np.array([0, 1]), chances), Reference(np.array([0, 2]), 3))
    assert found["nll"].value == pytest.approx(-np.log([0.5, 0.1]).mean())
    assert found["brier"].value == pytest.approx(((0.25 + 0.0625 * 2) + (0.01 + 0.64 + 0.81)) / 2)
    assert found["expected_distance"].value == pytest.approx(((0.25 + 0.5) + (0.2 + 0.8)) / 2)
    plain = figures(Predictions(np.array([0, 1])), Reference(np.array([0, 2]), 3))
    assert set(found) - set(plain) == {"nll", "brier", "expected_distance", "calibration_error"}


def test_a_difference_of_a_grader_with_itself_is_zero_and_without_probabilities_there_is_none() -> None:
    reference, grades, _ = grades_of_two(np.random.default_rng(0), 50, skill=0.5, other=0.5)
    same = paired_difference(Predictions(grades), Predictions(grades), Reference(reference, 5))
    assert same is not None
    assert (same.value, same.low, same.high) == (0, 0, 0)
    assert paired_difference(Predictions(grades), Predictions(grades), Reference(reference, 5), "nll") is None


def test_lower_is_better_where_it_is() -> None:
    reference = np.arange(60) % 5
    sharp, blunt = np.full((60, 5), 0.05), np.full((60, 5), 0.2)
    sharp[np.arange(60), reference] = 0.8
    good, bad = Predictions(reference, sharp), Predictions((reference + np.arange(60) % 2) % 5, blunt)
    skill, surprise = (paired_difference(good, bad, Reference(reference, 5), name) for name in ("kappa", "nll"))
    assert skill is not None
    assert surprise is not None
    assert skill.low > 0 > surprise.high


def test_groups_are_kept_with_their_rows() -> None:
    reference = Reference(np.array([0, 1, 2]), 5, ["a", "b", "a"])
    chosen = reference.rows(np.array([2, 0]))
    assert (chosen.grades.tolist(), list(chosen.groups)) == ([2, 0], ["a", "a"])
