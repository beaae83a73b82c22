"""Pictures of the checkpoint browser at two sizes, as text: the tree after everything was verified.

``UPDATE_SNAPSHOTS=1 pytest tests/ui/test_browser_snapshots.py`` writes them anew; look at the difference.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import screen_text
from kept_pictures import check_picture
from scenes import until
from store import browser, make_store

from opeddev_tui.ui.app import OpeddevApp

FOLDER = Path(__file__).with_name("snapshots") / "browser"
SIZES = ((80, 24), (120, 40))
# sizes follow the length of this machine's paths; the free space is that of its disk; ages are those of the moment
_SIZE = re.compile(r"\d+(?:\.\d+)? (?:B|KiB|MiB|GiB|TiB|s)\b")


def _lines(app: OpeddevApp) -> list[str]:
    """Return the picture down to the detail pane, which shows paths and ages."""
    shown = screen_text.lines_of(app.screen)
    detail = next((number for number, line in enumerate(shown) if line.startswith("──")), len(shown))
    return [_SIZE.sub("#", line).rstrip() for line in shown[:detail]]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_browser_looks_as_it_did(tmp_path: Path, size: tuple[int, int]) -> None:
    app = make_store(tmp_path)
    async with app.run_test(size=size) as pilot:
        await browser(app, pilot)
        await pilot.press("V")
        await until(pilot, lambda: "✗ damaged" in "".join(_lines(app)) and "✓ when saved" not in "".join(_lines(app)))
        await pilot.press("j")
        app.clear_notifications()
        await until(pilot, lambda: not app.screen.query("Toast"))
        await pilot.pause()
        check_picture(FOLDER / f"{size[0]}x{size[1]}.txt", _lines(app))


def test_every_picture_belongs_to_a_size() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {f"{width}x{height}.txt" for width, height in SIZES}
