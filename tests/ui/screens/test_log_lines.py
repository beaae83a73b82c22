"""Lines of train.log as a person reads them."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from scenes import make, opened, settle, trained, training, until
from test_app import MIDDLE, SMALL, text_of

from opeddev_tui.runs import events as ev
from opeddev_tui.runs.grade_words import steadied
from opeddev_tui.runs.log import EventLog, to_file
from opeddev_tui.ui.screens.log_lines import read

AT = 1_700_000_000.0


@pytest.fixture
def logged(tmp_path: Path) -> Path:
    """A log with every kind of event that is logged, as the app writes it."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    to_file(tmp_path / "train.log")
    try:
        sink = EventLog()
        for event in [*trained(1, AT), ev.Resumed(checkpoint="run/checkpoint-50", global_step=50, epoch=1.0),
                      ev.Interrupted(reason="stopped by the person", checkpoint="c", global_step=72),
                      ev.MemoryRetried(batch_size=1, accumulation=2, checkpoint="", message="CUDA out of memory"),
                      ev.Warned(message="a note = with signs"), ev.Annotated(epoch=1, note="looks good"),
                      ev.CheckpointRejected(path="run/checkpoint-75", problem="model.safetensors has changed bytes"),
                      ev.RanksStarted(ranks=(), backend="gloo"), ev.RankSilent(rank=1, host="node1", since=AT),
                      ev.RankLost(rank=1, host="node1", reason="was killed by SIGKILL"),
                      ev.HeadFitted(head="base", epoch=0, rows=100, fit_seconds=0.0776, claim="kappa=0.18"),
                      ev.HeadFitted(head="step", epoch=1, problem="too few graded rows."),
                      ev.HeadFitted(head="step", epoch=2, rows=80, fit_seconds=0.2, steadied=80, steady_read=80),
                      ev.GradesRead(epoch=1, labels=("1", "2"), ids=(), reference=(), ways=(), seconds=0.0032),
                      ev.FeedbackWritten(epoch=1, head="base head", seconds=0.77),
                      ev.NextStepChosen(epoch=1, learning_rate=1e-4), ev.PolicyChanged(epoch=1, policy="rule"),
                      ev.RatingUndone(epoch=1, prompt=2), ev.SeedChosen(chosen=True, by="person", group="g"),
                      ev.CommandTaken(command="SaveNow", id="a", done=False, reason="nothing new"),
                      ev.RunFailed(kind="storage", message="no space left on device")]:  # fmt: skip
            sink.emit(event)
        logging.getLogger("httpx.client").warning("something is deprecated")
    finally:
        for handler in [handler for handler in root.handlers if handler not in before]:
            root.removeHandler(handler)
            handler.close()
        for handler in before:
            if handler not in root.handlers:
                root.addHandler(handler)
        root.setLevel(level)
        logging.captureWarnings(False)
    return tmp_path / "train.log"


def test_every_event_is_said_in_words(logged: Path) -> None:
    lines = [read(line) for line in logged.read_text().splitlines()]
    texts = [line.text for line in lines]
    assert all(len(line.time) == 8 for line in lines)
    assert "step 1 begins · batch_100_01 · 200 rows · from Qwen/Qwen3-0.6B" in texts
    assert "epoch 2 done · train 1.224 · hold-out 1.324 · saved" in texts
    assert "before the step · hold-out 2.700" in texts
    assert "continue after epoch 1 (person)" in texts
    assert "checkpoint saved · optimizer step 100 · 2.2 GiB" in texts
    assert "step done · 3 epochs · best 3 · hold-out 0.964" in texts
    assert "failed · no space left on device" in texts
    assert "a note = with signs" in texts
    assert any(text.endswith("50 optimizer steps per epoch of 2 rows · 1 process") for text in texts)
    assert "all processes are ready · gloo exchanges gradients" in texts
    assert "rank 1 on node1 gives no sign · the training waits for it" in texts
    assert "rank 1 on node1 is lost · was killed by SIGKILL" in texts
    assert "httpx: something is deprecated" in texts
    assert "the head on the base model fitted · 100 graded rows · 0.1 s" in texts
    assert "no grades by the head on the step's model · too few graded rows." in texts
    assert f"the head on the step's model fitted · 80 graded rows · 0.2 s · {steadied(80)}" in texts
    assert "the rule decides from now on" in texts
    assert "asked for: SaveNow · not done: nothing new" in texts
    assert not [text for text in texts if "=" in text.replace(" = ", "")]


def test_levels_are_those_of_the_log(logged: Path) -> None:
    levels = {line.text: line.level for line in map(read, logged.read_text().splitlines())}
    assert levels["failed · no space left on device"] == "error"
    assert levels["httpx: something is deprecated"] == "warning"
    assert levels["continue after epoch 1 (person)"] == "info"


@pytest.mark.parametrize(
    ("line", "level"),
    [("loading shard 3 of 40", "detail"), ("RuntimeError: CUDA error", "error"), ("FutureWarning: soon", "warning"),
     ("", "detail"),
     ("2026-01-01 00:00:00,000 INFO opeddev_tui.training.run: Unheard of=3", "info")],
)  # fmt: skip
def test_other_lines_stay_as_they_are(line: str, level: str) -> None:
    found = read(line)
    assert found.level == level
    assert found.text in line


async def test_r_shows_the_raw_lines(tmp_path: Path, logged: Path) -> None:
    app = make(tmp_path / "w", "training") if (tmp_path / "w").mkdir() is None else None
    assert app is not None
    assert training(AT)
    app.provider.workspace.log.write_bytes(logged.read_bytes())
    async with app.run_test(size=MIDDLE) as pilot:
        await opened(pilot)
        await settle(app, "training")
        await pilot.press("4")
        await until(pilot, lambda: "failed · no space left" in text_of(app))
        assert "RunFailed" not in text_of(app)
        await pilot.press("r")
        await until(pilot, lambda: "RunFailed kind=storage" in text_of(app))


@pytest.mark.parametrize("size", [SMALL, MIDDLE])
async def test_a_long_line_is_wrapped_whole(tmp_path: Path, size: tuple[int, int]) -> None:
    words = [f"word{number}" for number in range(60)]
    app = make(tmp_path, "training")
    app.provider.workspace.log.write_text(" ".join(words) + "\n")
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await settle(app, "training")
        await pilot.press("4")
        await until(pilot, lambda: "word59" in text_of(app))
        assert all(word in text_of(app).split() for word in words)
        await pilot.resize_terminal(100, 30)
        await until(pilot, lambda: app.size.width == 100 and "word59" in text_of(app))
        await until(pilot, lambda: all(word in text_of(app).split() for word in words))
