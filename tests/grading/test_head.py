"""The grade head: primal form, kinds, weights, groups, scales, and figures that do not flatter."""

import numpy as np
import pytest
from grading_samples import FIVE, graded_features
from sklearn.metrics import cohen_kappa_score

from opeddev_tui.config.settings import Grading
from opeddev_tui.errors import DataProblem
from opeddev_tui.grading.head import FEWEST_ROWS, Labels, fit_gram, fit_head, fit_linear, labels_of
from opeddev_tui.grading.ridge import kind_factor
from opeddev_tui.grading.scale import Scale


def kappa(one: np.ndarray, other: np.ndarray, size: int = 5) -> float:
    return float(cohen_kappa_score(one, other, weights="quadratic", labels=range(size)))


def test_a_head_learns_what_features_show_and_knows_how_well() -> None:
    features, labels = graded_features(200)
    new, truth = graded_features(400, seed=1)
    fitted = fit_head(features, labels, FIVE)
    seen = kappa(fitted.head.grades(new, truth.kinds).median, truth.grades)
    told = kappa(fitted.out_of_fold.median, labels.grades)
    assert seen > 0.6
    assert told == pytest.approx(seen, abs=0.1)


def test_without_a_signal_the_out_of_fold_grades_claim_nothing() -> None:
    claims = []
    for seed in range(8):
        features, labels = graded_features(100, seed=seed, signal=0.0, width=400)
        claims.append(kappa(fit_head(features, labels, FIVE).out_of_fold.median, labels.grades))
    assert abs(np.mean(claims)) < 0.12


def test_primal_weights_score_as_the_kernel_does() -> None:
    features, labels = graded_features(80)
    new, other = graded_features(30, seed=1)
    linear, _ = fit_linear(features, labels.grades.astype(float)[:, None], labels)
    standard = (features.astype(np.float64) - linear.mean) / linear.spread
    gram = standard @ standard.T * kind_factor(labels.kinds, labels.kinds)
    duals, intercept, _ = fit_gram(gram, labels.grades.astype(float)[:, None], labels)[0]
    fresh = (new.astype(np.float64) - linear.mean) / linear.spread
    by_kernel = (fresh @ standard.T * kind_factor(other.kinds, labels.kinds)) @ duals + intercept
    np.testing.assert_allclose(linear.scores(new, other.kinds)[:, 0], by_kernel, atol=1e-5)


def test_kinds_help_where_they_differ_and_an_unknown_kind_is_graded_by_the_common_part() -> None:
    features, labels = graded_features(300, signal=1.0)
    new, truth = graded_features(500, seed=1, signal=1.0)
    with_kinds = fit_head(features, labels, FIVE)
    without = fit_head(features, labels_of(labels.grades), FIVE)
    assert kappa(with_kinds.head.grades(new, truth.kinds).median, truth.grades) > kappa(
        without.head.grades(new).median, truth.grades
    )
    unknown = with_kinds.head.grades(new, ["vue"] * len(new)).median
    assert kappa(unknown, truth.grades) > 0.4


def test_a_kind_of_a_few_rows_has_no_part_of_its_own() -> None:
    features, labels = graded_features(60)
    kinds = [f"file {row}" if row < 40 else "css" if row < 56 else "js" for row in range(60)]
    head = fit_head(features, labels_of(labels.grades, kinds), FIVE).head
    assert head.linear.kinds == ("css",)
    assert labels_of(labels.grades, [str(row) for row in range(60)]).kinds == ()


