"""The checkpoint browser under keys: the tree, trust, differences, use, and a deletion that shows first."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import screen_text
from engine import ScriptedEngine
from graded import readings
from scenes import until, write
from store import LORA_RUN, browser, make_store
from textual.pilot import Pilot
from textual.widgets import Input, Static, TextArea

from opeddev_tui.checkpoints import folders as checkpoints
from opeddev_tui.data.rows import Message
from opeddev_tui.runs.control import StepRequest
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.screens.checkpoints.screen import CheckpointsScreen
from opeddev_tui.ui.state.training_thread import TrainingThread
from opeddev_tui.ui.tasks import checkpoints as shelf_work
from opeddev_tui.ui.widgets.dialogs import AskScreen, LinesScreen
from opeddev_tui.ui.widgets.grid import Grid

MIDDLE, LARGE = (120, 40), (200, 60)
Opened = tuple[OpeddevApp, Pilot[str], CheckpointsScreen]


@asynccontextmanager
async def opened(folder: Path, size: tuple[int, int] = MIDDLE) -> AsyncIterator[Opened]:
    app = make_store(folder)
    async with app.run_test(size=size) as pilot:
        yield app, pilot, await browser(app, pilot)


def text_of(app: OpeddevApp) -> str:
    return screen_text.text_of(app.screen)


def detail(screen: CheckpointsScreen) -> str:
    return str(screen.query_one("#detail", Static).render())


def folders(app: OpeddevApp) -> list[Path]:
    return sorted(app.provider.workspace.store.glob("*/checkpoint-*"))


@pytest.mark.parametrize("size", [(80, 24), MIDDLE, LARGE])
async def test_tree_shows_steps_runs_epochs_and_lineage(tmp_path: Path, size: tuple[int, int]) -> None:
    async with opened(tmp_path, size) as (app, _pilot, screen):
        shown = text_of(app)
        assert "step 0 base" in shown
        assert "← step 0 epoch 3" in shown
        assert "10 checkpoints" in shown
        assert "memory 9.0 GiB of 8.0 GiB" in shown
        rows = screen.query_one(Grid)._filled
        assert [key for key, _ in rows if key.startswith("run ")] == [
            "run 20260101-000000-step0-batch-abcd", "run 20260101-010000-step1-batch-abcd", f"run {LORA_RUN}",
        ]  # fmt: skip
        assert "grew from" in detail(screen)
        if size == LARGE:
            assert "LoRA bf16" in shown
            assert "→ step 1" in shown


async def test_verify_names_what_is_damaged_and_it_cannot_be_used(tmp_path: Path) -> None:
    async with opened(tmp_path) as (app, pilot, screen):
        assert "✓ when saved" in text_of(app)
        await pilot.press("V")
        await until(pilot, lambda: len(screen.verified) == 10)
        await pilot.pause()
        shown = text_of(app)
        assert shown.count("✗ damaged") >= 1
        assert "✗ unfinished" in shown
        assert "optimizer.pt has changed bytes" in detail(screen)
        await pilot.press("enter")
        assert len(app.screen_stack) == 1


async def test_two_marked_ones_are_compared(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_app, pilot, screen):
        await pilot.press("space")
        screen.query_one(Grid).move_cursor(row=9)
        await pilot.press("space")
        await pilot.pause()
        assert len(screen.marked) == 2
        shown = detail(screen)
        assert "1▸ step 0 epoch 1" in shown
        assert "LoRA bf16" in shown
        assert "lora.enabled" in shown
        await pilot.press("escape")
        assert screen.marked == []


async def test_of_two_marked_ones_it_is_said_whether_one_grades_better(tmp_path: Path) -> None:
    app = make_store(tmp_path)
    workspace = app.provider.workspace
    run = workspace.run_ids()[0]
    write(workspace, run, [readings(epoch, 1.0) for epoch in (1, 2)])
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await browser(app, pilot)
        await pilot.press("space", "down", "space")
        await pilot.pause()
        told = " ".join(detail(screen).split())
        assert told.startswith("Grading by the head on each one's model: kappa 0.")
        assert "the same grade for each of 50 hold-out rows." in told
        assert "differs in" in told


async def test_filter_and_order(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_app, pilot, screen):
        await pilot.press("slash", *"lora", "enter")
        await pilot.pause()
        keys = [key for key, _ in screen.query_one(Grid)._filled]
        assert keys[0] == f"run {LORA_RUN}"
        assert len([key for key in keys if not key.startswith("run ")]) == 4
        await pilot.press("escape", "o")
        await pilot.pause()
        losses = [cells[1] for key, cells in screen.query_one(Grid)._filled]
        assert losses[:9] == sorted(losses[:9], key=str)
        assert not any(key.startswith("run ") for key, _ in screen.query_one(Grid)._filled)


async def test_pin_and_note_are_kept(tmp_path: Path) -> None:
    async with opened(tmp_path) as (app, pilot, screen):
        await pilot.press("p")
        await until(pilot, lambda: screen.current is not None and "pinned" in screen.current.marks)
        await pilot.press("n", *"odd [/b]", "enter")
        await until(pilot, lambda: screen.current is not None and screen.current.note == "odd [/b]")
        await pilot.pause()
        assert "note: odd [/b]" in detail(screen)
        await pilot.press("p")
        await until(pilot, lambda: screen.current is not None and "pinned" not in screen.current.marks)
        assert app.provider.workspace.checkpoint_notes.exists()


async def test_delete_shows_first_and_keeps_what_is_needed(tmp_path: Path) -> None:
    async with opened(tmp_path, LARGE) as (app, pilot, screen):
        before = folders(app)
        decoy = before[0].parent / "checkpoint-best-KEEP"
        decoy.mkdir()
        await pilot.press("p")
        await until(pilot, lambda: screen.current is not None and "pinned" in screen.current.marks)
        await pilot.press("D")
        await until(pilot, lambda: "deleted: step 0 epoch 2" in text_of(app))
        shown = text_of(app)
        assert "deleted: step 0 epoch 2" in shown
        assert "kept: step 0 epoch 1 (pinned)" in shown
        assert "not finished or not of this app" in shown
        assert [path for path in folders(app) if path != decoy] == before
        await pilot.press("escape")
        assert [path for path in folders(app) if path != decoy] == before
        await pilot.press("D")
        # the dialog is there before what it would delete is known
        await until(pilot, lambda: isinstance(app.screen, AskScreen) and "would be freed" in text_of(app))
        await pilot.press("y")
        await until(pilot, lambda: len(folders(app)) < len(before))
        await until(pilot, lambda: screen.shelf is not None and len(screen.shelf.entries) == 5)
        left = {f"{path.parent.name}/{path.name}" for path in folders(app)}
        assert "20260101-000000-step0-batch-abcd/checkpoint-50" in left
        assert "20260101-000000-step0-batch-abcd/checkpoint-best-KEEP" in left
        assert f"{LORA_RUN}/checkpoint-999" in left
        assert len(left) == 6


async def test_damaged_ones_put_aside_go_with_the_unneeded(tmp_path: Path) -> None:
    async with opened(tmp_path, LARGE) as (app, pilot, screen):
        run, shown = folders(app)[0].parent, screen.shelf
        aside, decoy = run / "damaged-checkpoint-25-1700000000000000000", run / "damaged-checkpoint-25"
        for folder in (aside, decoy):
            folder.mkdir()
            (folder / "model.safetensors").write_bytes(b"x" * 1000)
        await pilot.press("D")
        await until(pilot, lambda: f"deleted: {aside.name} of" in text_of(app))
        assert "quarantined as damaged" in text_of(app)
        await pilot.press("y")
        await until(pilot, lambda: screen.shelf is not shown)
        assert not aside.exists()
        assert (decoy / "model.safetensors").exists()


async def test_a_protected_one_is_not_deleted(tmp_path: Path) -> None:
    async with opened(tmp_path) as (app, pilot, screen):
        screen.query_one(Grid).move_cursor(row=3)
        await pilot.press("d")
        await until(pilot, lambda: "Nothing would be deleted" in text_of(app))
        await pilot.press("y")
        assert isinstance(app.screen, AskScreen)


async def test_training_starts_from_the_selected_one(tmp_path: Path) -> None:
    async with opened(tmp_path) as (app, pilot, screen):
        engine = ScriptedEngine()
        app.live = app.session.live = TrainingThread(engine)
        screen.query_one(Grid).move_cursor(row=2)
        assert screen.current is not None
        folder = str(screen.current.folder)
        await pilot.press("enter")
        await pilot.pause()
        shown = text_of(app)
        assert "Train the next step, 2 (batch_100_02)" in shown
        assert "Branch: train step 1 (batch_100_01) again" in shown
        await pilot.press("b")
        await until(pilot, lambda: engine.starts)
        assert engine.starts == [StepRequest(which="1", new=True, start_from=folder)]
        assert app.current_mode == "monitor"
        app.live.stop("the test is over")
        await until(pilot, lambda: not app.live.running)


class FakeModel:
    """Answers with its folder's name, piece by piece."""

    scored_on = ""

    def __init__(self, source: str) -> None:
        self.source = source

    def answer(self, messages: Sequence[Message]) -> Iterator[str]:
        yield "|".join(f"{item.role}: {item.content}" for item in messages) + " "
        yield "\x1b[c[/INST] "
        yield Path(self.source).name

    def holdout_loss(self, _workspace: object) -> float:
        return 1.25


