"""Whether a step grades better than the one before: the same difference as the race's, and words that claim no more."""

import numpy as np
import pytest
from msgspec.structs import replace

from opeddev_tui.analysis.step_grades import (
    NO_DIFFERENCE,
    GradesAfter,
    change_words,
    grade_series,
    grades_after,
    kappa_gain,
    step_change,
)
from opeddev_tui.grading import intervals
from opeddev_tui.grading.scores import MISSING, Predictions, Reference, paired_difference
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.grade_records import BASE_HEAD, STEP_TOKENS, Figure, RacedWay
from opeddev_tui.runs.state import RunState, reduce

LABELS = ("1", "2", "3", "4", "5")


def given(skill: float, rows: int, seed: int, *, missing: bool = False) -> tuple[str, ...]:
    """Return grades of ``rows`` rows that are right with a chance of ``skill``, some of them missing."""
    generator = np.random.default_rng(seed)
    right = [LABELS[row % 5] for row in range(rows)]
    drawn = generator.choice(LABELS, rows)
    found = [a if generator.random() < skill else str(b) for a, b in zip(right, drawn, strict=True)]
    return tuple("" if missing and row % 7 == 0 else label for row, label in enumerate(found))


def after(grades: tuple[str, ...], name: str = "step 1", way: str = BASE_HEAD) -> GradesAfter:
    rows = len(grades)
    return GradesAfter(
        name, way, Figure(0.2), ("f", rows), LABELS, tuple(map(str, range(rows))),
        tuple(LABELS[row % 5] for row in range(rows)), grades,
    )  # fmt: skip


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("rows", [10, 30, 50, 400])
@pytest.mark.parametrize("skills", [(0.2, 0.3), (0.1, 0.9), (0.8, 0.2)])
def test_the_difference_is_that_of_the_race(skills: tuple[float, float], rows: int, missing: bool) -> None:
    one, other = (given(skill, rows, seed, missing=missing) for seed, skill in enumerate(skills))
    found = kappa_gain(after(one), after(other, "step 2"))
    predictions = [
        Predictions(np.array([LABELS.index(label) if label else MISSING for label in grades]))
        for grades in (one, other)
    ]
    known = paired_difference(predictions[1], predictions[0], Reference(np.arange(rows) % 5, 5))
    assert found is not None
    assert known is not None
    assert (found.value, found.low, found.high) == pytest.approx((known.value, known.low, known.high), abs=2e-3)


def test_one_grade_for_all_rows_of_one_grade_has_no_difference() -> None:
    same = ("3",) * 40
    assert kappa_gain(replace(after(same), reference=same), replace(after(same), reference=same)) is None
    # nor has it for the race
    assert np.isnan(intervals.kappa(np.full(40, 2.0), np.full(40, 2.0))[0])


SAME, BETTER = given(0.3, 60, 1), given(0.95, 60, 2)


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        (SAME, given(0.3, 60, 3), NO_DIFFERENCE),
        (SAME, SAME, f"{NO_DIFFERENCE} (+0.00, 95% interval +0.00 to +0.00)"),
        (SAME, BETTER, "better (+0."),
        (BETTER, SAME, "worse (-0."),
        (SAME[:20], given(0.3, 20, 3), "; 20 hold-out rows are few: with fewer than 30 this may be chance)"),
        (SAME[:9], BETTER[:9], "not compared (9 hold-out rows are too few)"),
    ],
)
def test_the_words_claim_no_more_than_the_interval(one: tuple[str, ...], other: tuple[str, ...], said: str) -> None:
    told = change_words(after(one), after(other, "step 2"))
    assert told.startswith("step 1 to 2: kappa 0.20 to 0.20 by the head on the base model, ")
    assert said in told


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"scored_on": ("g", 60)}, "not compared (another hold-out)"),
        ({"ids": ("x",) * 60}, "not compared (the grades of the hold-out have changed between them)"),
        ({"reference": ("3",) * 60}, "not compared (the grades of the hold-out have changed between them)"),
        ({"labels": ("5", "4", "3", "2", "1")}, "not compared (the grades of the hold-out have changed between them)"),
    ],
)
def test_other_rows_are_not_compared(values: dict[str, object], said: str) -> None:
    assert change_words(after(SAME), replace(after(BETTER, "step 2"), **values)).endswith(said)


def run(
    step: int, grades: tuple[str, ...], *, way: str = BASE_HEAD, holdout: str = "f", chosen: bool = True
) -> RunState:
    rows = len(grades)
    raced = RacedWay(way, "", {"kappa": Figure(0.1 * step, 0.0, 0.5)}, grades=grades, mode="head")
    item = after(grades)
    return reduce(
        [
            ev.RunStarted(
                run=f"r{step}", step=step, batch=f"b{step}", rows=100 * (step + 1), holdout_rows=rows,
                holdout_fingerprint=holdout, planned_epochs=2, max_epochs=4, seed=1,
            ),
            ev.EpochFinished(epoch=1, train_loss=1, val_loss=1, samples_per_second=1, global_step=1),
            ev.RaceHeld(
                epoch=1, ways=(raced,), chosen=way if chosen else "", labels=LABELS, ids=item.ids,
                reference=item.reference,
            ),
        ]
    )  # fmt: skip


def test_the_last_step_is_compared_with_the_newest_graded_one_before() -> None:
    steps = [run(0, SAME), run(1, SAME), run(2, SAME, chosen=False), run(3, BETTER)]
    assert step_change(steps).startswith(
        "Grading, step 1 to 3: kappa 0.10 to 0.30 by the head on the base model, better"
    )
    brief = step_change(steps, brief=True)
    assert brief == "Grading, step 1 to 3: kappa 0.10 to 0.30, better."
    # a step that was not graded is compared with nothing, and the first one neither
    assert step_change(steps[:3]) == step_change(steps[:1]) == step_change([]) == ""
    assert grades_after(RunState()) is grades_after(run(1, ())) is None
    told = grade_series(steps)
    assert told == "Kappa per step by the head on the base model: 0.00, 0.10, 0.30; step 1 to 3: better."
    assert grade_series(steps[:1]) == ""


def test_each_way_and_hold_out_is_named_where_they_are_not_the_same() -> None:
    steps = [run(0, SAME), run(1, BETTER, way=STEP_TOKENS)]
    said = "kappa 0.00 by the head on the base model to 0.10 by the grade tokens of the step's model, better"
    assert said in step_change(steps)
    assert grade_series(steps).startswith("Kappa per step by the way that graded then: 0.00, 0.10;")
    other = [run(0, SAME, holdout="g"), run(1, BETTER)]
    for brief in (False, True):
        assert step_change(other, brief=brief).endswith("not compared (another hold-out).")
    assert grade_series(other) == ""