def test_a_row_of_weight_zero_is_as_if_it_were_not_there_but_is_graded() -> None:
    features, labels = graded_features(60)
    weights = np.ones(60)
    weights[:5] = 0
    misled = labels.grades.copy()
    misled[:5] = 4 - misled[:5]
    weighted = fit_head(features, Labels(misled, labels.kinds, weights.tolist()), FIVE)
    left_out = fit_head(features[5:], labels_of(labels.grades[5:], labels.kinds[5:]), FIVE)
    assert weighted.head.rows == left_out.head.rows == 55
    np.testing.assert_allclose(weighted.head.linear.weights, left_out.head.linear.weights, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(weighted.scores[5:], left_out.scores, atol=1e-6)
    expected = left_out.head.grades(features[:5], labels.kinds[:5]).probabilities
    np.testing.assert_allclose(weighted.out_of_fold.probabilities[:5], expected, atol=1e-5)


def test_heavier_rows_pull_the_head_to_themselves() -> None:
    features, labels = graded_features(60)
    grades = labels.grades.copy()
    grades[:10] = 4
    heavy = [20.0] * 10 + [1.0] * 50
    even = fit_head(features, labels_of(grades), FIVE).head.grades(features[:10]).expected.mean()
    pulled = fit_head(features, labels_of(grades, weights=heavy), FIVE).head.grades(features[:10]).expected.mean()
    assert pulled > even


def test_copies_of_authors_do_not_flatter_where_groups_are_known() -> None:
    features, labels = graded_features(60, signal=0.0, width=200)
    repeated, grades = np.repeat(features, 3, axis=0), np.repeat(labels.grades, 3)
    groups = [f"author {row // 3}" for row in range(180)]
    careless = fit_head(repeated, labels_of(grades), FIVE)
    honest = fit_head(repeated, labels_of(grades, groups=groups), FIVE)
    assert kappa(careless.out_of_fold.median, grades) > 0.6
    assert kappa(honest.out_of_fold.median, grades) < 0.35


@pytest.mark.parametrize(
    "scale",
    [
        Scale.of(Grading(grades=["F", "D", "C", "B", "A"])),
        Scale.of(Grading(grades=[f"{half / 2:g}" for half in range(2, 11)])),
        Scale.of(Grading(minimum=0, maximum=100)),
        Scale.of(Grading(minimum=0, maximum=1)),
        Scale.of(Grading(minimum=-2, maximum=2)),
    ],
    ids=["letters", "half grades", "points", "passed or not", "below zero"],
)
def test_any_scale_is_graded_with_probabilities_and_sets(scale: Scale) -> None:
    features, labels = graded_features(120, size=scale.size)
    new, truth = graded_features(200, seed=1, size=scale.size)
    head = fit_head(features, labels, scale).head
    grades = head.grades(new, truth.kinds)
    assert grades.probabilities.shape == (200, scale.size)
    assert kappa(grades.median, truth.grades, scale.size) > 0.4
    covered = head.sets(grades)[np.arange(200), truth.grades].mean()
    assert 0.8 <= covered <= 1.0


def test_too_few_rows_or_one_grade_are_told_with_a_cure() -> None:
    features, labels = graded_features(FEWEST_ROWS - 1)
    with pytest.raises(DataProblem, match=r"9 graded rows are too few.*Add graded rows"):
        fit_head(features, labels, FIVE)
    features, _ = graded_features(30)
    with pytest.raises(DataProblem, match="all rows have the same grade"):
        fit_head(features, labels_of(np.full(30, 2)), FIVE)


def test_features_that_never_change_do_no_harm() -> None:
    features, labels = graded_features(60)
    padded = np.concatenate([features, np.full((60, 3), 7.0, np.float32)], axis=1)
    plain, more = fit_head(features, labels, FIVE), fit_head(padded, labels, FIVE)
    np.testing.assert_allclose(more.out_of_fold.probabilities, plain.out_of_fold.probabilities, atol=1e-4)
    assert np.isfinite(more.head.linear.weights).all()


def test_unknown_targets_are_predicted_from_the_rows_that_know_them() -> None:
    features, labels = graded_features(80)
    targets = np.stack([labels.grades, labels.grades], axis=1).astype(float)
    targets[::2, 1] = np.nan
    linear, scores = fit_linear(features, targets, labels)
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores[::2, 1], linear.scores(features, labels.kinds)[::2, 1])
    assert np.corrcoef(scores[::2, 1], labels.grades[::2])[0, 1] > 0.5


def test_grades_off_the_scale_are_refused() -> None:
    assert FIVE.positions([1, 5]).tolist() == [0, 4]
    with pytest.raises(ValueError, match="not on the scale"):
        FIVE.positions([0, 3])
