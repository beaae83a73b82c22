"""What the screen says where a data set of the workspace is missing: which one, where it belongs, what needs it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from graded import workspace
from scenes import make, opened, settle
from test_app import text_of

from opeddev_tui.config import loading
from opeddev_tui.config.settings import Settings
from opeddev_tui.ui.state.data_scan import Scan, scan_data

BASE, HOLDOUT, BATCHES = "processed_webdev_coding", "holdout_webdev_coding", "incremental"


@pytest.fixture
def settings() -> Settings:
    return loading.resolve([]).settings


@pytest.mark.parametrize(
    ("gone", "told"),
    [
        ((), ()),
        ((BATCHES,), ()),
        ((BASE,), ("the base set does not exist",)),
        ((HOLDOUT,), ("there is no hold-out",)),
        ((BASE, HOLDOUT), ("the base set does not exist", "there is no hold-out")),
        # nothing yet: the screen says where data goes
        ((BASE, HOLDOUT, BATCHES), ()),
        ((BASE, BATCHES), ()),
    ],
)
def test_a_missing_data_set_is_a_problem_once_something_waits_for_it(
    tmp_path: Path, settings: Settings, gone: tuple[str, ...], told: tuple[str, ...]
) -> None:
    workspace(tmp_path)
    for name in gone:
        shutil.rmtree(tmp_path / "datasets" / name)
    problems = scan_data(tmp_path, settings).problems
    assert len(problems) == len(told)
    for problem, words in zip(problems, told, strict=True):
        assert words in problem
        assert str(tmp_path) in problem


async def test_rows_that_are_gone_after_a_step_are_missed_by_name(tmp_path: Path) -> None:
    app = make(tmp_path, "finished")
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        await settle(app, "finished")
        app.session.scan = Scan()
        app.show_now()
        await pilot.pause()
        shown = text_of(app)
        assert "There are no rows any more: datasets/processed_webdev_coding is missing or empty." in shown
        assert "No rows: datasets/processed_webdev_coding is missing or empty." in shown
        assert "All batches are trained" not in shown
