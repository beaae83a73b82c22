"""Pictures of the comparison, the table of probe prompts and the machine, as text.

``UPDATE_SNAPSHOTS=1 pytest tests/ui/test_list_snapshots.py`` writes them anew; look at the difference.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import machines
import many
import pytest
import screen_text
from kept_pictures import check_at_rest
from scenes import make, opened, settle
from textual.pilot import Pilot

from opeddev_tui.runs.state import RunState
from opeddev_tui.ui.app import OpeddevApp

FOLDER = Path(__file__).with_name("snapshots") / "lists"
SIZE = (80, 24)


@asynccontextmanager
async def compare(folder: Path) -> AsyncIterator[OpeddevApp]:
    app = many.make(folder, 4, per_epoch=5)
    async with many.comparing(app, SIZE) as (_, pilot):
        await pilot.press("v", "left")
        yield app


@asynccontextmanager
async def probes(folder: Path) -> AsyncIterator[OpeddevApp]:
    app = make(folder, "awaiting")
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        await settle(app, "awaiting")
        await pilot.press("2", "t", "o")
        yield app


@asynccontextmanager
async def machine(folder: Path) -> AsyncIterator[OpeddevApp]:
    app = make(folder, "training")
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        await settle(app, "training")
        app.session.current.machine = RunState().machine
        app.session.apply(list(machines.readings(many.AT, 90, 2)))
        await pilot.press("M")
        yield app


SCREENS: dict[str, Callable[[Path], AbstractAsyncContextManager[OpeddevApp]]] = {
    "compare": compare,
    "probes": probes,
    "machine": machine,
}


@pytest.mark.parametrize("name", SCREENS)
async def test_a_list_looks_as_it_did(tmp_path: Path, name: str) -> None:
    pytest.importorskip("plotext")
    async with SCREENS[name](tmp_path) as app:

        def lines() -> list[str]:
            # without the status line, which has ages
            shown = screen_text.lines_of(app.screen)
            return shown[2:20] if shown[0].startswith("1 Monitor") else shown[1:18]

        await check_at_rest(Pilot(app), FOLDER / f"{name}.txt", lines)


def test_every_picture_belongs_to_a_screen() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {f"{name}.txt" for name in SCREENS}
