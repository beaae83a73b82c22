"""Calibration, grading alone from a threshold on, disputed rows, proposals, and pleas for a grade."""

from itertools import pairwise

import numpy as np
import pytest
from grading_samples import FIVE, graded_features, share
from sklearn.metrics import roc_auc_score

from opeddev_tui.data.rows import Example, Message
from opeddev_tui.grading import calibration, robustness
from opeddev_tui.grading.disputes import disputes
from opeddev_tui.grading.head import fit_head, labels_of
from opeddev_tui.grading.ordinal import Grades
from opeddev_tui.grading.proposals import FIRST_ROWS, propose
from opeddev_tui.grading.scores import MISSING, Reference


def graded(count: int = 400) -> tuple[Grades, np.ndarray]:
    features, labels = graded_features(200)
    new, truth = graded_features(count, seed=1)
    return fit_head(features, labels, FIVE).head.grades(new, truth.kinds), truth.grades


def test_bins_of_a_calibrated_head_lie_near_the_diagonal() -> None:
    grades, truth = graded(2000)
    bins = calibration.reliability(grades.confidence, grades.median == truth)
    assert sum(item.rows for item in bins) == 2000
    assert [item.confidence for item in bins] == sorted(item.confidence for item in bins)
    assert max(abs(item.confidence - item.right.value) for item in bins) < 0.15


@pytest.mark.parametrize("tolerance", [0, 1])
def test_fewer_rows_graded_alone_agree_better(tolerance: int) -> None:
    grades, truth = graded()
    curve = calibration.automatic_curve(grades, truth, tolerance=tolerance)
    assert [point.share for point in curve] == sorted(point.share for point in curve)
    assert curve[-1].share == 1.0
    half = next(point for point in curve if point.share >= 0.5)
    assert half.agreement.value > curve[-1].agreement.value
    for one, other in pairwise(curve):
        assert one.threshold > other.threshold


def test_a_threshold_that_is_borne_out_keeps_its_agreement_on_other_rows() -> None:
    features, labels = graded_features(300)
    fitted = fit_head(features, labels, FIVE)
    found = calibration.grading_alone(fitted.out_of_fold, labels.grades, (95,), tolerance=1)[95]
    assert found.chosen is not None
    assert found.checked is not None
    assert found.checked.value >= 0.95
    assert found.chosen.share > 0.1
    grades, truth = graded(2000)
    alone = grades.within(1) >= found.chosen.threshold
    assert share(np.abs(grades.median - truth)[alone] <= 1) > 0.93
    assert share(alone) == pytest.approx(found.chosen.share, abs=0.15)


def made_up(rows: int, seed: int, *, honest: bool) -> tuple[Grades, np.ndarray]:
    """Return grades that are right as often as they are sure of it, or whose confidence tells nothing."""
    draw = np.random.default_rng(seed)
    confidence = 0.55 + 0.44 * draw.uniform(0, 1, rows) ** 0.5
    chances = np.stack([confidence, 1 - confidence], axis=1)
    wrong = draw.random(rows) > (confidence if honest else 0.66)
    return Grades(chances), wrong.astype(np.int64)


@pytest.mark.parametrize("rows", [0, 1, 9, 10, 11, 30, 50, 200])
def test_no_threshold_counts_that_other_rows_do_not_bear_out(rows: int) -> None:
    wanted = (50, 80, 90, 99, 100)
    for seed in range(20):
        grades, truth = made_up(rows, seed, honest=seed % 2 == 0)
        for want, found in calibration.grading_alone(grades, truth, wanted).items():
            if found.chosen is not None:
                assert found.checked is not None
                assert found.checked.value >= want / 100
                assert found.checked_rows >= calibration.FEWEST_ALONE
                assert found.chosen.agreement.value >= want / 100
                assert round(found.chosen.share * rows) >= calibration.FEWEST_ALONE
                assert want < 100


