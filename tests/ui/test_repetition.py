"""A repetition is told as one: nothing goes on from it, and no step counts as trained by it."""

from __future__ import annotations

import pytest
from journal_samples import run_events
from msgspec.structs import replace

from opeddev_tui.checkpoints.recovery import needs_recovery
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.state import RunState, reduce
from opeddev_tui.ui.state.inventory import inventory
from opeddev_tui.ui.state.situation import Situation
from opeddev_tui.ui.state.situation_text import situation
from opeddev_tui.ui.state.view import BatchRow, View

ORIGINAL = "20260101-000000-step0-base-beef"
ROWS = (BatchRow(number=0, name="base", rows=100), BatchRow(number=1, name="batch_100_01", rows=100))
FAILED = ev.RunFailed(kind="bug", message="a bug", resumable=True)


def repetition(*, finished: bool = True) -> RunState:
    """Return the state of a run of step 0 that repeats another one."""
    first, *rest = run_events(0, [2.0, 1.5], finished=finished)
    assert isinstance(first, ev.RunStarted)
    return reduce([replace(first, repeats=ORIGINAL), *rest])


def told(state: RunState, *others: RunState) -> Situation:
    """Return what the bar says with ``state`` on show."""
    return situation(View(state=state, batches=inventory(ROWS, [*others, state])))


def test_a_finished_one_trains_no_step() -> None:
    original = reduce(run_events(0, [2.0, 1.5]))
    assert [row.state for row in inventory(ROWS, [repetition()])] == ["next", "waiting"]
    assert [row.state for row in inventory(ROWS, [original, repetition()])] == ["trained", "next"]
    found = told(repetition(), original)
    assert found.headline == "The repetition is done"
    assert ORIGINAL in found.lines[-1]
    assert [(offer.action, offer.label) for offer in found.offers] == [("start", "Next step")]
    assert "batch_100_01" in found.offers[0].effect


@pytest.mark.parametrize(
    ("end", "headline"), [((), "The repetition was interrupted"), ((FAILED,), "The repetition failed")]
)
def test_nothing_resumes_one_that_did_not_end_well(end: tuple[ev.AnyEvent, ...], headline: str) -> None:
    state = repetition(finished=False)
    for event in end:
        state.apply(event)
    found = told(state, reduce(run_events(0, [2.0, 1.5])))
    assert found.headline == headline
    assert found.lines[-1] == f"To begin it again: opeddev-tui repeat {ORIGINAL}"
    assert [offer.label for offer in found.offers] == ["Next step"]
    assert not needs_recovery(state, alive=False)
    assert needs_recovery(reduce(run_events(0, [2.0, 1.5], finished=False)), alive=False)


@pytest.mark.parametrize(("again", "offers"), [(True, ["Try again"]), (False, [])])
def test_trying_again_is_offered_where_it_can_help(again: bool, offers: list[str]) -> None:
    state = reduce(run_events(0, [2.0, 1.5], finished=False))
    state.apply(ev.RunFailed(kind="bug", message="a bug", again=again))
    found = told(state)
    assert found.headline == "The training failed"
    assert [offer.label for offer in found.offers] == offers
