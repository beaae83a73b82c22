"""Pictures of the grader's screen at three sizes, as text: nothing graded, a folder with a correction, the dialog.

``UPDATE_SNAPSHOTS=1 pytest tests/ui/test_grader_snapshots.py`` writes them anew; look at the difference.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import screen_text
from graded import make, raced_step
from grader_child import FakeChildren
from kept_pictures import check_at_rest
from scenes import opened, until
from textual.widgets import Input

from opeddev_tui.ui.screens.grader.screen import GraderScreen
from opeddev_tui.ui.tasks.grader import GraderTasks

FOLDER = Path(__file__).with_name("snapshots") / "grader"
SIZES = ((80, 24), (120, 40), (200, 60))
PARTS: dict[str, tuple[str, ...]] = {
    "nothing": (),
    "folder": ("ctrl+g",),
    "list": ("ctrl+g", "tab", "j"),
    "correct": ("ctrl+g", "c", "4"),
    "corrected": ("ctrl+g", "c", "4", "ctrl+s"),
}
AT = 1_700_000_000.0


@pytest.mark.parametrize("part", PARTS)
async def test_the_grader_looks_as_it_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    children = FakeChildren()
    monkeypatch.setattr(GraderTasks, "open", lambda tasks, source, **more: children.open(tasks, source, **more))
    app = make(tmp_path, [raced_step(0, AT)])
    async with app.run_test(size=SIZES[0]) as pilot:
        await opened(pilot)
        await pilot.press("9")
        screen = app.screen
        assert isinstance(screen, GraderScreen)
        # the rows are read in a thread
        await until(pilot, lambda: "layout" in screen.query_one("#rubric", Input).placeholder)
        screen.query_one("#path", Input).value = "pages" if PARTS[part] else ""
        for key in PARTS[part]:
            await pilot.press(key)
            await until(pilot, lambda: not screen.desk.busy)
            # the grading begins a moment after its key
            await until(pilot, lambda: "4 submissions" in "".join(line.text for line in screen_text.strips_of(screen)))
        if part == "corrected":
            await until(pilot, lambda: "grade 4" in app.session.view().told)

        def lines() -> list[str]:
            # without the status line, which has times
            shown = screen_text.lines_of(app.screen)
            return [shown[0], *shown[2:]]

        for size in SIZES:
            await pilot.resize_terminal(*size)
            await check_at_rest(pilot, FOLDER / f"{part}-{size[0]}x{size[1]}.txt", lines)


def test_every_picture_belongs_to_a_part_and_a_size() -> None:
    wanted = {f"{part}-{width}x{height}.txt" for part in PARTS for width, height in SIZES}
    assert {path.name for path in FOLDER.iterdir()} == wanted
