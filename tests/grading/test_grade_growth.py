"""What more rows should bring, and whether a head's own claim holds."""

import numpy as np
import pytest
from grading_samples import FIVE, graded_features, share

from opeddev_tui.grading.growth import grade_forecast
from opeddev_tui.grading.head import fit_head, labels_of
from opeddev_tui.grading.honesty import check_claim
from opeddev_tui.grading.intervals import Estimate
from opeddev_tui.grading.scores import Predictions, Reference, figures


def kappa_with(count: int, seed: int, holdout: tuple[np.ndarray, object, np.ndarray]) -> float:
    features, labels = graded_features(count, seed=seed, width=120)
    head = fit_head(features, labels, FIVE).head
    grades = Predictions.of(head.grades(holdout[0], holdout[1]))  # type: ignore[arg-type]
    return figures(grades, Reference(holdout[2], 5))["kappa"].value


def test_the_forecast_is_near_what_more_rows_bring() -> None:
    inside, errors = [], []
    for seed in range(12):
        new, truth = graded_features(300, seed=500 + seed, width=120)
        holdout = (new, truth.kinds, truth.grades)
        features, labels = graded_features(80, seed=seed, width=120)
        found = grade_forecast(features, labels, FIVE, holdout, 80)
        assert found is not None
        real = np.mean([kappa_with(160, 1000 + 10 * seed + other, holdout) for other in range(3)])
        before = np.mean([kappa_with(80, 2000 + 10 * seed + other, holdout) for other in range(3)])
        errors.append(found.gain.value - (real - before))
        inside.append(found.gain.low - 0.03 <= real - before <= found.gain.high + 0.03)
    assert abs(np.mean(errors)) < 0.05
    assert share(inside) >= 0.6


def test_the_forecast_says_what_it_is() -> None:
    new, truth = graded_features(100, seed=1)
    features, labels = graded_features(100)
    found = grade_forecast(features, labels, FIVE, (new, truth.kinds, truth.grades), 100)
    assert found is not None
    also = " may also bring nothing; if not" if found.gain.low <= 0 else ""
    promise = f"kappa {found.now:.2f} → {found.then:.2f} (80% interval of the gain"
    assert found.words.startswith(f"100 more rows{also}: {promise}")
    assert found == grade_forecast(features, labels, FIVE, (new, truth.kinds, truth.grades), 100)


@pytest.mark.parametrize("count", [12, 39])
def test_few_rows_have_no_forecast(count: int) -> None:
    features, labels = graded_features(count)
    assert grade_forecast(features, labels, FIVE, (features, labels.kinds, labels.grades), 100) is None


def test_rows_of_which_parts_cannot_be_fitted_have_no_forecast() -> None:
    features, _ = graded_features(60)
    grades = np.array([1] * 59 + [2])
    assert grade_forecast(features, labels_of(grades), FIVE, (features, (), grades), 100) is None


def test_a_head_that_remembers_is_told_to_claim_too_much() -> None:
    claimed, seen = {"kappa": Estimate(0.9, 0.85, 0.93)}, {"kappa": Estimate(0.5, 0.4, 0.6)}
    claim = check_claim(claimed, seen, 50, remembered=True)
    assert not claim.holds
    assert claim.words.startswith("The head claims too much: kappa 0.90 out of fold, 0.50 on the hold-out")
    honest = check_claim({"kappa": Estimate(0.55, 0.45, 0.65)}, seen, 50, remembered=False)
    assert honest.holds
    assert "has not trained on these rows" in honest.words


@pytest.mark.parametrize("rows", [1, 9, 10, 29, 30])
def test_on_few_rows_a_claim_counts_them_and_on_fewer_there_is_none(rows: int) -> None:
    claimed, seen = {"kappa": Estimate(0.9, 0.85, 0.93)}, {"kappa": Estimate(0.5, 0.4, 0.6)}
    words = check_claim(claimed, seen, rows, remembered=True).words
    assert ("claim" in words) == (rows >= 10)
    on = "the hold-out" if rows == 30 else f"only {rows} hold-out row{'' if rows == 1 else 's'}"
    assert f"0.90 out of fold, 0.50 on {on};" in words


def test_a_claim_without_figures_holds_only_by_construction() -> None:
    nothing = {"kappa": Estimate(float("nan"), float("nan"), float("nan"))}
    assert check_claim(nothing, nothing, 50, remembered=False).holds
    assert not check_claim(nothing, nothing, 50, remembered=True).holds
