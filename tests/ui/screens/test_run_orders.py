"""The list of runs in every order: what is best first, what is not known or scored on other rows last."""

from __future__ import annotations

from pathlib import Path

import many
import pytest
from msgspec.structs import replace
from scenes import opened, until
from test_app import text_of

from opeddev_tui.runs import events as ev
from opeddev_tui.runs.state import reduce
from opeddev_tui.ui.screens.run_orders import ORDERS, ordered, possible
from opeddev_tui.ui.screens.runs import RunsScreen
from opeddev_tui.ui.state.view import RunRow
from opeddev_tui.ui.widgets.grid import Grid


def run(name: str, losses: tuple[float, ...], *, status: str = "finished", step: int = 1, kappa: float | None = None,
        holdout: str = "a") -> RunRow:  # fmt: skip
    events: list[ev.AnyEvent] = [ev.RunStarted(
        at=1.0, run=name, step=step, batch="b", rows=1, holdout_rows=2, holdout_fingerprint=holdout, planned_epochs=1,
        max_epochs=1, seed=1,
    )]  # fmt: skip
    events += [ev.HoldoutEvaluated(at=1.0, epoch=at, loss=loss, sums=(), tokens=()) for at, loss in enumerate(losses)]
    if kappa is not None:
        events.append(replace(GRADES, kappa=kappa))
    return RunRow(name, reduce(events), status)


GRADES = ev.GradesMeasured(
    at=1.0, epoch=1, predicted=(3,), reference=(3,), parsed=1.0, exact=1.0, within_one=1.0, mean_absolute_error=0.0,
    kappa=0.0, majority_exact=0.5, middle_within_one=0.5,
)  # fmt: skip
ROWS = [
    run("new", (2.0, 1.0), kappa=0.2),
    run("failed", (), status="failed", step=2),
    run("best", (0.9, 0.5), step=0, kappa=0.1),
    run("fell", (9.0, 1.5), step=3, kappa=0.9),
    run("other rows", (9.0, 0.1), holdout="b", kappa=1.0),
    run("nan", (float("nan"), float("nan")), status="training"),
]


@pytest.mark.parametrize(
    ("order", "first", "last"),
    [
        ("newest first", "new", "nan"), ("lowest hold-out loss first", "best", "other rows"),
        ("largest fall first", "fell", "other rows"), ("best kappa first", "fell", "other rows"),
        ("by step", "best", "fell"), ("by state", "nan", "other rows"),
    ],
)  # fmt: skip
def test_every_order_puts_first_what_it_says(order: str, first: str, last: str) -> None:
    names = [row.run for row in ordered(ROWS, order)]
    assert (names[0], names[-1]) == (first, last)
    assert sorted(names) == sorted(row.run for row in ROWS)


def test_an_order_by_what_no_run_has_is_not_offered() -> None:
    assert possible(ROWS) == possible([]) == list(ORDERS)
    assert possible([run("without grades", (2.0, 1.0))]) == [name for name in ORDERS if name != "best kappa first"]
    assert possible([run("failed", (), status="failed")]) == ["newest first", "by step", "by state"]


def test_every_order_is_tried() -> None:
    tried = test_every_order_puts_first_what_it_says.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert [order for order, _, _ in tried] == list(ORDERS)


async def test_a_key_orders_the_list_and_the_heading_says_how(tmp_path: Path) -> None:
    app = many.make(tmp_path, 6, per_epoch=2)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        await pilot.press("6")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and app.screen.query_one(Grid).row_count == 6)
        grid = app.screen.query_one(Grid)
        newest = [key for key, _ in grid._filled]
        await pilot.press("j", "o")
        await until(pilot, lambda: "lowest hold-out loss first" in text_of(app))
        shown = [float(str(cells[5])) for _, cells in grid._filled]
        assert shown == sorted(shown)
        assert grid.cursor_row == 0
        await pilot.press(*"ooooo")
        await until(pilot, lambda: [key for key, _ in grid._filled] == newest)