async def test_try_two_side_by_side_and_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf_work, "load_model", lambda source, _settings: FakeModel(source))
    async with opened(tmp_path) as (app, pilot, screen):
        await pilot.press("s")
        await until(pilot, lambda: "1.2500" in app.session.view().told)
        await pilot.press("space", "j", "space", "t")
        await until(pilot, lambda: isinstance(app.focused, TextArea))
        await pilot.press(*"hello", "enter", *"there", "ctrl+s")
        await until(pilot, lambda: text_of(app).count("[done]") == 2)
        shown = text_of(app)
        assert "hello" in shown
        assert "checkpoint-50" in shown
        assert "checkpoint-100" in shown
        assert "\x1b" not in shown
        assert "␛[c[/INST]" in shown
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)


async def test_export_asks_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []
    monkeypatch.setattr(
        shelf_work.CheckpointTasks, "_export", lambda _self, _entry, target: made.append(target) or [str(target)]
    )
    async with opened(tmp_path) as (app, pilot, _screen):
        await pilot.press("x")
        await pilot.pause()
        box = app.screen.query_one("#text", Input)
        assert box.value.startswith("exports/")
        box.value = "exports/mine"
        await pilot.press("enter")
        await until(pilot, lambda: made)
        assert made == [tmp_path / "exports/mine"]
        await until(pilot, lambda: isinstance(app.screen, LinesScreen))
        assert str(tmp_path / "exports/mine") in str(app.screen.query_one(".part", Static).render())


