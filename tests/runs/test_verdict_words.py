"""A verdict in words: what each measure says, where they disagree, and what decides."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace

from opeddev_tui.runs.events import GradesMeasured, GradesRead, Verdict
from opeddev_tui.runs.grade_records import Figure, WayGrades
from opeddev_tui.runs.state import RunState
from opeddev_tui.runs.verdict_words import advice, disagree, findings, one_grade, reasons_of


def verdict(**values: object) -> Verdict:
    fields: dict[str, object] = {"epoch": 2, "choice": "stop", "limit_reached": False, "reasons": ("first", "second")}
    return Verdict(**(fields | values))  # type: ignore[arg-type]


UP, DOWN, NOISE = (0.05, 0.2), (-0.2, -0.05), (-0.1, 0.2)
WORSE, BETTER = {"difference": -0.1, "interval": DOWN}, {"difference": 0.1, "interval": UP}
NEARER, FARTHER = {"grade_difference": 0.1, "grade_interval": UP}, {"grade_difference": -0.1, "grade_interval": DOWN}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, ""),
        ({"difference": math.nan}, ""),
        ({"difference": 0.0, "interval": (0.0, 0.0)}, "loss the same"),
        (BETTER, "loss better"),
        ({"difference": -0.1, "interval": NOISE}, "loss unchanged within noise"),
        # nothing says that it is more than noise
        ({"difference": -0.1}, "loss unchanged within noise"),
        ({"difference": -0.1, "interval": (math.nan, math.nan)}, "loss unchanged within noise"),
        (WORSE | FARTHER, "loss worse, grades worse"),
        (WORSE | NEARER, "loss worse, grades better: they disagree; the loss decides"),
        (BETTER | {"grade_difference": -0.1, "grade_interval": NOISE}, "loss better, grades unchanged within noise"),
        (
            WORSE | NEARER | {"metric": "grade", "grade_improved": True, "choice": "continue"},
            "grades better, loss worse: they disagree; the grades decide",
        ),
        (
            WORSE | {"human_improved": True, "choice": "continue"},
            "loss worse, generations better: they disagree; what people prefer decides",
        ),
        # the plan decides, and no measure
        ({"difference": 0.0, "choice": "continue"} | FARTHER, "loss the same, grades worse"),
        (WORSE | NEARER | {"choice": "continue"}, "loss worse, grades better: they disagree"),
        # the rule goes by a gain that is noise, unless it is set not to
        (
            {"difference": 0.1, "interval": NOISE, "loss_improved": True, "choice": "continue"},
            "loss unchanged within noise, but the rule counts the gain of the loss",
        ),
        (
            {"grade_difference": 0.1, "grade_interval": NOISE, "grade_improved": True, "choice": "continue",
             "metric": "grade"} | WORSE,
            "grades unchanged within noise, loss worse, but the rule counts the gain of the grades",
        ),
    ],
)  # fmt: skip
def test_what_the_measures_say(values: dict[str, object], said: str) -> None:
    found = verdict(**values)
    assert findings(found) == said
    assert disagree(found) == ("they disagree" in said)
    # every list of reasons begins with a disagreement, and says nothing twice otherwise
    assert reasons_of(found) == ((said,) if disagree(found) else ()) + ("first", "second")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "stop"),
        ({"choice": "continue", "loss_improved": True}, "continue"),
        ({"choice": "continue", "human_improved": True}, "continue"),
        ({"choice": "continue"}, "continue (first)"),
        ({"choice": "continue", "loss_improved": True, "metric": "grade"}, "continue (first)"),
        ({"limit_reached": True, "loss_improved": True}, "stop (first)"),
    ],
)
def test_the_advice_says_where_no_measure_decides(values: dict[str, object], said: str) -> None:
    assert advice(verdict(**values)) == said


# --- grades that are nearer, and what they are worth

RIGHT = (1, 2, 3, 4, 5) * 8


def graded(**values: object) -> RunState:
    """A run whose model was graded after epoch 2; well, unless ``values`` say otherwise."""
    fields: dict[str, object] = {
        "epoch": 2, "predicted": RIGHT, "reference": RIGHT, "parsed": 1.0, "exact": 0.5, "within_one": 0.9,
        "mean_absolute_error": 0.5, "kappa": 0.4, "majority_exact": 0.26, "way": "step tokens",
    }  # fmt: skip
    state = RunState()
    state.grades[2] = GradesMeasured(**(fields | values))  # type: ignore[arg-type]
    return state


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "better"),
        ({"kappa": None}, "better"),
        ({"kappa": 0.0}, "nearer but still guessing"),
        # what is shown as 0.00 is 0.00
        ({"kappa": 0.004}, "nearer but still guessing"),
        ({"kappa": -0.2}, "nearer but still guessing"),
        ({"kappa": 0.01}, "better"),
        ({"exact": 0.26}, "nearer but nothing beaten yet"),
        ({"exact": 0.2, "kappa": None}, "nearer but nothing beaten yet"),
        ({"n_grams": {"exact": Figure(0.6)}}, "nearer but nothing beaten yet"),
        ({"classifier_exact": 0.6}, "nearer but nothing beaten yet"),
        # the base model's grades are no grades of what is trained
        ({"kappa": 0.0, "way": "base head"}, "better"),
    ],
)
def test_nearer_grades_are_not_called_better_where_they_are_worth_nothing(values: dict[str, object], said: str) -> None:
    state = graded(**values)
    found = verdict(**BETTER, **NEARER)
    told = f"loss better, grades {said}"
    assert findings(found, state) == told
    # a list of reasons begins with it, as it does with a disagreement
    assert reasons_of(found, state) == ((told,) if " but " in said else ()) + ("first", "second")
    # what is noise is not nearer, and what got worse is said as before
    noise = verdict(**BETTER, grade_difference=0.1, grade_interval=NOISE)
    assert findings(noise, state) == "loss better, grades unchanged within noise"
    assert reasons_of(noise, state) == ("first", "second")
    assert findings(verdict(**FARTHER), state) == "grades worse"


RISES = (-0.02, 0.0, 0.004, 0.02)


@pytest.mark.parametrize("kappa", [None, *RISES])
@pytest.mark.parametrize("within", RISES)
@pytest.mark.parametrize("exact", RISES)
def test_the_distance_is_named_where_the_shown_figures_do_not_bear_it_out(
    exact: float, within: float, kappa: float | None
) -> None:
    state = graded(exact=0.5 + exact, within_one=0.9 + within, kappa=None if kappa is None else 0.4 + kappa)
    state.grades[1] = replace(graded().grades[2], epoch=1)
    # 0.004 is not seen
    seen = {round(rise, 2) for rise in (exact, within, kappa) if rise is not None}
    for sign, said, values in ((1, "better", NEARER), (-1, "worse", FARTHER)):
        moves = {sign * rise for rise in seen}
        told = "" if max(moves) > 0 and min(moves) >= 0 else " by expected distance"
        found = verdict(**values, grade_compared_with=1)
        assert findings(found, state) == f"grades {said}{told}"
        # other grades are not beside it: of another epoch, or read in another way
        assert findings(verdict(**values, grade_compared_with=0), state) == f"grades {said}"
        other = graded()
        other.grades[1] = replace(state.grades[1], way="step head")
        assert findings(found, other) == f"grades {said}"
        noise = verdict(grade_difference=0.1 * sign, grade_interval=NOISE, grade_compared_with=1)
        assert findings(noise, state) == "grades unchanged within noise"


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [(10, 10, "the same"), (10, 12, "unchanged within noise"), (12, 10, "unchanged within noise"),
     (10, 25, "better"), (25, 10, "worse"), (0, 3, "unchanged within noise"), (0, 6, "better")],
)  # fmt: skip
def test_exact_grades_stand_in_where_the_verdict_has_no_distance(before: int, now: int, said: str) -> None:
    wrong = (0,) * 40
    state = graded(predicted=RIGHT[:now] + wrong[now:], exact=now / 40)
    state.grades[1] = replace(state.grades[2], predicted=RIGHT[:before] + wrong[before:], exact=before / 40)
    found = verdict(compared_with=1)
    short = " but nothing beaten yet" if said == "better" and now / 40 <= 0.26 else ""
    assert findings(found, state) == f"exact grades {said}{short}"
    assert findings(verdict(), state) == ""
    # the base model's grades are the same after every epoch
    state.grades[2] = replace(state.grades[2], way="base head")
    assert findings(found, state) == ""


def test_grades_of_another_epoch_say_nothing_of_this_one() -> None:
    assert findings(verdict(epoch=3, **NEARER), graded(kappa=0.0)) == "grades better"


@pytest.mark.parametrize(
    ("predicted", "reference", "said"),
    [
        ((4,) * 40, RIGHT, "it gives 4 to all hold-out rows"),
        ((4,) * 39 + (2,), RIGHT, "it gives 4 to 39 of 40 hold-out rows"),
        ((4,) * 37 + (2,) * 3, RIGHT, ""),
        (RIGHT, RIGHT, ""),
        # the rows are all alike, and so no fault of the model
        ((4,) * 40, (4,) * 40, ""),
        # no grade was read at all: that is another fault
        ((None,) * 40, RIGHT, ""),
        ((), (), ""),
    ],
)
def test_one_grade_for_all_rows_is_said(
    predicted: tuple[int | None, ...], reference: tuple[int, ...], said: str
) -> None:
    state = graded(predicted=predicted, reference=reference)
    assert one_grade(state, 2) == said
    assert reasons_of(verdict(), state) == ((said,) if said else ()) + ("first", "second")
    assert one_grade(state, 1) == ""
    assert one_grade(graded(predicted=predicted, reference=reference, way="base head"), 2) == ""


def test_one_grade_is_named_as_its_scale_names_it() -> None:
    state = graded(predicted=(2,) * 40)
    labels = ("poor", "fair", "good")
    way = WayGrades("step tokens", "the grade tokens", ("fair",) * 40)
    state.readings[2] = GradesRead(
        epoch=2, labels=labels, ids=("",) * 40, reference=(*labels, "fair") * 10, ways=(way,)
    )  # fmt: skip
    assert one_grade(state, 2) == "it gives fair to all hold-out rows"


@pytest.mark.parametrize(
    ("loss", "grades", "of_loss", "of_grades", "said"),
    [
        (BETTER, FARTHER, 1, 0, "loss better than epoch 1, grades worse than before the step: they disagree"),
        (BETTER, NEARER, 1, 2, "loss better than epoch 1, grades better than epoch 2"),
        (BETTER, {"grade_difference": 0.1, "grade_interval": NOISE}, 0, 2,
         "loss better than before the step, grades unchanged within noise"),
        ({"difference": 0.0}, NEARER, 1, 0, "loss the same as epoch 1, grades better than before the step"),
        # one baseline for both needs no name, and one that is not known has none
        (BETTER, FARTHER, 1, 1, "loss better, grades worse: they disagree"),
        (BETTER, FARTHER, None, 0, "loss better, grades worse: they disagree"),
    ],
)  # fmt: skip
def test_two_baselines_in_one_sentence_are_named(
    loss: dict[str, object], grades: dict[str, object], of_loss: int | None, of_grades: int, said: str
) -> None:
    found = verdict(**loss, **grades, compared_with=of_loss, grade_compared_with=of_grades)
    assert findings(found).startswith(said)
