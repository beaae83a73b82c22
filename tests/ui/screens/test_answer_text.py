"""What an answer says of its own figures: what a confidence is of, what ✗ means, where grade and areas disagree."""

from __future__ import annotations

import pytest
from grader_child import LABELS, graded
from msgspec.structs import replace

from opeddev_tui.serving.asked import Criterion
from opeddev_tui.serving.worker_messages import Answered
from opeddev_tui.ui.screens.grader.answer_text import answer_text

APART = "the grade is read separately"


def told(grade: str, failed: int, *, limit: float | None = 0.38, tolerance: int = 1) -> str:
    criteria = {f"Area {place}": Criterion(0.451, place >= failed, limit) for place in range(5)}
    one = replace(graded(0), grade=grade, criteria=criteria, tolerance=tolerance)
    return answer_text(Answered(id=1, number=0, graded=one), None, 76, plain=False).plain


@pytest.mark.parametrize("grade", LABELS)
@pytest.mark.parametrize("failed", range(5))
def test_grade_and_areas_that_disagree_are_said_to_be_read_apart(grade: str, failed: int) -> None:
    shown = told(grade, failed)
    assert (APART in shown) == (int(grade) + failed != 5)
    if APART in shown:
        assert ("the best grade:" in shown) == (grade == "5")
        assert f"{failed} area{'' if failed == 1 else 's'} ✗, " in shown


def test_a_mark_says_from_which_probability_on_it_stands() -> None:
    assert "✗ from 38% on" in told("4", 2)
    assert "✗ from" not in told("4", 2, limit=None)


@pytest.mark.parametrize(
    ("tolerance", "words"),
    [(0, "that it is a person's"), (1, "within one grade of a person's"), (2, "within 2 grades of a person's")],
)
def test_a_confidence_says_what_it_is_of(tolerance: int, words: str) -> None:
    assert words in told("4", 2, tolerance=tolerance)


@pytest.mark.parametrize(
    ("confidence", "far"), [(0.66, False), (0.52, False), (0.78, False), (0.85, True), (0.3, True)]
)
def test_what_was_measured_stands_below_a_confidence_and_warns_where_they_are_far_apart(
    confidence: float, far: bool
) -> None:
    one = replace(graded(0), confidence=confidence)
    shown = answer_text(Answered(id=1, number=0, graded=one), None, 76, plain=False)
    lines = shown.split("\n")
    (place,) = [place for place, line in enumerate(lines) if "confidence" in line.plain]
    below = lines[place + 1]
    assert below.plain == "On 50 hold-out rows 66% (52% to 78%) of its grades were within one grade of a person's."
    assert any("warning" in str(span.style) for span in below.spans) is far
    assert "90% sets held the right grade in 76% (63% to 86%)" in lines[place + 2].plain


def test_the_warning_of_the_race_stands_beside_the_grade() -> None:
    one = graded(0)
    assert one.measured is not None
    warned = replace(one, measured=replace(one.measured, warning="Do not rely on these grades: it is worse."))
    shown = answer_text(Answered(id=1, number=0, graded=warned), None, 76, plain=False).plain
    assert "Do not rely on these grades: it is worse." in shown
    assert shown.index("Do not rely") < shown.index("No person needs to look")
