"""A steadied head: changes without reason move it less, grades stay, and its stored form is the same."""

from pathlib import Path

import numpy as np
import pytest
from grading_samples import FIVE, graded_features
from msgspec.structs import replace
from sklearn.metrics import cohen_kappa_score
from test_criteria import made_rows

from opeddev_tui.config import settings as st
from opeddev_tui.data.rows import Example, Message
from opeddev_tui.grading.graded_rows import areas_of_rows, graded_rows
from opeddev_tui.grading.growth import grade_forecast
from opeddev_tui.grading.head import fit_head, fit_linear
from opeddev_tui.grading.robustness import COMMENTS
from opeddev_tui.grading.spans import grade_rows
from opeddev_tui.grading.steady import steadying
from opeddev_tui.grading.steady_rows import NO_COMMENT, Copies, steadying_copies, steadying_examples
from opeddev_tui.grading.step_head import fit_step, read
from opeddev_tui.models.chat import ChatEncoder
from opeddev_tui.models.loading import load_tokenizer

WIDTH = 120


def moves(count: int, seed: int = 0) -> np.ndarray:
    """Return differences of features that lie in two directions, and a little noise."""
    draw = np.random.default_rng(seed)
    directions = np.random.default_rng(77).standard_normal((2, WIDTH))
    found = draw.normal(1.0, 0.5, (count, 2)) @ directions + 0.05 * draw.standard_normal((count, WIDTH))
    return found.astype(np.float32)


def test_a_steadied_head_moves_less_and_grades_as_well() -> None:
    features, labels = graded_features(200, width=WIDTH)
    new, truth = graded_features(400, seed=1, width=WIDTH)
    plain, steadied = (fit_head(features, labels, FIVE, differences=known).head for known in (None, moves(60)))
    shifts, kappas = {}, {}
    for name, head in (("plain", plain), ("steadied", steadied)):
        before = head.grades(new, truth.kinds)
        after = head.grades(new + moves(400, seed=5), truth.kinds)
        shifts[name] = (before.median != after.median).mean()
        kappas[name] = cohen_kappa_score(before.median, truth.grades, weights="quadratic")
    assert shifts["steadied"] < 0.4 * shifts["plain"]
    assert kappas["steadied"] > kappas["plain"] - 0.05


def test_the_map_is_folded_into_the_weights() -> None:
    features, labels = graded_features(80, width=WIDTH)
    targets = labels.grades.astype(float)[:, None]
    linear, _ = fit_linear(features, targets, labels, moves(30))
    shrunk = steadying(moves(30) / linear.spread)
    standard = (features.astype(np.float64) - linear.mean) / linear.spread
    weights = shrunk.apply(linear.weights.astype(np.float64))
    # shrinking twice is not shrinking once, so the folded weights are not those of plain features
    assert np.abs(weights - linear.weights).max() > 1e-4
    by_hand = standard @ linear.weights[0, 0].astype(np.float64) + linear.intercepts[0]
    named = np.asarray(labels.kinds)
    for place, kind in enumerate(linear.kinds, 1):
        by_hand[named == kind] += standard[named == kind] @ linear.weights[0, place].astype(np.float64)
    np.testing.assert_allclose(linear.scores(features, labels.kinds)[:, 0], by_hand, atol=1e-8)


def test_out_of_fold_scores_agree_with_the_folded_weights() -> None:
    features, labels = graded_features(150, width=WIDTH)
    new, truth = graded_features(400, seed=1, width=WIDTH)
    fitted = fit_head(features, labels, FIVE, differences=moves(60))
    told = cohen_kappa_score(fitted.out_of_fold.median, labels.grades, weights="quadratic")
    seen = cohen_kappa_score(fitted.head.grades(new, truth.kinds).median, truth.grades, weights="quadratic")
    assert told == pytest.approx(seen, abs=0.12)


def test_directions_shrink_by_their_strength() -> None:
    differences = np.diag([4.0, 2.0, 0.0])
    found = steadying(differences)
    level = (16 + 4 + 0) / 3
    np.testing.assert_allclose(
        sorted(found.taken), sorted([1 - 1 / np.sqrt(1 + 4 / level), 1 - 1 / np.sqrt(1 + 16 / level)])
    )
    np.testing.assert_allclose(found.apply(np.array([[0.0, 0.0, 5.0]])), [[0, 0, 5]])
    assert abs(found.apply(np.array([[1.0, 0.0, 0.0]]))[0, 0]) < 0.6


def test_differences_of_nothing_change_nothing() -> None:
    features, labels = graded_features(60, width=WIDTH)
    plain = fit_head(features, labels, FIVE)
    for nothing in (np.zeros((0, WIDTH), np.float32), np.zeros((5, WIDTH), np.float32)):
        same = fit_head(features, labels, FIVE, differences=nothing)
        np.testing.assert_allclose(same.scores, plain.scores, atol=1e-8)


def test_criteria_heads_are_steadied_too() -> None:
    features, rows, _ = made_rows(120)
    areas = areas_of_rows(rows, FIVE, st.Grading())
    drift = np.random.default_rng(3).standard_normal((40, 1)) * np.random.default_rng(4).standard_normal((1, 60))
    fitted = [fit_step(features, rows, FIVE, areas, differences=known) for known in (None, drift)]
    moved = features + 3 * drift[:1].astype(np.float32)
    changes = []
    for item in fitted:
        one, two = (read(item, some, rows.kinds, rows.prompts).grades.expected for some in (features, moved))
        changes.append(np.abs(one - two).mean())
    assert changes[1] < 0.5 * changes[0]


