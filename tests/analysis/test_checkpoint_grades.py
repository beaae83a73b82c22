"""Two checkpoints are compared by one way that read both, with a verdict that claims no more than the interval."""

import pytest

from opeddev_tui.analysis.checkpoint_grades import comparison, recorded_grades
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.grade_records import BASE_HEAD, STEP_HEAD, STEP_TOKENS, Figure, RacedWay, WayGrades
from opeddev_tui.runs.state import RunState, reduce

LABELS = ("1", "2", "3", "4", "5")
ROWS = 60
RIGHT = tuple(LABELS[row % 5] for row in range(ROWS))
# each wrong by as much as can be
WRONG = tuple(LABELS[4 - row % 5] for row in range(ROWS))
ONE_GRADE = ("3",) * ROWS


def state_of(
    *read: tuple[int, str, tuple[str, ...]], holdout: str = "f", chosen: str = "", ids: str = "row"
) -> RunState:
    """Return a run in which each (epoch, way, grades) was read; ``chosen`` won the race after the last epoch."""
    names = tuple(f"{ids}{row}" for row in range(ROWS))
    events: list[ev.AnyEvent] = [
        ev.RunStarted(
            run="r", step=1, batch="b", rows=100, holdout_rows=ROWS, holdout_fingerprint=holdout, planned_epochs=2,
            max_epochs=4, seed=1,
        ),
    ]  # fmt: skip
    for epoch in sorted({item[0] for item in read}):
        ways = tuple(
            WayGrades(way, way, grades, figures={"kappa": Figure(0.25, 0.0, 0.5)})
            for at, way, grades in read
            if at == epoch
        )
        events.append(ev.GradesRead(epoch=epoch, labels=LABELS, ids=names, reference=RIGHT, ways=ways))
    if chosen:
        raced = RacedWay(chosen, chosen, grades=read[-1][2])
        events.append(
            ev.RaceHeld(epoch=read[-1][0], ways=(raced,), chosen=chosen, labels=LABELS, ids=names, reference=RIGHT)
        )
    return reduce(events)


def test_the_way_that_grades_comes_first_and_what_reads_no_weights_of_the_checkpoint_is_left_out() -> None:
    state = state_of(
        *((1, way, RIGHT) for way in (BASE_HEAD, STEP_TOKENS, STEP_HEAD)), (1, "n-grams", RIGHT), chosen=STEP_TOKENS
    )
    assert [item.way for item in recorded_grades(state, 1, "step 1 epoch 1")] == [STEP_TOKENS, STEP_HEAD]
    assert recorded_grades(state, 2, "step 1 epoch 2") == ()


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (WRONG, RIGHT, "better (+2.00, 95% interval +2.00 to +2.00)."),
        (RIGHT, WRONG, "worse (-2.00, 95% interval -2.00 to -2.00)."),
        (ONE_GRADE, ONE_GRADE, "the same grade for each of 60 hold-out rows."),
    ],
)
def test_both_kappas_stand_beside_their_difference(before: tuple[str, ...], now: tuple[str, ...], said: str) -> None:
    state = state_of((1, STEP_TOKENS, before), (2, STEP_TOKENS, now))
    one, two = (recorded_grades(state, epoch, f"epoch {epoch}") for epoch in (1, 2))
    assert comparison(one, two) == f"Grading by the grade tokens of each one's model: kappa 0.25 to 0.25, {said}"


def test_one_way_reads_both_although_another_one_grades() -> None:
    first = recorded_grades(state_of((1, STEP_TOKENS, WRONG)), 1, "step 0 epoch 1")
    second = state_of((2, STEP_TOKENS, RIGHT), (2, STEP_HEAD, RIGHT), chosen=STEP_HEAD)
    told = comparison(first, recorded_grades(second, 2, "step 1 epoch 2"))
    assert told.startswith("Grading by the grade tokens of each one's model: kappa 0.25 to 0.25, better")
    other = recorded_grades(state_of((2, STEP_HEAD, RIGHT)), 2, "step 1 epoch 2")
    assert comparison(first, other) == "Grading: not compared (they were read by different ways)."
    assert comparison(first, ()) == comparison((), first) == ""


@pytest.mark.parametrize(
    ("values", "reason"),
    [({"holdout": "g"}, "another hold-out"), ({"ids": "x"}, "the grades of the hold-out have changed between them")],
)
def test_other_rows_are_not_compared(values: dict[str, str], reason: str) -> None:
    one = recorded_grades(state_of((1, STEP_TOKENS, WRONG)), 1, "epoch 1")
    two = recorded_grades(state_of((1, STEP_TOKENS, RIGHT), **values), 1, "epoch 1")
    assert comparison(one, two).endswith(f"not compared ({reason}).")
