"""A verdict in words: what each measure says, where they disagree, and what decides."""

from __future__ import annotations

import math

import pytest

from opeddev_tui.runs.events import GradesMeasured, GradesRead, Verdict
from opeddev_tui.runs.grade_records import Figure, WayGrades
from opeddev_tui.runs.state import RunState
from opeddev_tui.runs.verdict_words import advice, disagree, findings, one_grade, reasons_of


def verdict(**values: object) -> Verdict:
    fields: dict[str, object] = {"epoch": 2, "choice": "stop", "limit_reached": False, "reasons": ("first", "second")}
    return Verdict(**(fields | values))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, ""),
        ({"difference": math.nan}, ""),
        ({"difference": 0.0, "interval": (0.0, 0.0)}, "loss the same"),
        ({"difference": 0.1, "interval": (0.05, 0.2)}, "loss better"),
        ({"difference": -0.1, "interval": (-0.2, 0.1)}, "loss worse within noise"),
        ({"difference": -0.1, "grade_difference": -0.1}, "loss worse, grades worse"),
        ({"difference": -0.1, "grade_difference": 0.1}, "loss worse, grades better: they disagree; the loss decides"),
        (
            {"difference": -0.1, "grade_difference": 0.1, "metric": "grade", "grade_improved": True,
             "choice": "continue"},
            "grades better, loss worse: they disagree; the grades decide",
        ),
        (
            {"difference": -0.1, "human_improved": True, "choice": "continue"},
            "loss worse, generations better: they disagree; what people prefer decides",
        ),
        # the plan decides, and no measure
        ({"difference": 0.0, "grade_difference": -0.1, "choice": "continue"}, "loss the same, grades worse"),
        ({"difference": -0.1, "grade_difference": 0.1, "choice": "continue"},
         "loss worse, grades better: they disagree"),
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
    for noise, interval in (("", (0.05, 0.3)), (" within noise", (-0.1, 0.3))):
        found = verdict(difference=0.1, interval=(0.05, 0.2), grade_difference=0.1, grade_interval=interval)
        # what is worth nothing is not called noise as well
        short = " but " in said
        told = f"loss better, grades {said if short else said + noise}"
        assert findings(found, state=state) == told
        # a list of reasons begins with it, as it does with a disagreement
        assert reasons_of(found, state) == ((told,) if short else ()) + ("first", "second")
    # what got worse is said as before, and so are exact grades, which are no distance
    assert findings(verdict(grade_difference=-0.1), state=state) == "grades worse"
    told = f"exact grades better{said[len('nearer') :] if said != 'better' else ''}"
    assert findings(verdict(), 0.1, state) == told


def test_grades_of_another_epoch_say_nothing_of_this_one() -> None:
    assert findings(verdict(epoch=3, grade_difference=0.1), state=graded(kappa=0.0)) == "grades better"


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
