"""A key changes what a person sees: none changes a part of a screen that is hidden, or is offered for such a part."""

from __future__ import annotations

from pathlib import Path

import pytest
from graded import grading, make, raced_step
from scenes import until
from screen_text import text_of
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input, Static, TextArea
from tour import AT_REST, Stop, fake_graders, go, tour
from tour import _ready as ready
from tour import make as make_tour

from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.keys import SCREEN_KEYS, Key
from opeddev_tui.ui.palette import _OFFERED, entries
from opeddev_tui.ui.screens.base import BaseScreen
from opeddev_tui.ui.screens.checkpoints.screen import CheckpointsScreen
from opeddev_tui.ui.screens.grader.screen import GraderScreen
from opeddev_tui.ui.screens.grading.screen import GradingScreen
from opeddev_tui.ui.screens.rows.screen import RowsScreen
from opeddev_tui.ui.widgets.bars import KeyLine
from opeddev_tui.ui.widgets.grid import Grid

SIZES = ((80, 24), (120, 40), (200, 60))
OF_TRUST = ("Agreement", "Less agreement", "Within one", "Way", "Earlier epoch", "Later epoch")
AT = 1_700_000_000.0


def held(screen: Screen[object], *, hidden: bool) -> list[object]:
    """Return what the widgets of ``screen`` that are hidden, or seen, hold, and where they are scrolled to."""
    found: list[object] = []
    for widget in screen.query(Widget):
        if hidden == all(node.display for node in widget.ancestors_with_self if isinstance(node, Widget)):
            continue
        found.append((widget.id, widget.scroll_offset))
        if isinstance(widget, Static):
            found.append(str(widget.content))
        if isinstance(widget, Grid):
            found.append((widget.all_cells, widget.cursor_row))
    return found


async def rest(app: OpeddevApp, pilot: Pilot[str]) -> None:
    """Wait until nothing is read or computed for what is on show."""
    for _ in range(2):
        await pilot.pause()
        # of others a list may stay empty
        if isinstance(app.screen, CheckpointsScreen | GradingScreen | GraderScreen | RowsScreen):
            await until(pilot, lambda: ready(app.screen))


async def check_key(app: OpeddevApp, pilot: Pilot[str], stop: Stop, key: Key) -> bool:
    """Press ``key``: if what is hidden changes, so does what is seen. Return whether anything was hidden."""
    screen = app.screen
    hidden, seen = held(screen, hidden=True), (held(screen, hidden=False), text_of(screen))
    if not hidden:
        return False
    await pilot.press(key.keys.split(",")[0])
    await rest(app, pilot)
    changed = app.screen is not screen or (held(screen, hidden=False), text_of(screen)) != seen
    assert changed or held(screen, hidden=True) == hidden, (stop.keys, key.name)
    # wherever the key led to, the next one is tried there, but in no dialog and no text
    if app.screen is not screen or isinstance(app.focused, Input | TextArea):
        await go(app, pilot, stop)
        await rest(app, pilot)
    return True


# every screen with tabs, details or a search that may be hidden, in each of the parts that it can show
WALKED = (
    "monitor", "generations", "probes", "checkpoints", "settings", "runs", "grading", "trust", "disputed", "rows",
    "grader", "grader-answer",
)  # fmt: skip
# goes on in another process for as long as a model takes
WORK = {"checkpoints.score", "grading.disputed"}


async def test_no_key_of_any_screen_changes_only_what_is_hidden(tmp_path: Path) -> None:
    app, walked = make_tour(tmp_path), dict[str, int]()
    async with fake_graders(), app.run_test(size=(80, 24)) as pilot:
        async for name in tour(app, pilot, WALKED):
            screen = app.screen
            assert isinstance(screen, BaseScreen)
            for _, keys in SCREEN_KEYS[screen.mode]:
                for key in keys:
                    # what the bar of the monitor offers is of the training, which is always in view
                    if key.action.partition("(")[0] not in _OFFERED and key.name not in WORK:
                        walked[name] = walked.get(name, 0) + await check_key(app, pilot, AT_REST[name], key)
    assert set(walked) == set(WALKED)
    assert all(count > 5 for count in walked.values()), walked


@pytest.mark.parametrize("size", SIZES)
async def test_keys_of_trust_are_offered_where_it_is_in_view(tmp_path: Path, size: tuple[int, int]) -> None:
    app = make(tmp_path, [raced_step(1, AT)])
    async with grading(app, size) as (screen, pilot):
        for part, keys in (("race", ()), ("trust", ("tab",)), ("disputed", ("tab",))):
            await pilot.press(*keys)
            await rest(app, pilot)
            seen = part == "trust" or size == SIZES[-1]
            titles = [entry.title for entry in entries(app, screen, app.choose_theme)]
            for label in OF_TRUST:
                assert any(title.startswith(f"{label}  (") for title in titles) == seen, (part, label)
            footer = {key.label for key in screen.query_one(KeyLine)._keys}
            assert ({"Agreement", "Within one", "Way"} <= footer) == seen
            assert ({"Agreement", "Within one", "Way"}.isdisjoint(footer)) == (not seen)
            assert ("Read" in footer) == (part == "disputed")


async def test_trust_begins_with_the_way_that_grades_whatever_was_pressed_before(tmp_path: Path) -> None:
    app = make(tmp_path, [raced_step(0, AT), raced_step(1, AT + 1)])
    async with grading(app, (120, 40), ("w", "x", "plus", "left_square_bracket", "tab")) as (_, pilot):
        await rest(app, pilot)
        assert "Trust · the head on the step's model · 50 hold-out rows, epoch 3" in text_of(app.screen)
        assert "at 90% agreement within one grade" in " ".join(text_of(app.screen).split()).lower()
        await pilot.press("w")
        await until(pilot, lambda: "Trust · the head on the base model" in text_of(app.screen))
        # another step begins with the way that grades there; another epoch keeps the chosen one
        await pilot.press("left_square_bracket")
        await until(
            pilot, lambda: "Trust · the head on the base model · 50 hold-out rows, epoch 2" in text_of(app.screen)
        )
        await pilot.press("left")
        await until(pilot, lambda: "Trust · the head on the step's model" in text_of(app.screen))
