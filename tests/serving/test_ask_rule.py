"""When a person should look at a grade: only a threshold that other rows bear out lets a grade pass unread."""

from __future__ import annotations

import re

import numpy as np
import pytest

from opeddev_tui.config.settings import Grade
from opeddev_tui.grading.trust import WANTED, trust
from opeddev_tui.runs.events import GradesRead
from opeddev_tui.runs.grade_records import WayGrades
from opeddev_tui.runs.state import RunState
from opeddev_tui.serving.ask_rule import ask_rule
from opeddev_tui.ui.screens.grading.trust_text import alone_sentence, checked_sentence

LABELS = ("1", "2", "3", "4", "5")


def read(
    rows: int, noise: float, *, sure: bool = True, size: int = 0
) -> tuple[RunState, WayGrades, tuple[str, ...], tuple[str, ...]]:
    """Return a run whose way graded ``rows`` hold-out rows, with probabilities unless not ``sure``.

    They are in groups of ``size`` rows, or in none.
    """
    draw = np.random.default_rng(rows)
    right = draw.integers(0, 5, rows)
    spread = draw.uniform(0.3, 1.5, rows) * noise
    drawn = right + draw.normal(0, spread)
    chances = np.exp(-((np.arange(5)[None, :] - drawn[:, None]) ** 2) / (2 * spread[:, None] ** 2)) + 1e-4
    chances /= chances.sum(1, keepdims=True)
    given = tuple(LABELS[int(place)] for place in chances.argmax(1))
    recorded = tuple(tuple(row) for row in chances.round(4).tolist()) if sure else ()
    way = WayGrades("step head", "the head", given, probabilities=recorded)
    reference = tuple(LABELS[int(place)] for place in right)
    state = RunState()
    groups = tuple(f"author {row // size}" for row in range(rows)) if size else ()
    state.readings[1] = GradesRead(
        epoch=1, labels=LABELS, ids=("",) * rows, reference=reference, ways=(way,), groups=groups
    )
    return state, way, reference, groups


@pytest.mark.parametrize("size", [0, 4])
@pytest.mark.parametrize("tolerance", [0, 1])
@pytest.mark.parametrize("noise", [0.3, 0.8, 2.0])
@pytest.mark.parametrize("rows", [10, 29, 50, 200])
def test_the_grader_goes_by_what_the_trust_view_shows(rows: int, noise: float, tolerance: int, size: int) -> None:
    state, way, reference, groups = read(rows, noise, size=size)
    found = trust(way, reference, LABELS, tolerance, groups)
    assert found is not None
    for wanted in WANTED:
        rule = ask_rule(state, 1, way.way, Grade(agreement=wanted, tolerance=tolerance), LABELS)
        alone = found.alone[wanted]
        assert rule.threshold == (alone.chosen.threshold if alone.chosen is not None else None)
        shown = f"{alone_sentence(alone, wanted, tolerance)} {checked_sentence(alone)}"
        # the figure that is told is that of rows which chose no threshold, here and there
        told = re.search(
            r"of (\d+) hold-out rows (\d+)(?: \(of \d+ groups?\))? passed one that .* and (\d+)% of those agreed",
            rule.why,
        )
        if alone.checked is not None:
            assert told is not None
            assert int(told[1]) == rows
            assert int(told[2]) == alone.checked_rows
            assert f"{told[3]}%" in shown
            several = re.search(r"hold-out rows \d+ \(of (\d+) group", rule.why)
            assert (several is not None) is bool(size)
            assert several is None or int(several[1]) == alone.checked_groups
            assert several is None or f"of {several[1]} group" in shown
        if rule.threshold is None:
            assert rule.asks(1.0)
            assert f"no threshold is borne out at {wanted}% agreement" in rule.why
            assert f"No threshold is borne out at {wanted}% agreement" in shown
            assert f"needed are {'rows of ' if size else ''}at least 10" in shown
        else:
            assert alone.checked is not None
            assert alone.checked.value * 100 >= wanted
            assert rule.asks(rule.threshold - 0.01)
            assert not rule.asks(rule.threshold)


@pytest.mark.parametrize(("noise", "asked"), [(0.2, False), (2.0, True)])
def test_a_way_that_is_not_sure_of_anything_must_agree_as_a_whole(noise: float, asked: bool) -> None:
    state, way, *_ = read(60, noise, sure=False)
    rule = ask_rule(state, 1, way.way, Grade(agreement=90, tolerance=0), LABELS)
    assert rule.asks(None) is asked
    assert ("does not bear out the wanted 90%" in rule.words(None)) is asked or not asked


@pytest.mark.parametrize("rows", [1, 9])
def test_few_rows_bear_nothing_out(rows: int) -> None:
    state, way, *_ = read(rows, 0.1)
    assert ask_rule(state, 1, way.way, Grade(agreement=50, tolerance=1), LABELS).asks(1.0)


def test_a_few_groups_bear_nothing_out_however_many_rows_they_have() -> None:
    state, way, *_ = read(60, 0.1, sure=False)
    assert not ask_rule(state, 1, way.way, Grade(agreement=90, tolerance=0), LABELS).asks(None)
    state, way, *_ = read(60, 0.1, sure=False, size=10)
    assert ask_rule(state, 1, way.way, Grade(agreement=90, tolerance=0), LABELS).asks(None)
