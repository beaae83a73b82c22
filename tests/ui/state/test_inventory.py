"""The table of batches: each with its step, by its rows, and with what has become of it since it was trained."""

from journal_samples import run_events
from msgspec.structs import replace

from opeddev_tui.runs import events as ev
from opeddev_tui.runs.events import TrainedBatch
from opeddev_tui.runs.state import RunState, reduce
from opeddev_tui.ui.state.inventory import inventory
from opeddev_tui.ui.state.situation_text import situation
from opeddev_tui.ui.state.view import BatchRow, View

BASE, ONE = TrainedBatch("base", 20, "rows of base"), TrainedBatch("batch_01", 10, "rows of one")


def row(batch: TrainedBatch, number: int, problem: str = "") -> BatchRow:
    return BatchRow(batch.name, number, rows=batch.rows, problem=problem, rows_as=batch)


def ran(step: int, *batches: TrainedBatch, finished: bool = True) -> RunState:
    events = run_events(step, (2.0, 1.5), finished=finished)
    started = events[0]
    assert isinstance(started, ev.RunStarted)
    counted = tuple(ev.TokenStats(batch.name, batch.rows, 100 + at, 1, 1, 1, 1) for at, batch in enumerate(batches))
    return reduce(
        [replace(started, batches=batches, batch=batches[-1].name), ev.TokensCounted(batches=counted), *events[1:]]
    )


def told(rows: tuple[BatchRow, ...]) -> list[tuple[int, str, str, int | None]]:
    return [(item.number, item.name, item.state, item.cumulative) for item in rows]


def test_a_batch_put_between_trained_ones_is_next_and_counts_last() -> None:
    between = TrainedBatch("batch_00", 5, "new rows")
    found = inventory([row(BASE, 0), row(between, 1), row(ONE, 2)], [ran(0, BASE), ran(1, BASE, ONE)])
    assert told(found) == [
        (0, "base", "trained", 20), (1, "batch_01", "trained", 30), (2, "batch_00", "next", 35)
    ]  # fmt: skip
    assert found[2].change == "put between trained batches"


def test_a_batch_that_is_gone_keeps_its_line_and_adds_no_rows() -> None:
    found = inventory([row(BASE, 0)], [ran(0, BASE), ran(1, BASE, ONE)])
    assert told(found) == [(0, "base", "trained", 20), (1, "batch_01", "trained", None)]
    assert (found[1].there, found[1].change) == (False, "not there any more")


def test_changed_rows_are_next_and_a_problem_is_shown_at_its_batch() -> None:
    states = [ran(0, BASE), ran(1, BASE, ONE)]
    changed = TrainedBatch("batch_01", 11, "other rows")
    found = inventory([row(BASE, 0), row(changed, 1)], states)
    assert [item.state for item in found] == ["trained", "trained", "next"]
    assert found[1].change == "changed since it was trained; its rows are now step 2"
    found = inventory([row(BASE, 0), row(changed, 1, problem="line 3 is broken")], states)
    assert [item.state for item in found] == ["trained", "trained", "problem"]


def test_an_interrupted_branch_is_next_until_somebody_trains_it() -> None:
    states = [ran(0, BASE), ran(1, BASE, ONE), replace_status(ran(1, BASE, ONE, finished=False), "interrupted")]
    found = inventory([row(BASE, 0), row(ONE, 1)], states)
    assert [item.state for item in found] == ["trained", "interrupted"]
    assert [item.following for item in found] == [False, True]
    states[-1].status = "training"
    assert [item.state for item in inventory([row(BASE, 0), row(ONE, 1)], states)] == ["trained", "training"]
    found = inventory([row(BASE, 0), row(ONE, 1)], states, alive=False)
    assert [item.state for item in found] == ["trained", "interrupted"]


def replace_status(state: RunState, status: str) -> RunState:
    state.status = status  # type: ignore[assignment]
    return state


def test_token_lengths_are_those_of_the_rows_not_of_the_name() -> None:
    second = TrainedBatch("base", 5, "rows of the increment")
    found = inventory([row(BASE, 0), row(second, 1)], [ran(0, BASE), ran(1, BASE, second)])
    assert [item.tokens.tokens if item.tokens else None for item in found] == [100, 101]


def test_a_damaged_run_says_so_in_the_bar() -> None:
    state = ran(0, BASE)
    state.damage = "2 lines of its journal cannot be read"
    assert "! This run is damaged: 2 lines of its journal cannot be read." in situation(View(state=state)).lines
