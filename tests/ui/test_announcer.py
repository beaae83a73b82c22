"""What the app tells somebody who does not look: notices, the window's title, warnings. Written by its driver only."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from engine import ScriptedEngine
from scenes import HOSTILE, opened, until
from textual.pilot import Pilot
from textual.widgets import TextArea

from opeddev_tui.config import loading
from opeddev_tui.config.loading import LoadedSettings
from opeddev_tui.launch import Runner
from opeddev_tui.notices.terminal import title_sequence
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.control import Control, StepRequest
from opeddev_tui.runs.events import Sink
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.screens.quit import QuitScreen

BEL, ST = "\a", "\x1b\\"


@asynccontextmanager
async def recorded(
    folder: Path,
    runner: Runner,
    monkeypatch: pytest.MonkeyPatch,
    *,
    term: dict[str, str] | None = None,
    start: StepRequest | None = None,
    **notify: bool,
) -> AsyncIterator[tuple[OpeddevApp, Pilot[str], list[tuple[str, int]]]]:
    """An app that trains with ``runner``, and what its driver was given, with the thread that gave it."""
    for name in ("TMUX", "VTE_VERSION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (term or {"TERM": "xterm-256color"}).items():
        monkeypatch.setenv(name, value)
    loaded = loading.resolve([loading.Layer("test", {"ui": {"guard_ms": 0, "undo_seconds": 0.0}, "notify": notify})])
    (folder / "config.toml").touch()
    app = OpeddevApp(folder, loaded, runner=runner)
    written: list[tuple[str, int]] = []
    async with app.run_test(size=(100, 30)) as pilot:
        await opened(pilot)
        monkeypatch.setattr(app._driver, "write", lambda text: written.append((text, threading.get_ident())))
        app.start_training(start)
        try:
            yield app, pilot, written
        finally:
            app.live.stop("the test is over")
            await until(pilot, lambda: not app.live.running)


def text_of(written: list[tuple[str, int]]) -> str:
    return "".join(text for text, _ in written)


async def test_notices_and_title_from_inside_the_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question and the end of a run: a notice each, a bell each, the title; all on the thread of the screen."""
    async with recorded(tmp_path, ScriptedEngine(), monkeypatch) as (app, pilot, written):
        await until(pilot, lambda: "waits for your decision" in app.announcer._title)
        assert text_of(written).count("\x1b]9;opeddev step 1 (batch_100_01): epoch 1 waits for your decision: ") == 1
        assert f"\x1b]2;opeddev step 1 (batch_100_01): waits for your decision{ST}" in text_of(written)
        await pilot.press("s")
        await until(pilot, lambda: "]2;opeddev step 1 (batch_100_01): done" in text_of(written))
        assert text_of(written).count("\x1b]9;opeddev step 1 (batch_100_01): done: 1 epochs") == 1
        assert {thread for _, thread in written} == {threading.get_ident()}
        # the stop asks for an observation: its screen is whole before the test goes
        await until(pilot, lambda: app.screen.is_mounted and app.screen.query(TextArea))
        # something else wrote to the terminal: the title is written again too
        written.clear()
        app.action_redraw()
        app.show_now()
        assert "]2;opeddev step 1 (batch_100_01): done" in text_of(written)


@pytest.mark.parametrize("switch", ["decision_awaited", "terminal"])
async def test_switches_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, switch: str) -> None:
    """Without its kind a question is an epoch's end; without both, or without the terminal, nothing is written."""
    off = {switch: False, "epoch_finished": False}
    async with recorded(tmp_path, ScriptedEngine(), monkeypatch, **off) as (app, pilot, written):
        await until(pilot, lambda: app.session.current.question is not None)
        await until(pilot, lambda: app.announcer._kind == "awaiting")
        assert "]9;" not in text_of(written)
        assert ("]2;" in text_of(written)) == (switch != "terminal")


async def test_tmux_gets_it_passed_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    term = {"TERM": "tmux-256color", "TMUX": "/tmp/tmux-0/default,1,0"}
    async with recorded(tmp_path, ScriptedEngine(), monkeypatch, term=term) as (_app, pilot, written):
        await until(pilot, lambda: "waits for your decision" in text_of(written))
        assert "\x1bPtmux;\x1b\x1b]9;opeddev step 1" in text_of(written)
        # the title is tmux's own business: its pane's
        assert "\x1b]2;opeddev step 1" in text_of(written)


async def test_a_console_gets_a_bell_and_no_sequence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with recorded(tmp_path, ScriptedEngine(), monkeypatch, term={"TERM": "linux"}) as (_app, pilot, written):
        await until(pilot, lambda: BEL in text_of(written))
        assert text_of(written).replace(BEL, "") == ""


