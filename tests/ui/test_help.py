"""Help: one key leads from the keys to the words, others to top and end; the words explain the headlines."""

from __future__ import annotations

from pathlib import Path

import pytest
from scenes import make, opened, settle
from test_app import text_of, until

from opeddev_tui.runs.grade_events import Figure, RacedWay
from opeddev_tui.runs.state import RunState
from opeddev_tui.ui.screens.glossary import WORDS
from opeddev_tui.ui.screens.grading import disputed, race_table
from opeddev_tui.ui.screens.help import _WORD, HelpScreen
from opeddev_tui.ui.screens.monitor import epochs

SIZES = ((80, 24), (120, 40), (200, 60))
# what a person knows who has not read anything here
PLAIN = {"train", "opt. step", "samples/s", "seconds", "way", "row", "kind", "set"}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("key", ["tab", "shift+tab", "w"])
async def test_one_key_leads_to_the_words_and_back(tmp_path: Path, size: tuple[int, int], key: str) -> None:
    app = make(tmp_path, "training")
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await settle(app, "training")
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        box = app.screen.query_one(".dialog")
        await until(pilot, lambda: box.max_scroll_y > 0)
        assert "Hold Ctrl and press p" not in text_of(app)
        await pilot.press(key)
        await until(pilot, lambda: "Hold Ctrl and press p" in text_of(app))
        await pilot.press(key)
        await until(pilot, lambda: box.scroll_y == 0)
        await pilot.press("G")
        await until(pilot, lambda: box.scroll_y == box.max_scroll_y)
        await until(pilot, lambda: WORDS[-1][1][:30] in text_of(app))
        await pilot.press("g")
        await until(pilot, lambda: box.scroll_y == 0)
        assert "Tab or w: keys, words" in str(box.border_subtitle)


def test_the_words_explain_every_headline_of_the_monitor_and_of_grading() -> None:
    found = Figure(0.5, 0.4, 0.6)
    figures = dict.fromkeys(("kappa", "exact", "within_one", "mae", "signed_error", "nll", "calibration_error"), found)
    way = RacedWay("base head", "a head", figures, answered=0.5, to_cheap=found)
    columns = (*epochs._columns(RunState()), *race_table.columns([way], "base head"))
    headlines = {part for column in columns for part in column.title.replace(" 95%", "|95%").split("|")}
    titles = headlines | {title.strip() for title in disputed.TITLES}
    words = {word for entry, _ in WORDS for word in entry.split(", ")}
    assert {"kappa", "exact", "Δ 0", "calib.", "95%", "head", "surprise"} <= titles
    assert titles - words - PLAIN == set()


def test_no_word_runs_into_its_meaning() -> None:
    assert [word for word, _ in WORDS if len(word) >= _WORD] == []
