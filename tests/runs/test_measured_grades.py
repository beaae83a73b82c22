"""What the hold-out measured stands beside a grade in one sentence each, with the warning of the race."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from opeddev_tui.grading.honesty import check_claim
from opeddev_tui.grading.intervals import Estimate
from opeddev_tui.runs.events import GradesRead, RaceHeld
from opeddev_tui.runs.grade_records import Figure, RacedWay, WayGrades
from opeddev_tui.runs.grade_words import counted_off
from opeddev_tui.runs.measured_grades import measured, race_warning
from opeddev_tui.runs.state import RunState

LABELS = ("1", "2", "3", "4", "5")
HEAD = "base head"
WORSE = Figure(-0.4, -0.6, -0.2)


def state(rows: int = 50, *, covered: int = 32, to_cheap: Figure = WORSE, claim: str = "") -> RunState:
    """Return a run of whose ``rows`` half were graded one too high; ``covered`` sets hold the right grade."""
    reference = ("3",) * rows
    given = tuple("3" if row % 2 else "4" for row in range(rows))
    sets = tuple(("3", "4") if row < covered else ("4",) for row in range(rows))
    way = WayGrades(HEAD, "the head", given, sets=sets)
    raced = RacedWay(HEAD, "the head", to_cheap=to_cheap, mode="head", claim=claim, grades=given)
    cheap = RacedWay("n-grams", "the n-gram grader", cheap=True)
    found = RunState()
    found.readings[1] = GradesRead(epoch=1, labels=LABELS, ids=("",) * rows, reference=reference, ways=(way,))
    found.races[1] = RaceHeld(
        epoch=1, holdout_rows=rows, ways=(cheap, raced), chosen=HEAD, labels=LABELS, reference=reference
    )
    return found


@pytest.mark.parametrize(
    ("tolerance", "share", "near"), [(0, "50% (37% to 63%)", "a person's"), (1, "100% (93% to 100%)", "within one")]
)
def test_the_share_within_the_tolerance_is_told_with_interval_and_rows(tolerance: int, share: str, near: str) -> None:
    found = measured(state(), 1, HEAD, LABELS, tolerance)
    assert found is not None
    assert found.agreement.startswith(f"On 50 hold-out rows {share} of its grades were ")
    assert near in found.agreement


def test_recorded_figures_are_those_of_the_grading_screen() -> None:
    run = state()
    way = replace(run.readings[1].ways[0], figures={"within_one": Figure(0.66, 0.52, 0.78)})
    run.readings[1] = replace(run.readings[1], ways=(way,))
    found = measured(run, 1, HEAD, LABELS, 1)
    assert found is not None
    assert "66% (52% to 78%) of its grades were within one grade of a person's" in found.agreement


@pytest.mark.parametrize(("covered", "told"), [(32, True), (44, True), (45, False), (50, False)])
def test_sets_that_hold_less_than_they_promise_are_told(covered: int, told: bool) -> None:
    found = measured(state(covered=covered), 1, HEAD, LABELS, 1)
    assert found is not None
    assert found.covered is not None
    assert bool(found.coverage) is told
    assert not told or f"{covered * 2}% (" in found.coverage


@pytest.mark.parametrize(
    ("to_cheap", "warns"), [(WORSE, True), (Figure(-0.1, -0.3, 0.1), False), (Figure(0.2, 0.1, 0.3), False)]
)
def test_the_warning_is_that_of_the_race(to_cheap: Figure, warns: bool) -> None:
    run = state(to_cheap=to_cheap)
    found = measured(run, 1, HEAD, LABELS, 1)
    assert found is not None
    assert ("Do not rely on these grades" in found.warning) is warns
    assert found.warning == race_warning(run.races[1])
    assert found.words[0] == (found.warning or found.agreement)


def test_a_head_that_claims_too_much_is_told_so_beside_its_grades() -> None:
    claim = check_claim({"kappa": Estimate(0.9, 0.85, 0.95)}, {"kappa": Estimate(0.1, 0.0, 0.2)}, 50, remembered=False)
    found = measured(state(to_cheap=Figure(0.1, -0.1, 0.3), claim=claim.words), 1, HEAD, LABELS, 1)
    assert found is not None
    assert found.warning == claim.words


def test_few_rows_have_no_interval_and_no_warning() -> None:
    found = measured(state(9, covered=9), 1, HEAD, LABELS, 0)
    assert found is not None
    assert found.words == ("On 9 hold-out rows 44% of its grades were a person's.",)


def test_what_nobody_recorded_is_not_told() -> None:
    assert measured(RunState(), 1, HEAD, LABELS, 1) is None
    assert measured(state(), 1, "step text", LABELS, 1) is None
    assert measured(state(), 1, HEAD, ("A", "B", "C"), 1) is None
    assert race_warning(None) == ""


@pytest.mark.parametrize(("grades", "wanted", "within"), [(5, 1, 1), (3, 1, 0), (2, 1, 0), (7, 9, 2)])
def test_a_short_scale_lets_fewer_grades_be_off(grades: int, wanted: int, within: int) -> None:
    assert counted_off(wanted, grades) == within
