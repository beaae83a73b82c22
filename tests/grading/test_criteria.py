"""Areas of the rubric: read from feedbacks or given, heads for them, a grade from their sum, a forced feedback."""

import re
from collections.abc import Sequence

import numpy as np
import pytest
from grading_samples import FIVE, graded_features
from msgspec.structs import replace

from opeddev_tui.config import settings as st
from opeddev_tui.data.rows import Example, Message
from opeddev_tui.errors import SettingsProblem
from opeddev_tui.grading.areas import AreaRow, areas_of, asked_areas, columns_of, named_areas
from opeddev_tui.grading.criteria import f1, fit_criteria
from opeddev_tui.grading.feedback import Segment, feedback_plan, follow, sentences, until
from opeddev_tui.grading.graded_rows import GradedRows, areas_of_rows, feedback_of, graded_rows
from opeddev_tui.grading.step_head import fit_step, read

RUBRICS = {
    "html": ("Names", "Valid markup", "Semantics", "Separation"),
    "css": ("Valid rules", "Low weight", "Current features", "Robust"),
    "js": ("Defects", "Modern syntax", "Clear logic", "Safe effects"),
}
GRADING = st.Grading()


def made_rows(count: int, *, seed: int = 0) -> tuple[np.ndarray, GradedRows, np.ndarray]:
    """Return features, rows and which of the kind's four areas failed, [count, 4]; the grade is 5 less their number."""
    draw = np.random.default_rng(seed)
    directions = np.random.default_rng(7).standard_normal((4, 60))
    failed = draw.random((count, 4)) < 0.4
    features = (failed @ directions + 1.5 * draw.standard_normal((count, 60))).astype(np.float32)
    examples = []
    for row in range(count):
        kind = ("html", "css", "js")[row % 3]
        names = [name for name, wrong in zip(RUBRICS[kind], failed[row], strict=True) if wrong]
        feedback = " ".join(f"{name}: something on line {row}." for name in names) or "No problems found."
        rubric = " ".join(f"{name}: as it should be." for name in RUBRICS[kind])
        grade = 5 - len(names)
        asked = Message("user", f"Rubric: {rubric}\n\nSubmission:\ncode {row}")
        examples.append(
            Example((asked,), f"Grade: {grade}\nFeedback: {feedback}", grade, kind, "", str(row), f"code {row}")
        )
    return features, graded_rows(examples, FIVE), failed


def test_areas_are_read_from_the_feedback() -> None:
    _, rows, failed = made_rows(90)
    areas = areas_of_rows(rows, FIVE, GRADING)
    assert set(areas.names) == {name for names in RUBRICS.values() for name in names}
    assert areas.read.all()
    for row, kind in enumerate(rows.kinds):
        found = dict(zip(areas.names, areas.failed[row], strict=True))
        assert [found[name] for name in RUBRICS[kind]] == failed[row].astype(float).tolist()
        assert all(np.isnan(found[name]) for other in RUBRICS if other != kind for name in RUBRICS[other])
    assert areas.style.clean == "No problems found."


def test_areas_of_different_kinds_share_four_heads() -> None:
    _, rows, _ = made_rows(90)
    areas = areas_of_rows(rows, FIVE, GRADING)
    columns = dict(zip(areas.names, columns_of(areas, asked_areas(areas, rows.kinds, rows.prompts)), strict=True))
    for names in RUBRICS.values():
        assert [columns[name] for name in names] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("feedback", "names"),
    [
        ("Valid markup: open div. Separation: inline style.", ["Valid markup", "Separation"]),
        ("- Names: none\n- Safe effects: eval", ["Names", "Safe effects"]),
        ("**Names**: none\n\n* **Clear logic:** ==", ["Names", "Clear logic"]),
        ("1. Names: none\n2) Clear logic: ==\n## Safe effects: eval", ["Names", "Clear logic", "Safe effects"]),
        ("Use https://example.org: it is good. See http://x.", []),
        ("No problems found in any area.", []),
        ("names: lower case is no area.", []),
        ("Good! Names: none? Names: twice.", ["Names"]),
        ("Very good work, thank you: go on.", ["Very good work, thank you"]),
    ],
)
def test_an_area_opens_a_sentence_and_ends_with_a_colon(feedback: str, names: list[str]) -> None:
    assert named_areas(feedback) == names


def rows_of(feedbacks: Sequence[str], *, best: bool = False) -> list[AreaRow]:
    return [AreaRow("", "prompt", feedback, best) for feedback in feedbacks]


def test_a_feedback_without_areas_tells_nothing_unless_the_grade_is_the_best() -> None:
    rows = [*rows_of(["Names: bad.", "Logic: bad.", "Names: bad. Logic: bad."] * 4), *rows_of(["Fine."], best=True)]
    areas = areas_of([*rows, *rows_of(["Rather poor work."])])
    assert areas.read.tolist() == [True] * 13 + [False]
    assert areas.failed[12].tolist() == [0, 0]
    assert np.isnan(areas.failed[13]).all()


