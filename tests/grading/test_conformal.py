"""Sets hold the right grade as often as promised, also where the probabilities are wrong or authors repeat."""

import numpy as np
import pytest
from grading_samples import FIVE, graded_features, share

from opeddev_tui.grading.conformal import grade_sets, set_limit
from opeddev_tui.grading.head import fit_head, labels_of


@pytest.mark.parametrize("count", [50, 100, 300])
def test_the_sets_of_a_head_cover_new_rows_as_promised(count: int) -> None:
    covered = []
    new, truth = graded_features(2000, seed=12345)
    for seed in range(20):
        features, labels = graded_features(count, seed=seed)
        head = fit_head(features, labels, FIVE).head
        sets = head.sets(head.grades(new, truth.kinds))
        covered.append(float(sets[np.arange(2000), truth.grades].mean()))
    assert np.mean(covered) == pytest.approx(0.9, abs=0.03)


def test_wrong_probabilities_make_sets_larger_not_false() -> None:
    draw = np.random.default_rng(0)
    sure = np.full((1000, 5), 0.01)
    sure[np.arange(1000), draw.integers(0, 5, 1000)] = 0.96
    grades = draw.integers(0, 5, 1000)
    sets = grade_sets(sure[500:], set_limit(sure[:500], grades[:500]))
    assert share(sets[np.arange(500), grades[500:]]) >= 0.87
    assert sets.sum(1).mean() > 4


def test_sets_cover_rows_of_new_authors() -> None:
    # every author has a way of being misgraded: rows of known authors say little of new ones
    draw = np.random.default_rng(1)
    covered: dict[str, list[float]] = {"authors": [], "rows": []}
    for _ in range(300):
        authors = draw.integers(0, 5, 25)
        grades = np.clip(np.repeat(authors, 8) + draw.integers(0, 2, 200), 0, 4)
        chances = np.tile([0.1, 0.2, 0.4, 0.2, 0.1], (200, 1))
        chances *= draw.uniform(0.8, 1.2, chances.shape)
        chances /= chances.sum(1, keepdims=True)
        names = [str(row // 8) for row in range(160)]
        for name, groups in (("authors", names), ("rows", [])):
            sets = grade_sets(chances[160:], set_limit(chances[:160], grades[:160], groups=groups))
            covered[name].append(share(sets[np.arange(40), grades[160:]]))
    assert np.mean(covered["authors"]) >= 0.9
    assert np.mean(covered["authors"]) > np.mean(covered["rows"])


def test_too_few_rows_or_authors_promise_nothing_and_get_every_grade() -> None:
    chances = np.tile([0.1, 0.2, 0.4, 0.2, 0.1], (8, 1))
    assert set_limit(chances, np.zeros(8, np.int64)) == 1.0
    many = np.tile(chances, (10, 1))
    assert set_limit(many, np.zeros(80, np.int64), groups=[str(row // 20) for row in range(80)]) == 1.0
    assert grade_sets(chances, 1.0).all()


def test_a_set_is_never_empty() -> None:
    sets = grade_sets(np.array([[0.4, 0.3, 0.3], [0.05, 0.9, 0.05]]), 0.2)
    assert sets.tolist() == [[True, False, False], [False, True, False]]


def test_groups_of_one_row_are_as_no_groups() -> None:
    features, labels = graded_features(60)
    alone = fit_head(features, labels, FIVE)
    named = labels_of(labels.grades, labels.kinds, groups=[f"author {row}" for row in range(60)])
    assert fit_head(features, named, FIVE).head.set_limit == pytest.approx(alone.head.set_limit, abs=0.02)
