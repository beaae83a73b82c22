"""Pictures of the grading screen at three sizes, as text: every part of it, and a row that is read.

``UPDATE_SNAPSHOTS=1 pytest tests/ui/test_grading_snapshots.py`` writes them anew; look at the difference.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import screen_text
from graded import disputes, grading, make, raced_step
from kept_pictures import check_at_rest

FOLDER = Path(__file__).with_name("snapshots") / "grading"
SIZES = ((80, 24), (120, 40), (200, 60))
PARTS = {"race": (), "trust": ("tab",), "disputed": ("shift+tab",), "row": ("shift+tab", "enter")}
PARTS |= {"chosen": (*PARTS["row"], "4")}
AT = 1_700_000_000.0


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_grading_screen_looks_as_it_did(tmp_path: Path, part: str, size: tuple[int, int]) -> None:
    pytest.importorskip("plotext")
    app = make(tmp_path, [raced_step(0, AT), raced_step(1, AT)])
    async with grading(app, size) as (screen, pilot):
        screen.corrections.take_disputed(disputes(screen))
        await pilot.press(*PARTS[part])
        kept = FOLDER / f"{part}-{size[0]}x{size[1]}.txt"
        await check_at_rest(pilot, kept, lambda: screen_text.lines_of(app.screen))


def test_every_picture_belongs_to_a_part_and_a_size() -> None:
    wanted = {f"{part}-{width}x{height}.txt" for part in PARTS for width, height in SIZES}
    assert {path.name for path in FOLDER.iterdir()} == wanted
