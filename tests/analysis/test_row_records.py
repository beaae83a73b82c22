"""What a run tells of single hold-out rows, and when it cannot be told."""

from __future__ import annotations

from msgspec.structs import replace

from opeddev_tui.analysis.row_records import RowRecord, holdout_records
from opeddev_tui.data.rows import Example, Message
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.state import RunState, reduce

AT = 1_700_000_000.0


def example(number: int, grade: int | None, **other: object) -> Example:
    plain = Example((Message("user", f"question {number}"),), "Grade: 3", grade, "css", f"rows.jsonl:{number}",
                    f"row-{number}", f"<b>{number}</b>")  # fmt: skip
    return replace(plain, **other)


def scored(rows: int, *, version: str = "v1") -> RunState:
    measured = ev.GradesMeasured(
        at=AT, epoch=1, predicted=(2, None), reference=(3, 4), parsed=0.5, exact=0.0, within_one=0.5,
        mean_absolute_error=None, kappa=None, ids=("row-0", "row-2"),
    )  # fmt: skip
    begun = ev.RunStarted(at=AT, run="r", step=0, batch="base", rows=3, holdout_rows=rows, holdout_fingerprint=version,
                          planned_epochs=1, max_epochs=1, seed=1)  # fmt: skip
    losses = [ev.HoldoutEvaluated(at=AT, epoch=epoch, loss=1.0, sums=(10.0 - epoch,) * rows, tokens=(5,) * rows)
              for epoch in (0, 1)]  # fmt: skip
    return reduce([begun, *losses, measured])


EXAMPLES = [example(0, 3), example(1, None), example(2, 4)]


def test_losses_and_grades_belong_to_their_rows() -> None:
    found, why = holdout_records(scored(3), "v1", EXAMPLES)
    assert why == ""
    assert found[0].losses == {0: 2.0, 1: 1.8}
    assert found[0].grades == {1: 2}
    assert found[1].grades == {}
    assert found[2].grades == {1: None}
    assert found[0].disagreement(EXAMPLES[0]) == 1.0
    assert found[2].disagreement(EXAMPLES[2]) is None


def test_a_run_on_another_holdout_tells_nothing() -> None:
    assert holdout_records(scored(3), "v2", EXAMPLES) == ({}, "the run on show was scored on another hold-out")
    assert holdout_records(RunState(), "v1", EXAMPLES)[1] == "no run has scored these rows yet"


def test_losses_are_not_told_of_the_wrong_rows_where_some_were_left_out() -> None:
    found, why = holdout_records(scored(2), "v1", EXAMPLES)
    assert "rows were left out" in why
    assert not any(known.losses for known in found.values())
    # grades name their rows
    assert found[0].grades == {1: 2}


def test_people_who_disagree_and_disputes_are_disagreement_too() -> None:
    assert RowRecord().disagreement(example(0, 3, grades=(1, 3, 4))) == 3.0
    assert RowRecord(surprise=0.7, head=5).disagreement(example(0, 3)) == 2.0
    assert RowRecord().disagreement(example(0, 3)) is None
