"""An area that no row has is asked about before the row is written: it may be a typing error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from graded import raced_step
from scenes import until
from test_grader_screen import AT, grade_code, grader, make, words_of
from test_grader_screen import children as children

from opeddev_tui.ui.screens.grader.correct import CorrectScreen


@pytest.mark.usefixtures("children")
async def test_a_new_area_is_asked_about_before_it_is_written(tmp_path: Path) -> None:
    batch = tmp_path / "datasets/incremental/batch_corrections_01.jsonl"

    def kept() -> list[dict[str, str]]:
        return [json.loads(line)["criteria"] for line in batch.read_text().splitlines()] if batch.exists() else []

    async with grader(make(tmp_path, [raced_step(0, AT)])) as (screen, pilot):
        await grade_code(pilot, screen, "<b>the first page</b>")
        await pilot.press("c", "2", "tab", "tab", *"Layout=fail", "ctrl+s")
        await until(pilot, lambda: pilot.app.screen is screen)
        await grade_code(pilot, screen, "<b>the second page</b>")
        await pilot.press("c", "2", "tab", "tab", *"Layut=fail", "ctrl+s")
        asked = "'Layut' is a new area: no row has it yet. Did you mean Layout? ^s again keeps it as a new area."
        await until(pilot, lambda: asked in " ".join(words_of(pilot.app.screen).split()))
        assert isinstance(pilot.app.screen, CorrectScreen)
        assert kept() == [{"Layout": "fail"}]
        # another new one is asked about, too
        await pilot.press(*", Colur=pass", "ctrl+s")
        await until(pilot, lambda: "'Colur' is a new area" in " ".join(words_of(pilot.app.screen).split()))
        assert len(kept()) == 1
        await pilot.press("ctrl+s")
        await until(pilot, lambda: pilot.app.screen is screen)
        assert kept() == [{"Layout": "fail"}, {"Layut": "fail", "Colur": "pass"}]
