"""A paused or stopped run has one optimizer step on the whole screen, also where that step was not logged."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from scenes import make, opened, settle
from test_app import text_of

from opeddev_tui.runs import events as ev


@pytest.mark.parametrize("name", ["paused", "interrupted"])
async def test_the_metrics_and_the_bar_name_one_optimizer_step(tmp_path: Path, name: str) -> None:
    app = make(tmp_path, name)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        await settle(app, name)
        state = app.session.state
        assert state.progress is not None
        step = state.progress.global_step + 1
        if name == "paused":
            state.paused = ev.Paused(global_step=step)
        else:
            assert state.interrupted is not None
            state.interrupted = replace(state.interrupted, global_step=step)
        app.show_now()
        await pilot.pause()
        shown = " ".join(text_of(app).split())
        assert f"optimizer step {step}" in shown
        assert f"opt. step {step}" in shown
