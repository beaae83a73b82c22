"""Where a training runs already, every way to start one shows that training; none is a failure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from scenes import opened, run_id, until
from test_app import text_of
from test_one_word import CASES, Case, lay, process_of

from opeddev_tui.config import loading
from opeddev_tui.config.loading import LoadedSettings
from opeddev_tui.errors import BusyProblem
from opeddev_tui.runs.control import StepRequest
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.screens.recovery import RecoveryScreen
from opeddev_tui.ui.state.training_thread import RUNS_ALREADY
from opeddev_tui.workspace.paths import Workspace

LIVING = [case for case in CASES if case.lives]
TRAINING = next(case for case in CASES if case.name == "training")
DIED = next(case for case in CASES if case.name == "died")


def settings(folder: Path) -> LoadedSettings:
    own = {"ui": {"guard_ms": 0, "undo_seconds": 0.0}, "paths": {"model_store": str(folder / "store")}}
    return loading.resolve([loading.Layer("--set", own)])


def check_shown(app: OpeddevApp, root: Path) -> None:
    """The other process's training is on show, nothing failed, and nobody wrote a traceback."""
    shown = text_of(app)
    assert "failed" not in shown
    assert RUNS_ALREADY in shown
    assert not app.session.trouble
    log = root / "logs" / "train.log"
    assert not log.exists() or "Traceback" not in log.read_text()


@pytest.mark.parametrize("start", [True, StepRequest(), StepRequest(which="all")], ids=["demo", "next", "all"])
@pytest.mark.parametrize("case", LIVING, ids=lambda case: case.name)
async def test_an_app_that_is_opened_to_train_follows(tmp_path: Path, case: Case, start: bool | StepRequest) -> None:
    (tmp_path / "config.toml").touch()
    lay(tmp_path, case)
    app = OpeddevApp(tmp_path, settings(tmp_path), start=start)
    with process_of(Workspace(tmp_path, app.loaded.settings.paths), case):
        async with app.run_test(size=(120, 40)) as pilot:
            await opened(pilot)
            await pilot.pause()
            assert app.session.trained_by == "other"
            assert app.session.shown.situation.kind == case.kind
            assert not app.live.running
            check_shown(app, tmp_path)


def by_key(app: OpeddevApp) -> None:
    app.start_training()


def anew(app: OpeddevApp) -> None:
    app.start_training(StepRequest(which="1", new=True))


@pytest.mark.parametrize("start", [by_key, anew])
async def test_a_start_that_comes_too_late_follows(tmp_path: Path, start: Callable[[OpeddevApp], None]) -> None:
    (tmp_path / "config.toml").touch()
    lay(tmp_path, replace(TRAINING, lives=False))
    app = OpeddevApp(tmp_path, settings(tmp_path))
    async with app.run_test(size=(120, 40)) as pilot:
        # from here on the app does not look who trains
        await opened(pilot)
        assert app.session.trained_by == "none"
        with process_of(Workspace(tmp_path, app.loaded.settings.paths), TRAINING):
            start(app)
            await until(pilot, lambda: app.session.trained_by == "other")
            await pilot.pause()
            assert app.session.run == run_id(1)
            assert app.session.shown.situation.kind == "training"
            check_shown(app, tmp_path)
            # it is followed: the next start does not even try
            app.start_training()
            assert not app.live.running


async def test_a_resume_from_the_recovery_that_another_process_made_first(tmp_path: Path) -> None:
    (tmp_path / "config.toml").touch()
    lay(tmp_path, DIED)
    app = OpeddevApp(tmp_path, settings(tmp_path))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RecoveryScreen))
        app.workers.cancel_group(app, "watch")
        with process_of(Workspace(tmp_path, app.loaded.settings.paths), replace(DIED, lives=True)):
            # of this run nothing can be resumed, but its step can be begun again
            await pilot.press("b")
            await until(pilot, lambda: app.session.trained_by == "other")
            await pilot.pause()
            check_shown(app, tmp_path)


async def test_a_refusal_whose_cause_is_gone_is_a_notice(tmp_path: Path) -> None:
    def refused(*_: object) -> object:
        raise BusyProblem("a training is already running here (process 4711).")

    (tmp_path / "config.toml").touch()
    lay(tmp_path, DIED)
    app = OpeddevApp(tmp_path, settings(tmp_path), runner=refused)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        app.start_training()
        await until(pilot, lambda: any("process 4711" in notice.message for notice in app._notifications))
        assert "failed" not in text_of(app)
        # a key tries again
        assert app.session.shown.situation.kind == "interrupted"
        assert app.session.shown.situation.offers_action("start")
