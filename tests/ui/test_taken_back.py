"""A key that removes or changes something kept asks first, or says how it is taken back."""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path
from typing import Any

from scenes import make, opened, settle, until
from textual.pilot import Pilot
from textual.screen import ModalScreen
from tour import make as make_tour
from tour import tour

from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.keys import TABLES
from opeddev_tui.ui.screens.settings import SettingsScreen
from opeddev_tui.ui.widgets.grid import Grid

# what is kept in files and can be removed or changed by a key, and what stands between a slip and a loss
ASKS = {"checkpoints.delete", "checkpoints.prune", "checkpoints.note", "runs.take"}
# the same key, or the undo of its screen, takes it back
TAKEN_BACK = {
    "generations.pin", "checkpoints.pin", "settings.change", "settings.reset", "settings.undo", "grading.undo",
    "regrade.undo", "grader.undo", "blind.undo",
}  # fmt: skip
# the words say so of a view, or of a choice that has not been carried out
NOTHING_KEPT = {
    "monitor.undo", "curves.whole-plot", "compare.whole-plot", "runs.mark", "checkpoints.mark", "runs.other-seeds",
    "everywhere.quit",
}  # fmt: skip
_REMOVES = re.compile(
    r"(?i)\b(remove|delete|undo|unpin|take (back|the mark)|of your file again|change the|note on it|asks first)"
)


def test_every_key_that_removes_or_changes_what_is_kept_is_known() -> None:
    every = {key.name: key for table in TABLES.values() for key in table}
    found = {name for name, key in every.items() if _REMOVES.search(key.help)} | {"settings.change"}
    assert found - NOTHING_KEPT == ASKS | TAKEN_BACK
    assert all("asks" in every[name].help for name in ASKS - {"checkpoints.note"})


def kept(folder: Path) -> dict[Path, str]:
    """Return a digest of every file that a person's work is kept in."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".log", ".lock"))
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


async def test_what_asks_removes_nothing_before_the_answer(tmp_path: Path) -> None:
    app = make_tour(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        async for name in tour(app, pilot, ("checkpoints",)):
            assert name == "checkpoints"
            before = kept(tmp_path)
            for key in ("d", "D", "n"):
                await pilot.press(key)
                await until(pilot, lambda: isinstance(app.screen, ModalScreen))
                await pilot.press("escape")
                await until(pilot, lambda: not isinstance(app.screen, ModalScreen))
            assert kept(tmp_path) == before


def saved(folder: Path) -> dict[str, Any]:
    path = folder / ".specs" / "settings.toml"
    return tomllib.loads(path.read_text()) if path.exists() else {}


async def at_setting(app: OpeddevApp, pilot: Pilot[str], name: str) -> None:
    await opened(pilot)
    await settle(app, "ready")
    await pilot.press("5", "slash", *name, "enter")
    await until(pilot, lambda: isinstance(app.screen, SettingsScreen) and app.screen.selected == name)


def told(app: OpeddevApp) -> str:
    return app.session.view().told


async def test_a_saved_value_that_is_removed_is_brought_back(tmp_path: Path) -> None:
    app = make(tmp_path, "ready")
    async with app.run_test(size=(80, 24)) as pilot:
        await at_setting(app, pilot, "training.seed")
        await pilot.press("x")
        await until(pilot, lambda: "The app saved no value of training.seed: it is from default." in told(app))
        await pilot.press("u")
        await until(pilot, lambda: "there is nothing to undo" in told(app))
        await pilot.press("enter", "ctrl+u", *"43", "enter")
        await until(pilot, lambda: saved(tmp_path) == {"training": {"seed": 43}})
        await until(pilot, lambda: isinstance(app.screen, SettingsScreen))
        await pilot.press("x")
        await until(pilot, lambda: "Removed the saved training.seed = 43. u brings it back." in told(app))
        assert saved(tmp_path) == {}
        # a second x changes nothing, and takes the undo away neither
        await pilot.press("x")
        await until(pilot, lambda: "The app saved no value" in told(app))
        await pilot.press("u")
        await until(pilot, lambda: "Saved again: training.seed = 43. u takes that back." in told(app))
        assert saved(tmp_path) == {"training": {"seed": 43}}
        assert app.loaded.settings.training.seed == 43
        assert any("43" in cells for cells in app.screen.query_one(Grid).all_cells)
        await pilot.press("u")
        await until(pilot, lambda: "No longer saved: training.seed. u takes that back." in told(app))
        assert saved(tmp_path) == {}


async def test_a_value_that_was_changed_elsewhere_is_brought_back(tmp_path: Path) -> None:
    app = make(tmp_path, "ready")
    async with app.run_test(size=(80, 24)) as pilot:
        await at_setting(app, pilot, "training.seed")
        for value in ("43", "44"):
            await pilot.press("colon", *f"set training.seed={value}", "enter")
            await until(pilot, lambda value=value: saved(tmp_path) == {"training": {"seed": int(value)}})  # type: ignore[misc]
            await until(pilot, lambda: isinstance(app.screen, SettingsScreen))
        await pilot.press("u")
        await until(pilot, lambda: saved(tmp_path) == {"training": {"seed": 43}})
