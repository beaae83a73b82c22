"""What is wrong with the data is said with paths of the workspace, so that the reason has room beside the place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scenes import make, opened, settle
from test_app import text_of, until

from opeddev_tui.ui.screens.monitor.in_full import InFullScreen
from opeddev_tui.ui.state.data_scan import Scan
from opeddev_tui.ui.state.view import BatchRow, View
from opeddev_tui.ui.widgets.dialogs import ReadScreen
from opeddev_tui.workspace.typed_commands import within


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/w/x/datasets/a.jsonl:3: is empty.", "datasets/a.jsonl:3: is empty."),
        ("in /w/x/a and /w/x/b", "in a and b"),
        ("/w/xy/a and /other/w/x/a and /w/x", "/w/xy/a and /other/w/x/a and /w/x"),
    ],
)
def test_paths_of_a_folder_are_told_relative_to_it(text: str, told: str) -> None:
    assert within(text, Path("/w/x")) == told
    assert View(workspace="/w/x").typed(text) == told


@pytest.mark.parametrize("grown", [False, True])
async def test_the_bar_says_what_is_wrong_at_80_columns(tmp_path: Path, grown: bool) -> None:
    app = make(tmp_path, "ready")
    place = tmp_path / "datasets/incremental/batch_of_a_long_name_100_01/train.jsonl"
    wrong = tuple(f"{place}:{line}: the row lacks rubric. Write rubric." for line in range(3, 7))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await settle(app, "ready")
        app.session.scan = Scan((BatchRow("base", 0, rows=9, problem=wrong[0], others=wrong[1:]),))
        app.show_now()
        if grown:
            await pilot.press("enter")
        await until(pilot, lambda: "the row lacks" in " ".join(str(app.screen.query_one("#reasons").render()).split()))
        assert str(tmp_path) not in text_of(app)
        await pilot.press("i")
        await until(pilot, lambda: isinstance(app.screen, InFullScreen))
        assert isinstance(app.screen, ReadScreen)
        parts = "\n".join(part.plain for part in app.screen.parts())
        assert parts.count("the row lacks rubric") >= len(wrong)
        assert "shows all" not in parts
        assert str(tmp_path) not in parts


async def test_rows_names_the_first_problem_and_counts_the_others(tmp_path: Path) -> None:
    app = make(tmp_path, "ready")
    base = tmp_path / "datasets/processed_webdev_coding/rows.jsonl"
    base.parent.mkdir(parents=True)
    base.write_text("".join(f"{json.dumps({'task': 't', 'submission': 's', 'grade': 'none'})}\n" for _ in range(4)))
    async with app.run_test(size=(160, 40)) as pilot:
        await opened(pilot)
        await pilot.press("8")
        await until(
            pilot,
            lambda: (
                "4 problems, i in the Monitor shows all: datasets/processed_webdev_coding/rows.jsonl:1: the"
                in text_of(app)
            ),
        )
        assert str(tmp_path) not in text_of(app)