async def test_hostile_text_cannot_break_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch's name and a failure's words arrive in the terminal without a control character of their own."""

    def fails(root: Path, loaded: LoadedSettings, start: StepRequest, sink: Sink, control: Control) -> object:  # noqa: ARG001
        at = time.time() + 1
        sink.emit(_started(HOSTILE, at))
        sink.emit(ev.RunFailed(at=at, kind="bug", message=f"{HOSTILE}\x1b\\\x9c\x9d0;x\x07"))
        return []

    async with recorded(tmp_path, fails, monkeypatch) as (_app, pilot, written):
        await until(pilot, lambda: "]9;" in text_of(written) and ": failed" in text_of(written))
        for text, _ in written:
            if text.startswith("\x1b]9;"):
                assert text.endswith(BEL * 2)
                inner = text[4:-2]
            else:
                assert text.startswith("\x1b]2;")
                assert text.endswith(ST)
                inner = text[4:-2]
            assert not [char for char in inner if ord(char) < 32 or 127 <= ord(char) < 160]


def _started(batch: str, at: float) -> ev.RunStarted:
    return ev.RunStarted(
        at=at, run="r", step=1, batch=batch, rows=1, holdout_rows=1, holdout_fingerprint="", planned_epochs=1,
        max_epochs=1, seed=1, model="m", policy="ask", pid=1,
    )  # fmt: skip


class Lingering:
    """A training that is over and lets go, while something is left to be drawn."""

    def __init__(self) -> None:
        self.may_end = threading.Event()

    def __call__(self, root: Path, loaded: LoadedSettings, start: StepRequest, sink: Sink, control: Control) -> object:  # noqa: ARG002
        at = time.time() + 1
        sink.emit(_started("batch", at))
        sink.emit(ev.RunFinished(at=at, epochs=1, last_checkpoint="c", best_checkpoint="c", best_epoch=1, val_loss=1.0))
        sink.emit(ev.PhaseChanged(at=at, phase=ev.AFTERWARDS, detail="drawing the plots"))
        self.may_end.wait(30)
        sink.emit(ev.Warned(at=at, message="a notice could not be sent to json://***"))
        return []


async def test_while_plots_are_drawn_the_step_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar says what is done, offers nothing that would be refused, and q leaves without a question."""
    runner = Lingering()
    async with recorded(tmp_path, runner, monkeypatch) as (app, pilot, _written):
        await until(pilot, lambda: app.live.afterwards and app.session.current.finished)
        found = app.session.view().situation
        assert found.kind == "finished"
        assert found.lines[0] == "One moment: drawing the plots …"
        assert found.offers == ()
        await pilot.press("q")
        assert not isinstance(app.screen, QuitScreen)
        assert app.is_running
        runner.may_end.set()
        await until(pilot, lambda: not app.is_running)
    assert app.return_value == "quit"


async def test_a_fresh_screen_knows_that_the_training_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a screen failed, the next one has only the journal; what is left besides is known all the same."""
    runner = Lingering()
    async with recorded(tmp_path, runner, monkeypatch) as (app, pilot, _written):
        app.live.queue.abandon()
        await until(pilot, lambda: app.live.afterwards == "drawing the plots")
        app.session.starting = False
        await pilot.press("q")
        assert not isinstance(app.screen, QuitScreen)
        runner.may_end.set()
        await until(pilot, lambda: not app.is_running)


async def test_between_two_steps_q_still_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that is over is not the end where all steps were asked for."""
    go_on = threading.Event()

    def two_steps(root: Path, loaded: LoadedSettings, start: StepRequest, sink: Sink, control: Control) -> object:  # noqa: ARG001
        at = time.time() + 1
        sink.emit(_started("batch", at))
        sink.emit(ev.RunFinished(at=at, epochs=1, last_checkpoint="c", best_checkpoint="c", best_epoch=1, val_loss=1.0))
        go_on.wait(30)
        return []

    async with recorded(tmp_path, two_steps, monkeypatch, start=StepRequest(which="all")) as (app, pilot, _written):
        await until(pilot, lambda: app.session.current.finished)
        await pilot.press("q")
        assert isinstance(app.screen, QuitScreen)
        go_on.set()


async def test_what_is_told_last_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning on the last moment of the training's thread is neither lost nor shown twice."""
    runner, told = Lingering(), []
    monkeypatch.setattr(OpeddevApp, "tell", lambda _self, text, **_: told.append(text))
    async with recorded(tmp_path, runner, monkeypatch) as (app, pilot, _written):
        runner.may_end.set()
        await until(pilot, lambda: app.session.trained_by == "none" and not app.live.running)
        assert told.count("a notice could not be sent to json://***") == 1
        assert app.live.afterwards == ""
        assert "One moment" not in " ".join(app.session.view().situation.lines)


def test_a_terminal_of_no_known_kind_gets_no_title() -> None:
    assert title_sequence("x", {}) == ""


async def test_a_routine_note_is_no_warning(tmp_path: Path) -> None:
    app = OpeddevApp(tmp_path, loading.resolve([]))
    (tmp_path / "config.toml").touch()
    async with app.run_test() as pilot:
        await opened(pilot)
        app.announcer.tell([ev.Warned(message="grades corrected by regrade: 1 (base 1).", routine=True)])
        assert not app._notifications
        assert "corrected by regrade" in app.session.view().told
        app.announcer.tell([ev.Warned(message="the disk is nearly full")])
        await pilot.pause()
        assert [notice.severity for notice in app._notifications] == ["warning"]
