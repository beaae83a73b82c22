"""Agreement between people: a known kappa is found, with an interval that holds it, and a grader is set beside it."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from grading_samples import FIVE
from sklearn.metrics import cohen_kappa_score

from opeddev_tui.config.settings import Grading
from opeddev_tui.data.rows import Example
from opeddev_tui.grading.raters import rater_agreement
from opeddev_tui.grading.scale import Scale
from opeddev_tui.runs.grade_words import few_rows


def rows(grades: Sequence[Sequence[int]], groups: Sequence[str] = ()) -> list[Example]:
    return [
        Example((), "", min(given, default=3), "", "", "", "", grades=tuple(given), group=groups[at] if groups else "")
        for at, given in enumerate(grades)
    ]


def made_up(count: int, raters: int, skill: float, seed: int) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Return true positions [count] and grades [count, raters], 1 to 5, of people with this ``skill``."""
    draw = np.random.default_rng(seed)
    quality = draw.standard_normal(count)
    heard = skill * quality[:, None] + math.sqrt(1 - skill**2) * draw.standard_normal((count, raters))
    cuts = (-0.8, -0.2, 0.4, 1.1)
    return np.searchsorted(cuts, quality), np.searchsorted(cuts, heard) + 1


def test_two_people_have_the_kappa_of_all_their_pairs_in_both_orders() -> None:
    _, given = made_up(200, 2, 0.8, seed=1)
    found = rater_agreement(rows(given.tolist()), [], FIVE)
    assert found is not None
    both = np.concatenate([given, given[:, ::-1]])
    assert found.kappa.value == pytest.approx(cohen_kappa_score(both[:, 0], both[:, 1], weights="quadratic"))
    assert found.exact.value == pytest.approx((given[:, 0] == given[:, 1]).mean())
    assert (found.rows, found.compared, found.grader) == (200, 0, None)
    assert "Two people agree with kappa" in found.words


def test_the_interval_holds_the_kappa_of_many_rows() -> None:
    _, many = made_up(40_000, 3, 0.8, seed=0)
    true = rater_agreement(rows(many[:, :2].tolist()), [], FIVE)
    assert true is not None
    inside = 0
    for seed in range(200):
        _, given = made_up(60, 3, 0.8, seed=seed + 1)
        # some rows have three grades, some two
        found = rater_agreement(rows([list(row[: 2 + at % 2]) for at, row in enumerate(given)]), [], FIVE)
        assert found is not None
        inside += found.kappa.low <= true.kappa.value <= found.kappa.high
    assert 0.90 <= inside / 200 <= 0.99


def test_a_grader_who_knows_the_truth_agrees_more_than_a_second_person() -> None:
    truth, given = made_up(400, 2, 0.75, seed=3)
    found = rater_agreement([], rows(given.tolist()), FIVE, ("the head", truth.astype(np.int64)))
    assert found is not None
    assert found.less_people is not None
    assert found.less_people.low > 0
    assert "it grades as their average does" in found.words


def test_a_grader_who_guesses_agrees_less_and_one_like_a_person_about_as_much() -> None:
    _, given = made_up(400, 3, 0.85, seed=4)
    guessed = np.random.default_rng(0).integers(0, 5, 400)
    pairs = rows(given[:, :2].tolist())
    less = rater_agreement([], pairs, FIVE, ("the head", guessed))
    alike = rater_agreement([], pairs, FIVE, ("the head", given[:, 2] - 1))
    assert less is not None
    assert alike is not None
    assert less.less_people is not None
    assert alike.less_people is not None
    assert less.less_people.high < 0
    assert "better is possible" in less.words
    assert alike.less_people.low < 0 < alike.less_people.high
    assert "not shown to be less" in alike.words


@pytest.mark.parametrize("count", [9, 10, 29, 30])
def test_on_few_rows_a_grader_is_judged_with_caution_and_on_fewer_not_at_all(count: int) -> None:
    truth, given = made_up(count, 2, 0.6, seed=3)
    found = rater_agreement([], rows(given.tolist()), FIVE, ("the head", truth.astype(np.int64)))
    assert found is not None
    assert ("a second person would" in found.words) == (count >= 10)
    assert found.words.endswith(few_rows(count) or ".")


def test_rows_of_one_group_count_together() -> None:
    _, given = made_up(60, 2, 0.8, seed=5)
    twice = np.repeat(given, 4, axis=0).tolist()
    alone = rater_agreement(rows(twice), [], FIVE)
    grouped = rater_agreement(rows(twice, [f"author {at // 4}" for at in range(240)]), [], FIVE)
    assert alone is not None
    assert grouped is not None
    assert grouped.kappa.value == alone.kappa.value
    assert grouped.kappa.high - grouped.kappa.low > 1.5 * (alone.kappa.high - alone.kappa.low)


ODD: dict[str, list[list[int]]] = {
    "one grade only": [[3, 3]] * 10,
    "all agree": [[1, 1], [3, 3], [5, 5], [2, 2], [4, 4], [1, 1]],
    "one row": [[2, 4]],
    "seven people": [[1, 2, 3, 4, 5, 1, 2], [3, 3, 3, 3, 3, 3, 4]],
}


@pytest.mark.parametrize("case", ODD)
def test_odd_rows_give_a_sentence_and_no_error(case: str) -> None:
    held = rows(ODD[case])
    found = rater_agreement(held, held, FIVE, ("the head", np.zeros(len(held), np.int64)))
    assert found is not None
    assert found.words.startswith("Two people agree with kappa")
    assert "nan" not in found.words


def test_rows_with_one_grade_are_no_agreement() -> None:
    assert rater_agreement(rows([[3], [], [4]]), [], FIVE) is None


def test_any_scale_is_one_of_positions() -> None:
    _, given = made_up(80, 2, 0.8, seed=6)
    letters = Scale.of(Grading(grades=["F", "D", "C", "B", "A"], minimum=7))
    found = rater_agreement(rows((given + 6).tolist()), [], letters)
    plain = rater_agreement(rows(given.tolist()), [], FIVE)
    assert found is not None
    assert plain is not None
    assert found.kappa == plain.kappa
