"""Lines of train.log as a person reads them."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from scenes import make, opened, settle, trained, training, until
from test_app import MIDDLE, text_of

from opeddev_tui.runs import events as ev
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
                      ev.RunFailed(kind="storage", message="no space left on device")]:  # fmt: skip
            sink.emit(event)
        logging.getLogger("transformers.trainer").warning("something is deprecated")
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
    assert "transformers: something is deprecated" in texts
    assert not [text for text in texts if "=" in text.replace(" = ", "")]


def test_levels_are_those_of_the_log(logged: Path) -> None:
    levels = {line.text: line.level for line in map(read, logged.read_text().splitlines())}
    assert levels["failed · no space left on device"] == "error"
    assert levels["transformers: something is deprecated"] == "warning"
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
