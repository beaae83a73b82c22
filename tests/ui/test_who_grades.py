"""Every view that shows grades says by which way they were read, where there are several."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from scenes import trained

from opeddev_tui.runs.events import GradesMeasured, RaceHeld
from opeddev_tui.runs.grade_records import BASE_HEAD, STEP_HEAD, STEP_TEXT, STEP_TOKENS, WORDS
from opeddev_tui.runs.state import reduce
from opeddev_tui.ui.screens.monitor.epochs import _baselines, _chosen

WAYS = (BASE_HEAD, STEP_HEAD, STEP_TOKENS, STEP_TEXT)


def measured(way: str) -> GradesMeasured:
    found = next(event for event in trained(1, 1_700_000_000.0) if isinstance(event, GradesMeasured))
    return replace(found, way=way)


@pytest.mark.parametrize("chosen", WAYS)
@pytest.mark.parametrize("way", WAYS)
def test_the_monitor_names_the_graders_way_where_its_own_figures_are_of_another(way: str, chosen: str) -> None:
    state = reduce(trained(1, 1_700_000_000.0))
    state.races = {}
    assert "Grader" not in _baselines(measured(way), _chosen(state))
    state.races = {3: RaceHeld(epoch=3, chosen=chosen)}
    told = _baselines(measured(way), _chosen(state))
    assert (f"the Grader's by {WORDS[chosen]}" in told) == (way != chosen)