def test_headings_that_stand_in_every_feedback_and_chance_phrases_are_no_areas() -> None:
    feedbacks = [f"Summary: row {row}. {'Names: bad.' if row % 2 else ''}" for row in range(20)]
    assert areas_of(rows_of([*feedbacks[:-1], "Summary: x. One thing: odd."])).names == ("Names",)


def test_given_criteria_go_before_the_feedback_and_may_be_grades() -> None:
    rows = [AreaRow("", "", "Other: bad.", False, {"style": row % 2 == 0, "depth": row % 5}) for row in range(20)]
    areas = areas_of(rows)
    assert areas.names == ("depth", "style")
    assert areas.highest == (4, 0)
    assert areas.failed[:5].tolist() == [[1, 0], [0.75, 1], [0.5, 0], [0.25, 1], [0, 0]]
    partly = areas_of([*rows, AreaRow("", "", "", False, {"style": False})])
    assert np.isnan(partly.failed[20, 0])
    assert partly.failed[20, 1] == 1


@pytest.mark.parametrize("pattern", ["[a-z+", "[A-Z]+:"])
def test_a_pattern_that_cannot_name_an_area_is_told(pattern: str) -> None:
    with pytest.raises(SettingsProblem, match=r"grading\.area_pattern"):
        named_areas("Names: x", pattern)


def test_the_heads_name_what_failed_and_know_how_well() -> None:
    features, rows, _ = made_rows(240)
    new, fresh, failed = made_rows(300, seed=1)
    areas = areas_of_rows(rows, FIVE, GRADING)
    fitted = fit_step(features, rows, FIVE, areas)
    assert fitted.criteria is not None
    reading = read(fitted, new, fresh.kinds, fresh.prompts)
    truth = np.array(
        [
            [name in RUBRICS[kind] and bool(failed[row][RUBRICS[kind].index(name)]) for name in areas.names]
            for row, kind in enumerate(fresh.kinds)
        ]
    )
    named = np.array([[name in found for name in areas.names] for found in reading.named])
    assert f1(named, truth) > fitted.criteria.f1_all + 0.1
    assert f1(named, truth) == pytest.approx(fitted.criteria.f1, abs=0.06)
    for kind, found in zip(fresh.kinds, reading.named, strict=True):
        assert set(found) <= set(RUBRICS[kind])


def test_the_grade_comes_from_the_sum_where_that_is_better_out_of_fold() -> None:
    features, rows, _ = made_rows(240)
    areas = areas_of_rows(rows, FIVE, GRADING)
    direct, both = fit_step(features, rows, FIVE, None), fit_step(features, rows, FIVE, areas)
    best = max(direct.measured["kappa"].value, both.measured["kappa"].value)
    assert both.measured["kappa"].value == best
    new, fresh, _ = made_rows(200, seed=2)
    grades = read(both, new, fresh.kinds, fresh.prompts).grades
    assert np.abs(grades.median - fresh.labels.grades).mean() < 0.9


def test_without_areas_or_with_few_rows_there_are_no_criteria_heads() -> None:
    features, labels = graded_features(40)
    assert fit_criteria(features, labels, areas_of(rows_of(["fine"] * 40)), [""] * 40, [""] * 40) is None
    few, rows, _ = made_rows(15)
    assert fit_step(few, rows, FIVE, areas_of_rows(rows, FIVE, GRADING)).criteria is None


def test_graded_areas_are_learnt_as_passed_or_failed() -> None:
    features, rows, failed = made_rows(120)
    given = [
        AreaRow("", "", "", False, {"one": int(4 * (1 - wrong[0])), "two": bool(1 - wrong[1])}) for wrong in failed
    ]
    areas = areas_of(given)
    fitted = fit_criteria(features, replace(rows.labels, kinds=()), areas, [""] * 120, [""] * 120)
    assert fitted is not None
    right = (fitted.out_of_fold >= fitted.heads.threshold) == (areas.failed >= 0.5)
    assert right.mean() > 0.7


def test_areas_that_hardly_any_row_or_no_used_row_knows_do_no_harm() -> None:
    features, rows, failed = made_rows(60)
    given = [
        AreaRow("", "", "", False, {"one": bool(wrong[0]), "two": bool(wrong[1])} | ({"rare": True} if row < 4 else {}))
        for row, wrong in enumerate(failed)
    ]
    for weights in ([1.0] * 60, [0.0] * 4 + [1.0] * 56, [0.0] * 3 + [1.0] * 57):
        labels = replace(rows.labels, weights=weights)
        fitted = fit_criteria(features, labels, areas_of(given), [""] * 60, [""] * 60)
        assert fitted is not None
        assert np.isfinite(fitted.out_of_fold).all()
    assert areas_of([*given[4:], AreaRow("", "", "", False, {"once": True})]).names == ("one", "two")


@pytest.mark.parametrize(
    ("completion", "feedback"),
    [
        ("Grade: 3\nFeedback: Names: bad.", "Names: bad."),
        ("Names: bad.\nGrade: 3", "Names: bad.\n"),
        ("no grade", "no grade"),
    ],
)
def test_the_feedback_is_the_completion_without_its_grade(completion: str, feedback: str) -> None:
    assert feedback_of(completion, GRADING.pattern, "\nFeedback: ") == feedback


