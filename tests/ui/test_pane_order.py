"""The numbers of panes run in the order in which a person reads them, at every size, and Tab follows them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widget import Widget
from tour import STOPS, fake_graders, make, tour

from opeddev_tui.ui.app import OpeddevApp

# those that show several numbered panes at once, by the terminal's size: others have one or none
SMALL = {"generations", "grades"}
MIDDLE = {*SMALL, "monitor", "question", "probes", "rows", "runs"}
LARGE = {*MIDDLE, "grading", "trust", "disputed"}
_NUMBER = re.compile(r"\[(\d)\]")


def number(widget: Widget) -> int:
    """Return the number in the title of a pane, 0 of a part without one."""
    found = _NUMBER.match(str(widget.border_title or "").replace("\\", ""))
    return int(found[1]) if found else 0


def in_view(app: OpeddevApp) -> dict[int, Widget]:
    """Return the panes of the top screen that have a number and are seen, by it."""
    seen = [pane for pane in app.screen.query(Widget) if number(pane) and pane.region.area and pane.is_on_screen]
    assert len({number(pane) for pane in seen}) == len(seen)
    return {number(pane): pane for pane in seen}


def in_reading_order(panes: dict[int, Widget]) -> bool:
    """Return whether the numbers run line by line or column by column, by the upper left corners of the panes."""
    corners = [panes[at].region.offset for at in sorted(panes)]
    by_line = sorted(corners, key=lambda corner: (corner.y, corner.x))
    by_column = sorted(corners, key=lambda corner: (corner.x, corner.y))
    return corners in (by_line, by_column)


def focused(app: OpeddevApp) -> int:
    """Return the number of the pane that has the focus or holds what has it, 0 for another part."""
    around = app.focused.ancestors_with_self if app.focused is not None else ()
    return next((number(node) for node in around if isinstance(node, Widget) and number(node)), 0)


async def tabbed(app: OpeddevApp, pilot: Pilot[str], key: str, panes: dict[int, Widget]) -> list[int]:
    """Return the numbers of the panes that ``key`` goes to, one time round from the first pane on."""
    found: list[int] = []
    for _ in range(30):
        await pilot.press(key)
        await pilot.pause()
        at = focused(app)
        if at and not (found and found[-1] == at):
            found.append(at)
        if len(found) == 2 * len(panes):
            break
    start = found.index(min(panes))
    return found[start : start + len(panes)]


@pytest.mark.parametrize(("size", "several"), [((80, 24), SMALL), ((120, 40), MIDDLE), ((200, 60), LARGE)])
async def test_numbers_of_panes_are_in_reading_order_and_tab_follows_them(
    tmp_path: Path, size: tuple[int, int], several: set[str]
) -> None:
    app, walked = make(tmp_path), set[str]()
    async with fake_graders(), app.run_test(size=size) as pilot:
        async for name in tour(app, pilot, [name for name, stop in STOPS.items() if not stop.text]):
            panes = in_view(app)
            assert in_reading_order(panes), (name, {at: pane.region for at, pane in panes.items()})
            if len(panes) < 2:
                continue
            walked.add(name)
            assert sorted(panes) == [*range(1, len(panes) + 1)], name
            assert await tabbed(app, pilot, "tab", panes) == sorted(panes), name
            backwards = [min(panes), *sorted(panes, reverse=True)[:-1]]
            assert await tabbed(app, pilot, "shift+tab", panes) == backwards, name
    assert walked == several
