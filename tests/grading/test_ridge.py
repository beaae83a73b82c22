"""The closed form of leave-one-out is exact: equal to fitting again without the rows."""

import numpy as np
import pytest
from grading_samples import graded_features
from numpy.typing import NDArray

from opeddev_tui.grading.ridge import PENALTIES, RidgeSystem, centred, kind_factor

Floats = NDArray[np.float64]


def kernel_and_targets(count: int = 24) -> tuple[Floats, Floats]:
    features, labels = graded_features(count)
    gram = (features @ features.T).astype(np.float64) * kind_factor(labels.kinds, labels.kinds)
    return centred(gram)[0], labels.grades.astype(np.float64)


def predicted_without(
    kernel: Floats, targets: Floats, weights: Floats, rows: NDArray[np.int64], penalty: float
) -> Floats:
    """Solve the system of the other rows by itself and predict ``rows``."""
    others = np.setdiff1d(np.arange(len(targets)), rows)
    size = len(others)
    system = np.ones((size + 1, size + 1))
    # the weights are relative to the mean of all rows, also of those that are left out
    system[:size, :size] = kernel[np.ix_(others, others)] + penalty * np.diag(weights.mean() / weights[others])
    system[size, size] = 0
    found = np.linalg.solve(system, np.r_[targets[others], 0])
    return np.asarray(kernel[np.ix_(rows, others)] @ found[:size] + found[size])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("penalty", [PENALTIES[0], 0.3, PENALTIES[-1]])
def test_leaving_a_row_out_equals_fitting_without_it(weighted: bool, penalty: float) -> None:
    kernel, targets = kernel_and_targets()
    weights = np.random.default_rng(1).uniform(0.2, 3, len(targets)) if weighted else np.ones(len(targets))
    fit = RidgeSystem(kernel, weights).fit(targets, [penalty])
    brute = [predicted_without(kernel, targets, weights, np.array([row]), penalty)[0] for row in range(len(targets))]
    np.testing.assert_allclose(fit.out_of_fold, brute, atol=1e-9)
    assert abs(fit.duals.sum()) < 1e-9


@pytest.mark.parametrize("penalty", [PENALTIES[0], 1.0])
def test_rows_of_a_group_are_left_out_together(penalty: float) -> None:
    kernel, targets = kernel_and_targets()
    groups = [f"author {row // 4}" if row < 16 else "" for row in range(len(targets))]
    weights = np.random.default_rng(2).uniform(0.5, 2, len(targets))
    fit = RidgeSystem(kernel, weights, groups).fit(targets, [penalty])
    for start in (0, 4, 8, 12):
        rows = np.arange(start, start + 4)
        np.testing.assert_allclose(
            fit.out_of_fold[rows], predicted_without(kernel, targets, weights, rows, penalty), atol=1e-9
        )
    alone = np.array([20])
    np.testing.assert_allclose(
        fit.out_of_fold[alone], predicted_without(kernel, targets, weights, alone, penalty), atol=1e-9
    )


def test_the_penalty_with_the_least_error_out_of_fold_is_taken() -> None:
    kernel, targets = kernel_and_targets(60)
    system = RidgeSystem(kernel)
    errors = [system.fit(targets, [penalty]).error for penalty in PENALTIES]
    assert system.fit(targets).error == min(errors)
    assert min(PENALTIES) == pytest.approx(0.01)
    assert max(PENALTIES) == pytest.approx(3)


def test_copies_of_a_row_look_known_unless_they_are_one_group() -> None:
    features, labels = graded_features(40, signal=0.0, width=200)
    doubled = np.repeat(features.astype(np.float64), 2, axis=0)
    targets = np.repeat(labels.grades.astype(np.float64), 2)
    kernel = centred(doubled @ doubled.T)[0]
    careless = RidgeSystem(kernel).fit(targets)
    honest = RidgeSystem(kernel, groups=[str(row // 2) for row in range(80)]).fit(targets)
    assert careless.error < 0.5 * targets.var()
    assert honest.error > 0.9 * targets.var()


def test_a_centred_kernel_has_mean_diagonal_one_and_no_mean() -> None:
    kernel, _ = kernel_and_targets()
    assert np.trace(kernel) / len(kernel) == pytest.approx(1)
    np.testing.assert_allclose(kernel.mean(0), 0, atol=1e-12)


def test_rows_that_are_all_equal_give_the_mean() -> None:
    fit = RidgeSystem(centred(np.ones((6, 6)))[0]).fit(np.array([1.0, 2, 3, 4, 5, 6]))
    np.testing.assert_allclose(fit.duals @ np.ones((6, 6)) + fit.intercept, 3.5)


def test_without_a_kind_the_kernel_is_plain_and_an_empty_kind_is_like_no_other() -> None:
    assert kind_factor(["", ""], ["", ""]) == 1.0
    factor = kind_factor(["css", "", "js"], ["css", "", "js"])
    np.testing.assert_array_equal(factor, [[4, 1, 1], [1, 1, 1], [1, 1, 4]])
