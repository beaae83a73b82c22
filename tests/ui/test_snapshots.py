"""Pictures of the monitor, cell by cell: text in files that can be read, styles as one digest a line.

``UPDATE_SNAPSHOTS=1 pytest tests/ui/test_snapshots.py`` writes them anew; look at the difference before you keep it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

import pytest
import screen_text
from msgspec.structs import replace
from rich.style import Style
from scenes import make, opened, settle
from textual.pilot import Pilot

from opeddev_tui.terminal.cell_diff import cells_of
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.plots.curves import CurvesView
from opeddev_tui.ui.state.situation_text import situation
from opeddev_tui.ui.state.view import View

FOLDER = Path(__file__).with_name("snapshots")
UPDATE = os.environ.get("UPDATE_SNAPSHOTS") == "1"
SIZES = ((80, 24), (120, 40), (200, 60))
STATES = ("no-workspace", "empty", "ready", "training", "awaiting", "paused", "failed", "finished")
THEMES = ("opeddev-dark", "opeddev-light")


def _still(app: OpeddevApp) -> None:
    """Show no clock and no path of this machine."""
    session, real = app.session, app.session.view

    def view() -> View:
        shown = real()
        shown = replace(shown, workspace="/home/ada/my-grader", now=shown.state.last_event_at, told="")
        return replace(shown, situation=situation(shown))

    session.view = view  # type: ignore[method-assign]


async def _picture(pilot: Pilot[str], size: tuple[int, int], theme: str) -> list[list[tuple[str, Style | None]]]:
    app = pilot.app
    assert isinstance(app, OpeddevApp)
    app.theme = theme
    await pilot.resize_terminal(*size)
    await pilot.pause()
    before: list[list[tuple[str, Style | None]]] = []
    same = 0
    for _ in range(80):
        app.show_now()
        if app.session.state.curves.loss:
            curves = app.screen.query_one(CurvesView)
            curves.update_state(app.session.state, app.session.view().previous)
            curves._draw_now()
        await pilot.pause(0.03)
        cells = [cells_of(strip) for strip in screen_text.strips_of(app.screen)]
        same = same + 1 if cells == before else 0
        if same == 3:
            return cells
        before = cells
    raise AssertionError("the screen does not come to rest")


def _style(style: Style | None) -> str:
    if style is None:
        return ""
    marks = (style.bold, style.italic, style.underline, style.reverse, style.dim, style.strike)
    return f"{style.color and style.color.name}/{style.bgcolor and style.bgcolor.name}/{[bool(mark) for mark in marks]}"


def _digests(cells: Iterable[list[tuple[str, Style | None]]]) -> list[str]:
    lines = ["|".join(_style(style) for _, style in line) for line in cells]
    return [hashlib.sha256(line.encode()).hexdigest()[:8] for line in lines]


def _check(name: str, theme: str, cells: list[list[tuple[str, Style | None]]]) -> None:
    """Compare a picture with the stored one, or store it."""
    text = "\n".join("".join(char for char, _ in line).rstrip() for line in cells) + "\n"
    path, styles, found = FOLDER / f"{name}.txt", FOLDER / f"{name}.json", _digests(cells)
    known: dict[str, list[str]] = json.loads(styles.read_text()) if styles.exists() else {}
    if UPDATE:
        path.write_text(text, encoding="utf-8")
        styles.write_text(json.dumps(known | {theme: found}) + "\n")
        return
    assert text.splitlines() == path.read_text(encoding="utf-8").splitlines(), name
    stored = known[theme]
    different = [number for number, (new, old) in enumerate(zip(found, stored, strict=True)) if new != old]
    assert not different, f"{name} {theme}: the styles of these lines changed: {different}"


@pytest.mark.parametrize("state", STATES)
async def test_the_monitor_looks_as_it_did(tmp_path: Path, state: str) -> None:
    pytest.importorskip("plotext")
    app = make(tmp_path, state, theme=THEMES[0])
    _still(app)
    async with app.run_test(size=SIZES[0]) as pilot:
        await opened(pilot)
        await settle(app, state)
        for theme in THEMES:
            for size in SIZES:
                cells = await _picture(pilot, size, theme)
                _check(f"{state}-{size[0]}x{size[1]}", theme, cells)


def test_every_snapshot_belongs_to_a_state() -> None:
    wanted = {f"{state}-{width}x{height}" for state in STATES for width, height in SIZES}
    assert {path.stem for path in FOLDER.glob("*.txt")} == wanted
    assert {path.stem for path in FOLDER.glob("*.json")} == wanted