# --- the forced structure


def test_a_written_feedback_names_exactly_the_areas_of_the_plan() -> None:
    _, rows, _ = made_rows(90)
    areas = areas_of_rows(rows, FIVE, GRADING)
    stem = ("Grade: ", "\nFeedback: ")
    named = [["Names", "Separation"], [], ["Valid markup"]]
    plans = [feedback_plan(str(5 - len(row)), row, areas.names, stem, areas.style) for row in named]

    def babble(rows: list[int], texts: list[str], segments: list[Segment]) -> list[str]:
        assert len(rows) == len(texts)
        assert all("Semantics:" in segment.stops for segment in segments)
        return [f"line {len(text)} is wrong. Semantics: also this. Names: and that" for text in texts]

    written = follow(plans, babble)
    assert [named_areas(feedback_of(text, GRADING.pattern, stem[1])) for text in written] == named
    assert written[1] == "Grade: 5\nFeedback: No problems found."
    assert written[0].startswith("Grade: 3\nFeedback: Names: line")
    assert ". Separation: line" in written[0]


def test_where_nothing_is_usually_said_of_good_rows_the_model_writes_it() -> None:
    rows = [*rows_of(["Names: bad.", "Logic: bad."] * 5), *rows_of(["Fine.", "Good.", "Well done."], best=True)]
    areas = areas_of(rows)
    assert areas.style.clean == ""
    plan = feedback_plan("5", [], areas.names, ("Grade: ", "\n"), areas.style)
    assert follow([plan], lambda _, __, ___: ["All is well. Names: no"]) == ["Grade: 5\nAll is well."]


def test_a_text_is_cut_at_the_first_stop() -> None:
    assert until("a. Names: b. Logic: c", ("Logic:", "Names:")) == "a."
    assert until("nothing to stop at", ("Names:",)) == "nothing to stop at"


@pytest.mark.parametrize(
    "written",
    ["no sentence at all", "ends here)", "a.\n- **Names**: again", "x! Logic: no", "", "a; Logic (*): b"],
)
@pytest.mark.parametrize(
    ("line", "pattern"),
    [
        ("Names: bad. Logic: bad.", GRADING.area_pattern),
        ("- **Names**: bad\n- **Logic**: bad", GRADING.area_pattern),
        ("[Names] is bad. [Logic] is bad", r"\[([A-Z][a-z]+)\]"),
        ("Names: bad\n\nLogic: bad", GRADING.area_pattern),
    ],
    ids=["sentences", "a list", "brackets", "paragraphs"],
)
def test_whatever_the_model_writes_the_text_names_the_areas_of_the_plan(line: str, pattern: str, written: str) -> None:
    feedbacks = [line, line, line, line.split(line[line.index("Logic") - 1])[0], "Fine."]
    rows = [AreaRow("html", "", text, text == "Fine.") for text in (*feedbacks, *feedbacks)]
    areas = areas_of(rows, pattern)
    assert set(areas.names) == {"Names", "Logic"}
    for named in (["Names", "Logic"], ["Logic"]):
        plan = feedback_plan("2", named, areas.names, ("Grade: ", "\nFeedback: "), areas.style)
        (text,) = follow([plan], lambda rows, _, __: [written] * len(rows), pattern)
        assert named_areas(feedback_of(text, GRADING.pattern, "\nFeedback: "), pattern) == named


def test_a_text_that_was_cut_ends_with_its_last_whole_sentence() -> None:
    assert sentences("One is bad. Two is w") == "One is bad."
    assert sentences("One is bad") == "One is bad"
    assert sentences("One is bad. Two is worse.") == "One is bad. Two is worse."
    assert sentences("One\nTwo is w") == "One"


@pytest.mark.parametrize(
    "line",
    [
        "{}: this is bad. {}: this is bad.",
        "- {}: this is bad\n- {}: this is bad",
        "**{}**: this is bad. **{}**: this is bad.",
        "* **{}:** this is bad\n* **{}:** this is bad",
        "1. {}: this is bad\n2. {}: this is bad",
        "{}: this is bad; {}: this is bad",
        "## {}:\nthis is bad\n\n## {}:\nthis is bad",
    ],
)
def test_a_feedback_is_written_as_the_rows_are(line: str) -> None:
    both = line.format("Names", "Logic")
    alone = [re.split(r"(?<=bad)", line)[0].format(name) for name in ("Names", "Logic")]
    rows = [AreaRow("html", "", text, text == "Fine.") for text in (both, both, *alone, "Fine.") for _ in range(3)]
    areas = areas_of(rows)
    plan = feedback_plan("2", ["Names", "Logic"], areas.names, ("Grade: ", "\nFeedback: "), areas.style)
    said = "this is bad" + ("." if line.endswith(".") else "")
    (text,) = follow([plan], lambda rows, _, __: [said] * len(rows))
    assert text == f"Grade: 2\nFeedback: {both}"