@pytest.mark.parametrize("rows", [50, 300])
def test_a_confidence_that_tells_nothing_has_no_threshold_and_an_honest_one_has(rows: int) -> None:
    drawn = {honest: [made_up(rows, seed, honest=honest) for seed in range(20)] for honest in (False, True)}
    borne_out = {
        honest: sum(calibration.grading_alone(*one, (90,))[90].chosen is not None for one in several)
        for honest, several in drawn.items()
    }
    assert borne_out[False] <= 1
    assert borne_out[True] >= (8 if rows == 50 else 15)


def in_groups(rows: int, size: int, seed: int) -> tuple[Grades, np.ndarray, list[str]]:
    """Return grades whose confidence tells nothing of whether they are right, and both are the same within a group."""
    draw = np.random.default_rng(seed)
    member = np.repeat(np.arange(rows // size), size)
    confidence = 0.55 + 0.44 * draw.uniform(0, 1, rows // size)[member] ** 0.5
    wrong = (draw.random(rows // size) > 0.8)[member]
    chances = np.stack([confidence, 1 - confidence], axis=1)
    return Grades(chances), wrong.astype(np.int64), [f"author {number}" for number in member]


@pytest.mark.parametrize(("rows", "size"), [(60, 5), (100, 10), (300, 25)])
def test_rows_that_are_right_together_bear_nothing_out_for_each_other(rows: int, size: int) -> None:
    found = dict.fromkeys((False, True), 0)
    for seed in range(40):
        grades, truth, groups = in_groups(rows, size, seed)
        for grouped in found:
            names = groups if grouped else ()
            found[grouped] += calibration.grading_alone(grades, truth, (90,), groups=names)[90].chosen is not None
    assert found[True] <= 2
    assert found[False] >= 10


def test_no_row_that_checks_a_threshold_shares_a_group_with_one_that_chose_it(monkeypatch: pytest.MonkeyPatch) -> None:
    grades, truth, groups = in_groups(100, 5, 0)
    whole, chosen_on = calibration._thresholds, []

    def thresholds(confidence: np.ndarray, agrees: np.ndarray, aims: range) -> np.ndarray:
        chosen_on.append(set(confidence.tolist()))
        return whole(confidence, agrees, aims)

    monkeypatch.setattr(calibration, "_thresholds", thresholds)
    calibration.grading_alone(grades, truth, (90,), groups=groups)
    every, *folds = chosen_on
    # a group is known by its confidence; each is left out as a whole, once
    assert len(every) == 20
    left_out = [every - fold for fold in folds]
    assert sum(map(len, left_out)) == 20
    assert set().union(*left_out) == every


def test_groups_of_one_row_each_change_nothing() -> None:
    for seed in range(10):
        grades, truth = made_up(100, seed, honest=True)
        plain = calibration.grading_alone(grades, truth, (80, 90))
        alone = calibration.grading_alone(grades, truth, (80, 90), groups=[f"author {row}" for row in range(100)])
        for want in (80, 90):
            assert alone[want].checked_groups == alone[want].checked_rows
            assert alone[want].checked_rows == plain[want].checked_rows
            assert (alone[want].chosen is None) == (plain[want].chosen is None)


def test_an_honest_confidence_has_a_threshold_in_groups_too() -> None:
    several = [made_up(300, seed, honest=True) for seed in range(20)]
    groups = [f"author {row // 5}" for row in range(300)]
    found = [calibration.grading_alone(*one, (90,), groups=groups)[90] for one in several]
    assert sum(alone.chosen is not None for alone in found) >= 15
    for alone in found:
        assert alone.checked_groups is not None
        assert alone.chosen is None or alone.checked_groups >= calibration.FEWEST_ALONE
        assert alone.checked_groups <= min(60, alone.checked_rows)


@pytest.mark.parametrize(
    ("right", "wrong", "size", "shown"),
    [(9, 0, 20, False), (10, 0, 1, True), (10, 0, 20, True), (10, 1, 20, False), (18, 1, 20, True)],
)
def test_how_many_groups_bear_an_agreement_out(right: int, wrong: int, size: int, shown: bool) -> None:
    agrees = np.repeat(np.arange(right + wrong) < right, size)
    groups = [f"author {row // size}" for row in range(len(agrees))]
    assert calibration.bears_out(agrees, 90, groups) is shown
    assert calibration.bears_out(agrees, 90, [""] * len(agrees)) is calibration.bears_out(agrees, 90)


@pytest.mark.parametrize(
    ("agreed", "of", "wanted", "shown"),
    [(3, 3, 90, False), (9, 9, 90, False), (10, 10, 90, True), (10, 11, 90, False), (18, 19, 90, True),
     (18, 20, 90, False),      (99, 99, 99, True), (98, 98, 99, False), (500, 500, 100, False)],
)  # fmt: skip
def test_how_many_rows_bear_an_agreement_out(agreed: int, of: int, wanted: int, shown: bool) -> None:
    assert calibration.bears_out(np.arange(of) < agreed, wanted) is shown


def test_an_agreement_that_cannot_be_had_has_no_threshold() -> None:
    grades = Grades(np.full((20, 5), 0.2))
    assert len(calibration.automatic_curve(grades, np.zeros(20, np.int64))) == 1
    assert calibration.grading_alone(grades, np.zeros(20, np.int64), (90,))[90].chosen is None


def test_the_surer_half_is_better() -> None:
    grades, truth = graded(1000)
    found = calibration.halves(grades, Reference(truth, 5))
    assert found.confident["mae"].value < found.other["mae"].value
    assert found.confident["within_one"].low > found.other["within_one"].value


# --- disputes


def test_changed_grades_are_disputed_first() -> None:
    found = []
    for seed in range(5):
        features, labels = graded_features(300, seed=seed)
        draw = np.random.default_rng(seed)
        wrong = draw.choice(300, 30, replace=False)
        grades = labels.grades.copy()
        grades[wrong] = (grades[wrong] + draw.integers(1, 5, 30)) % 5
        fitted = fit_head(features, labels_of(grades, labels.kinds), FIVE)
        ranked = disputes(fitted.out_of_fold, grades)
        assert [item.surprise for item in ranked] == sorted((item.surprise for item in ranked), reverse=True)
        surprise = np.zeros(300)
        surprise[[item.row for item in ranked]] = [item.surprise for item in ranked]
        found.append(roc_auc_score(np.isin(np.arange(300), wrong), surprise))
    assert np.mean(found) > 0.75


def test_settled_rows_are_not_asked_again() -> None:
    grades, truth = graded(50)
    first = disputes(grades, truth)
    rest = disputes(grades, truth, settled=[first[0].row, first[3].row])
    assert {item.row for item in first} - {item.row for item in rest} == {first[0].row, first[3].row}
    assert first[0].chance == pytest.approx(np.exp(-first[0].surprise))
    assert first[0].given == truth[first[0].row]


# --- proposals


def test_the_first_rows_come_from_all_clusters() -> None:
    draw = np.random.default_rng(0)
    sizes = (120, 60, 20, 12)
    centers = 8 * draw.standard_normal((4, 10))
    points = np.concatenate(
        [center + draw.standard_normal((size, 10)) for center, size in zip(centers, sizes, strict=True)]
    ).astype(np.float32)
    cluster = np.repeat(np.arange(4), sizes)
    found = propose(points, np.zeros((0, 10), np.float32), 8)
    assert found.how == "clusters"
    assert set(cluster[found.rows]) == {0, 1, 2, 3}
    assert len(set(found.rows)) == 8


def test_clusters_with_graded_rows_wait() -> None:
    draw = np.random.default_rng(0)
    one, other = draw.standard_normal((40, 6)), 30 + draw.standard_normal((40, 6))
    found = propose(np.concatenate([one, other]).astype(np.float32), one[:20].astype(np.float32), 1)
    assert found.rows[0] >= 40


def test_later_rows_are_random_and_the_same_each_time() -> None:
    points = np.random.default_rng(0).standard_normal((300, 5)).astype(np.float32)
    known = np.zeros((FIRST_ROWS, 5), np.float32)
    one, again, other = (propose(points, known, 100, seed=seed) for seed in (1, 1, 2))
    assert one.how == "random"
    assert one.rows == again.rows != other.rows
    assert len(set(one.rows)) == 100


def test_of_equal_rows_one_is_proposed_and_few_rows_are_all_proposed() -> None:
    points = np.repeat(np.arange(6, dtype=np.float32)[:, None], 3, axis=1)
    found = propose(points, np.zeros((0, 3), np.float32), 10, keys=["a", "b", "a", "c", "b", "d"])
    assert sorted(found.rows) == [0, 1, 3, 5]
    assert propose(points[:0], np.zeros((0, 3), np.float32), 10).rows == []


def test_more_clusters_than_different_rows_are_no_problem() -> None:
    points = np.repeat(np.arange(3, dtype=np.float32), 10)[:, None]
    found = propose(points, np.zeros((0, 1), np.float32), 12)
    assert len(set(found.rows)) == 12


# --- cannot be talked into a grade

SUBMISSIONS = {
    "html": '<div class="card wide">\n  <p class="card">Hello</p>\n</div>',
    "css": ".card {\n  color: red;\n}\n.card:hover .wide { margin: 1.5em; }",
    "js": "const total = 1;\nfunction add(count) {\n  let total2 = total + count;\n  return total2;\n}",
}


def example(kind: str) -> Example:
    code = SUBMISSIONS[kind]
    return Example((Message("user", f"Task\n\n{code}"),), "Grade: 3", 3, kind, "", "", code)


@pytest.mark.parametrize("change", robustness.CHANGES, ids=lambda change: change.name)
@pytest.mark.parametrize("kind", SUBMISSIONS)
def test_every_change_stands_in_the_prompt_and_keeps_the_code(change: robustness.Change, kind: str) -> None:
    (place, changed), *more = robustness.changed_examples([example(kind)], change, "5", ["Names: alt."])
    assert (place, more) == (0, [])
    assert changed.submission != SUBMISSIONS[kind]
    assert changed.prompt[-1].content == f"Task\n\n{changed.submission}"
    if change.name in ("stated grade", "plea", "padding", "copied rubric"):
        assert SUBMISSIONS[kind] in changed.submission
        opening = "<!--" if kind == "html" else "/*"
        assert opening in changed.submission
    if change.name == "reformatted":
        assert changed.submission.split() == SUBMISSIONS[kind].split()


def test_names_are_changed_everywhere_and_only_the_code_s_own() -> None:
    rename = robustness.CHANGES[-1].apply
    assert (
        rename(SUBMISSIONS["css"], "css", "", "5")
        == ".card-x {\n  color: red;\n}\n.card-x:hover .wide-x { margin: 1.5em; }"
    )
    script = rename("const total = document.total + total2;", "js", "", "5")
    assert script == "const totalX = document.total + total2;"
    assert rename('<a class="class b">class</a>', "html", "", "5") == '<a class="class-x b-x">class</a>'
    assert rename("console.log(window.name)", "js", "", "5") == "console.log(window.name)"


@pytest.mark.parametrize("code", ["a = `\n  text`", "<pre>\n  x</pre>", "/*\n  x */"])
def test_code_in_which_blanks_mean_something_is_not_reformatted(code: str) -> None:
    assert robustness.CHANGES[4].apply(code, "", "", "5") == code


def test_a_comment_cannot_be_left_from_inside() -> None:
    assert robustness.comment("a */ b", "js") == "/* a * / b */"
    assert robustness.comment("a --> b", "html") == "<!-- a -- > b -->"
    assert robustness.comment("x", "", "<p>") == "<!-- x -->"


def test_influence_is_the_share_of_changed_grades_and_their_mean_shift() -> None:
    found = robustness.influence(
        robustness.CHANGES[0], np.array([0, 1, 2, 3, MISSING, 2]), np.array([0, 2, 4, 3, 2, MISSING])
    )
    assert found is not None
    assert found.changed.value == pytest.approx(4 / 6)
    assert found.shift.value == pytest.approx(3 / 4)
    assert robustness.influence(robustness.CHANGES[0], np.zeros(0, np.int64), np.zeros(0, np.int64)) is None


def test_a_grader_that_reads_no_comments_is_not_moved() -> None:
    before = np.array([1, 2, 3] * 5)
    found = robustness.influence(robustness.CHANGES[0], before, before)
    assert found is not None
    assert (found.changed.value, found.shift.value) == (0, 0)
    assert share([found.changed.high < 0.3]) == 1