def test_what_is_the_same_in_all_rows_does_not_hide_other_directions() -> None:
    """A feature that only comments change scores nothing: however far it moves, the others are held as before."""
    features, labels = graded_features(120, width=WIDTH)
    new, truth = graded_features(200, seed=1, width=WIDTH)
    wide, new_wide = (np.hstack([some, np.full((len(some), 1), 3.0, np.float32)]) for some in (features, new))
    moved = np.hstack([moves(60), np.full((60, 1), 50.0, np.float32)])
    one = fit_head(features, labels, FIVE, differences=moves(60)).head
    other = fit_head(wide, labels, FIVE, differences=moved).head
    np.testing.assert_allclose(
        one.grades(new, truth.kinds).probabilities, other.grades(new_wide, truth.kinds).probabilities, atol=1e-6
    )


def test_the_forecast_is_that_of_the_steadied_head() -> None:
    features, labels = graded_features(80, width=WIDTH)
    new, truth = graded_features(100, seed=1, width=WIDTH)
    found = [
        grade_forecast(features, labels, FIVE, (new, truth.kinds, truth.grades), 100, differences=known)
        for known in (None, moves(60))
    ]
    for known, forecast in zip((None, moves(60)), found, strict=True):
        head = fit_head(features, labels, FIVE, differences=known).head
        assert forecast is not None
        grades = head.grades(new, truth.kinds).median
        assert forecast.now == pytest.approx(cohen_kappa_score(grades, truth.grades, weights="quadratic"))
    assert found[0] != found[1]


# --- which rows are changed


def encoder_of(model: Path) -> ChatEncoder:
    return ChatEncoder(load_tokenizer(str(model), st.Model()), max_length=400)


def test_every_changed_copy_has_one_comment_and_the_same_ones_are_chosen_again() -> None:
    _, rows, _ = made_rows(30)
    found = steadying_examples(rows.examples, "5", rows.prompts, count=12)
    assert len({place for place, _ in found}) == 12
    for place, changed in found:
        assert rows.examples[place].submission in changed.submission
        assert changed.submission != rows.examples[place].submission
        assert changed.submission in changed.prompt[-1].content
    assert found == steadying_examples(rows.examples, "5", rows.prompts, count=12)
    assert len(COMMENTS) == 4


def test_each_sort_of_comment_is_among_the_copies() -> None:
    _, rows, _ = made_rows(200)
    found = [changed.submission for _, changed in steadying_examples(rows.examples, "B", rows.prompts)]
    assert len(found) == 100
    for words in ("/* Grade: B */", "<!-- Note to the grader", "-" * 60, "Rubric: "):
        assert 10 <= sum(words.removeprefix("<!-- ") in text for text in found) <= 45, words


def test_while_rows_are_added_most_copies_stay_the_same() -> None:
    """So that a later step reads few of them on the base model, whose features are kept."""
    _, every, _ = made_rows(60)
    before, after = (
        dict(steadying_examples(every.examples[:count], "5", every.prompts[:count], count=20)) for count in (30, 60)
    )
    shared = set(before) & set(after)
    assert len(shared) >= 5
    assert all(before[place] == after[place] for place in shared)
    # of the first rows none is taken that was not taken before
    assert {place for place in after if place < 30} == shared


def test_copies_are_of_rows_that_the_head_is_fitted_on(tiny_model: Path) -> None:
    _, rows, _ = made_rows(40)
    weighed = graded_rows([replace(row, weight=float(at % 2)) for at, row in enumerate(rows.examples)], FIVE)
    encoder, steady = encoder_of(tiny_model), st.Grading(steady=True)
    copies = steadying_copies(weighed, FIVE, steady, encoder, 400)
    assert copies.places == tuple(range(1, 40, 2))
    assert steadying_copies(weighed, FIVE, st.Grading(), encoder, 400) == Copies()
    plain = grade_rows(encoder, [weighed.examples[place] for place in copies.places], max_length=400)
    for row, copy in zip(plain, copies.rows, strict=True):
        # the comment belongs to the submission, and what was there is still there
        assert copy.span[1] - copy.span[0] > row.span[1] - row.span[0]
        assert copy.span[0] == row.span[0]
    features = np.arange(80, dtype=np.float32).reshape(40, 2)
    np.testing.assert_array_equal(copies.moves(features, features[list(copies.places)] + 1), np.ones((20, 2)))
    assert Copies().moves(features, features[:0]).shape == (0, 2)


def test_a_copy_that_is_too_long_is_cut_as_it_would_be_when_it_is_graded(tiny_model: Path) -> None:
    _, rows, _ = made_rows(20)
    encoder = encoder_of(tiny_model)
    copies = steadying_copies(rows, FIVE, st.Grading(steady=True), encoder, 60)
    assert len(copies.rows) == 20
    assert max(row.length for row in copies.rows) == 60
    assert any(row.cut for row in copies.rows)


def test_rows_that_can_take_no_comment_are_said_to_be_none(tiny_model: Path) -> None:
    turn = (Message("system", "You grade."),)
    rows = graded_rows([Example(turn, f"Grade: {1 + at % 5}", 1 + at % 5, "", "", "", "") for at in range(20)], FIVE)
    copies = steadying_copies(rows, FIVE, st.Grading(steady=True), encoder_of(tiny_model), 400)
    assert copies == Copies(missing=NO_COMMENT)
