"""Where several things are wrong, the screen says how many, and one key shows all of them: none is only in a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from graded import workspace
from scenes import make, opened, settle
from test_app import text_of

from opeddev_tui.config import loading
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.screens.monitor.in_full import InFullScreen
from opeddev_tui.ui.state.data_scan import Scan, scan_data
from opeddev_tui.ui.state.view import BatchRow

SIZES = ((80, 24), (120, 40), (200, 60))
WRONG = tuple(f"rows.jsonl:{line}: the row is cut off." for line in range(1, 40))


def told(app: OpeddevApp) -> str:
    return " ".join(text_of(app).split())


def scan_of(*counts: int) -> Scan:
    """Return batches with so many problems each."""
    rows = [BatchRow(f"batch-{at}", at, rows=9) for at in range(len(counts))]
    wrong = [
        BatchRow(row.name, row.number, rows=9, problem=WRONG[0], others=WRONG[1:count]) if count else row
        for row, count in zip(rows, counts, strict=True)
    ]
    return Scan(tuple(wrong))


def test_every_problem_of_a_batch_is_kept(tmp_path: Path) -> None:
    workspace(tmp_path)
    rows = [{"task": "t", "submission": "s", "grade": "none at all"}] * 3
    base = tmp_path / "datasets/processed_webdev_coding/rows.jsonl"
    base.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    found = scan_data(tmp_path, loading.resolve([]).settings).rows[0]
    assert [f"rows.jsonl:{line}" in text for line, text in enumerate(found.problems, 1)] == [True] * 3
    assert found.problem == found.problems[0]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("counts", [(1,), (2,), (4, 0), (0, 3, 2), (39,)])
async def test_the_pane_says_how_many_more_and_the_key_shows_them(
    tmp_path: Path, size: tuple[int, int], counts: Sequence[int]
) -> None:
    app = make(tmp_path, "ready")
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await settle(app, "ready")
        app.session.scan = scan_of(*counts)
        app.show_now()
        await pilot.press("alt+4")
        await pilot.pause()
        pane = app.screen.query_one("#inventory").plain_text()  # type: ignore[attr-defined]
        assert [f"And {count - 1} more: i shows all." in pane for count in counts] == [count > 1 for count in counts]
        # a base set that is wrong keeps every step from being trained; what is wrong with later ones does not yet
        left = counts[0] - 2
        assert ("Cannot train yet" in told(app)) == (counts[0] > 0)
        assert (f"… and {left} more: i shows all" in told(app)) == (left > 0)
        await pilot.press("i")
        await pilot.pause()
        assert isinstance(app.screen, InFullScreen)
        parts = "\n".join(part.plain for part in app.screen.parts())
        for at, count in enumerate(counts):
            assert [f"batch-{at}: {text}" in parts for text in WRONG[:count]] == [True] * count


async def test_problems_of_the_whole_data_are_counted_and_shown(tmp_path: Path) -> None:
    app = make(tmp_path, "ready")
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await settle(app, "ready")
        app.session.scan = Scan(scan_of(0).rows, problems=WRONG[:5])
        app.show_now()
        await pilot.pause()
        assert "… and 3 more: i shows all." in told(app)
        await pilot.press("i")
        await pilot.pause()
        assert isinstance(app.screen, InFullScreen)
        shown = "\n".join(part.plain for part in app.screen.parts())
        assert [text in shown for text in WRONG[:5]] == [True] * 5
