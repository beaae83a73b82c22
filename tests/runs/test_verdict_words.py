"""A verdict in words: what each measure says, where they disagree, and what decides."""

from __future__ import annotations

import math

import pytest

from opeddev_tui.runs.events import Verdict
from opeddev_tui.runs.verdict_words import advice, disagree, findings, reasons_of


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