async def test_an_export_that_ends_while_another_screen_is_shown_puts_no_dialog_over_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = threading.Event()
    monkeypatch.setattr(
        shelf_work.CheckpointTasks, "_export", lambda *_: ["It is written."] if goes_on.wait(30) else []
    )
    async with opened(tmp_path) as (app, pilot, _screen):
        await pilot.press("x")
        await pilot.pause()
        await pilot.press("enter", "5")
        goes_on.set()
        await until(pilot, lambda: "It is written. The log (4) says" in app.session.view().told)
        assert len(app.screen_stack) == 1


async def test_nothing_is_changed_in_a_view(tmp_path: Path) -> None:
    async with opened(tmp_path) as (app, pilot, _screen):
        app.session.read_only = True
        before = folders(app)
        for key in ("p", "n", "d", "D", "enter"):
            await pilot.press(key)
            await pilot.pause()
            assert len(app.screen_stack) == 1
        assert folders(app) == before
        assert checkpoints.list_folders(before[0].parent)


async def test_a_run_among_them_says_where_its_checkpoints_are(tmp_path: Path) -> None:
    async with opened(tmp_path) as (app, pilot, screen):
        screen.query_one(Grid).move_cursor(row=0)
        await pilot.press("space")
        assert screen.marked == []
        assert "This line is a run" in app.session.view().told


async def test_the_question_before_a_deletion_opens_at_once_and_takes_the_keys_typed_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned: list[object] = []
    monkeypatch.setattr(shelf_work.CheckpointTasks, "plan", lambda _self, entries, _done: planned.append(entries))
    async with opened(tmp_path) as (app, pilot, screen):
        before = folders(app)
        for key in ("D", "d"):
            await pilot.press(key, "y", "p", "v")
            assert isinstance(app.screen, AskScreen)
            assert "Counting" in text_of(app)
            await pilot.press("escape")
            assert app.screen is screen
        assert len(planned) == 2
        assert screen.current is not None
        assert "pinned" not in screen.current.marks
        assert folders(app) == before
