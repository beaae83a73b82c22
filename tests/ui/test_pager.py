"""Long texts are shown in the person's own pager: the focused part, a row, the whole log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from evidence import notices
from scenes import make, opened, settle, until
from textual.pilot import Pilot
from tour import make as make_tour
from tour import tour

from opeddev_tui.errors import SettingsProblem
from opeddev_tui.terminal.editor import pager_command
from opeddev_tui.ui.app import OpeddevApp


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that the pager was given."""
    found: list[str] = []

    async def lend(_app: OpeddevApp, command: Sequence[str]) -> bool:
        assert command[:-1] == ["cat", "-n"]
        found.append(Path(command[-1]).read_text())
        return True

    monkeypatch.setenv("PAGER", "cat -n")
    monkeypatch.setattr(OpeddevApp, "lend_terminal", lend)
    return found


async def paged(pilot: Pilot[str], shown: list[str]) -> str:
    before = len(shown)
    await pilot.press("P")
    await until(pilot, lambda: len(shown) > before)
    return shown[-1]


async def test_the_focused_part_and_the_whole_log_are_shown(tmp_path: Path, shown: list[str]) -> None:
    app = make(tmp_path, "training")
    lines = [f"line {number}" for number in range(400)]
    app.provider.workspace.log.parent.mkdir(exist_ok=True)
    app.provider.workspace.log.write_text("\n".join(lines) + "\n")
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        await settle(app, "training")
        assert "train loss" in await paged(pilot, shown)
        await pilot.press("4")
        await until(pilot, lambda: app.current_mode == "log" and "line 399" in app.screen.text_to_copy())  # type: ignore[attr-defined]
        every = await paged(pilot, shown)
        assert all(line in every.splitlines() for line in (lines[0], lines[-1]))


async def test_a_row_that_is_read_is_shown(tmp_path: Path, shown: list[str]) -> None:
    app = make_tour(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        async for _ in tour(app, pilot, {"row"}):
            assert "Page 0 of base" in await paged(pilot, shown)


async def test_what_cannot_be_shown_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make(tmp_path, "finished")
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await settle(app, "finished")
        monkeypatch.setenv("PAGER", "no-such-pager")
        await pilot.press("P")
        await until(pilot, lambda: "the pager 'no-such-pager' is not found. Set PAGER" in notices(app))
        # no terminal could be lent here
        monkeypatch.setenv("PAGER", "cat")
        await pilot.press("P")
        await until(pilot, lambda: "The pager cannot be opened here" in notices(app))


def test_the_pager_is_less_unless_another_one_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    less = tmp_path / "less"
    less.write_text("")
    less.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("PAGER", raising=False)
    assert pager_command(Path("text")) == ["less", "text"]
    monkeypatch.setenv("PAGER", "less '")
    with pytest.raises(SettingsProblem, match="does not start"):
        pager_command(Path("text"))
