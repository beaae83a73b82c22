"""After a run that ended badly: what is said and offered at the next start."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import engine_helpers as eh
import pytest
import screen_text
from recorded_training import Killed, MadeUpLearning, without_learning

sys.path.insert(0, str(Path(__file__).parent / "ui"))

from engine import ScriptedEngine
from scenes import BATCHES, PER_EPOCH, awaiting, run_id, trained, training, until, write
from store import publish, settings_of

from opeddev_tui.checkpoints import folders
from opeddev_tui.checkpoints.recovery import examine, in_words, needs_recovery
from opeddev_tui.commands.status import status
from opeddev_tui.config.loading import load
from opeddev_tui.config.settings import Settings
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.control import StepRequest
from opeddev_tui.runs.history import status_of
from opeddev_tui.runs.state import reduce
from opeddev_tui.training import step_data
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.screens.recovery import RecoveryScreen
from opeddev_tui.ui.state.data_scan import Scan
from opeddev_tui.ui.state.reader import WorkspaceReader
from opeddev_tui.ui.state.situation import kind_of
from opeddev_tui.ui.state.view import View
from opeddev_tui.workspace.paths import Workspace

Make = Callable[..., Path]


def died(folder: Path, events: list[ev.AnyEvent]) -> Workspace:
    """Make a workspace whose newest run stopped after ``events``, with checkpoints after epochs 1 and 2."""
    workspace = Workspace(folder, settings_of(folder).settings.paths)
    (folder / "config.toml").touch()
    write(workspace, run_id(0), trained(0, time.time() - 9000))
    write(workspace, run_id(1), events)
    for event in events:
        if isinstance(event, ev.EpochFinished) and event.epoch:
            place = folders.folder_for(workspace.checkpoints(run_id(1)), event.epoch * PER_EPOCH)
            publish(place, run_id(1), 1, event, lora=False, parent="")
    return workspace


def test_the_newest_whole_checkpoint_is_named_and_the_damaged_one_too(tmp_path: Path) -> None:
    now = time.time()
    events = awaiting(now - 600)
    workspace = died(tmp_path, events)
    broken = folders.folder_for(workspace.checkpoints(run_id(1)), 3 * PER_EPOCH) / "optimizer.pt"
    broken.write_bytes(b"")
    state = reduce(events)
    assert needs_recovery(state, alive=False)
    assert not needs_recovery(state, alive=True)
    found = examine(workspace, run_id(1), state)
    words = " ".join(in_words(found, now))
    assert f"was interrupted at optimizer step {3 * PER_EPOCH}" in words
    assert "10 min ago" in words
    assert "checkpoint-150 cannot be trusted: optimizer.pt is empty" in words
    assert "Last verified checkpoint: checkpoint-100 (optimizer step 100, epoch 2); every byte was checked" in words
    assert "just now." in words
    assert "trains 50 optimizer steps again" in words
    assert "decision after epoch 3 will be asked again" in words


@pytest.mark.parametrize(
    "end",
    [
        ev.Interrupted(reason="SIGTERM", checkpoint="c", global_step=5),
        ev.RunFailed(kind="storage", message="the disk is full"),
        ev.RunFinished(epochs=1, last_checkpoint="c", best_checkpoint="c", best_epoch=1, val_loss=1.0),
    ],
)
def test_an_end_with_a_word_needs_no_question(end: ev.AnyEvent) -> None:
    assert not needs_recovery(reduce([*training(time.time()), end]), alive=False)


def test_a_bug_is_told_with_its_message(tmp_path: Path) -> None:
    events = [*training(time.time()), ev.RunFailed(kind="bug", message="ValueError: \x1b[c odd")]
    found = examine(died(tmp_path, events), run_id(1), reduce(events))
    words = "\n".join(in_words(found))
    assert "with an error: ValueError: ␛[c odd" in words


@pytest.mark.parametrize(
    ("key", "starts"), [("r", [StepRequest(which="1")]), ("b", [StepRequest(which="1", new=True)]), ("escape", [])]
)
async def test_the_app_asks_before_it_does_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, starts: list[StepRequest]
) -> None:
    # the workspace has no rows, which is another test's
    monkeypatch.setattr(step_data, "refusals", lambda *_: step_data.Refusals())
    died(tmp_path, training(time.time() - 300))
    engine = ScriptedEngine()
    app = OpeddevApp(tmp_path, settings_of(tmp_path), runner=engine, start=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RecoveryScreen))
        await pilot.pause()
        shown = screen_text.text_of(app.screen)
        assert "Last verified checkpoint: checkpoint-50" in shown
        assert "Resume this run" in shown
        assert engine.starts == []
        app.session.scan = Scan(BATCHES)
        await pilot.press(key)
        await until(pilot, lambda: len(engine.starts) == len(starts))
        assert engine.starts == starts
        assert not isinstance(app.screen, RecoveryScreen)
        app.live.stop("the test is over")
        await until(pilot, lambda: not app.live.running)


def test_a_run_without_an_end_is_interrupted_in_every_place(tmp_path: Path) -> None:
    """One word wherever it is named: in status, in its JSON, in the list of runs, on the monitor, after a crash."""
    events = training(time.time() - 300)
    workspace = died(tmp_path, events)
    state = reduce(events)
    assert status_of(state, alive=True) == "training"
    assert status_of(state, alive=False) == "interrupted"
    assert status(workspace, Settings())["runs"][-1]["status"] == "interrupted"
    assert WorkspaceReader(tmp_path, settings_of(tmp_path)).runs()[0].status == "interrupted"
    assert kind_of(View(state=state)) == "interrupted"
    assert "was interrupted" in in_words(examine(workspace, run_id(1), state))[0]


@pytest.mark.parametrize("end", [None, ev.Interrupted(reason="SIGTERM", checkpoint="c", global_step=5)])
def test_scripts_learn_why_a_run_was_interrupted(tmp_path: Path, end: ev.AnyEvent | None) -> None:
    workspace = died(tmp_path, [*training(time.time() - 300), *([end] if end is not None else [])])
    run = status(workspace, Settings())["runs"][-1]
    assert (run["status"], run["interruption"]) == ("interrupted", "SIGTERM" if end is not None else None)


def killed(root: Path) -> Path:
    """Return the workspace after a training of its first step whose process was killed after an epoch."""
    with without_learning():
        MadeUpLearning.die_after = 1
        with pytest.raises(Killed):
            eh.train(root)
    assert MadeUpLearning.left is not None
    journal, content = MadeUpLearning.left
    journal.write_bytes(content)
    return root


def _same(_: Path) -> None:
    """Change nothing."""


def _changed(root: Path) -> None:
    path = eh.base_file(root)
    path.write_text(path.read_text().replace('"grade": 1', '"grade": 2', 1))


def _changed_back(root: Path) -> None:
    path = eh.base_file(root)
    path.write_text(path.read_text().replace('"grade": 2', '"grade": 1', 1))


def _broken(root: Path) -> None:
    with eh.base_file(root).open("a") as file:
        file.write('{"prompt": "cut' * 4 + "\n")


@pytest.mark.parametrize(
    ("change", "told", "offered"),
    [
        (_same, "A resume continues from", {"r", "b"}),
        (_changed, "batch base has changed (20 rows then, 20 now). Undo the change to resume it", {"b"}),
        (_broken, "It can neither be resumed nor begun again as the workspace is now:", set()),
    ],
)
async def test_what_the_training_would_refuse_is_not_offered_and_said_in_place(
    workspace_factory: Make, change: Callable[[Path], None], told: str, offered: set[str]
) -> None:
    root, engine = killed(workspace_factory()), ScriptedEngine()
    change(root)
    app = OpeddevApp(root, load(root, environment={}), runner=engine, start=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RecoveryScreen))
        await pilot.pause()
        shown = screen_text.words_of(app.screen)
        assert told in shown
        assert ("Resume this run" in shown) == ("r" in offered)
        assert ("Begin the step again" in shown) == ("b" in offered)
        assert ("resumes it later" in shown) == ("r" in offered)
        if change is _broken:
            # with the place and the cure, relative to the workspace
            assert "datasets/processed_webdev_coding/train.jsonl:21" in shown
            assert str(root) not in shown
        for key in {"r", "b"} - offered:
            await pilot.press(key)
        await pilot.pause()
        assert isinstance(app.screen, RecoveryScreen)
        assert engine.starts == []
        # once the dialog is closed the bar offers no more and no less, and says why
        await pilot.press("escape")
        await until(pilot, lambda: app.disk.opened)
        bar = app.session.shown.situation
        assert bar.offers_action("start") == ("r" in offered)
        assert ("Cannot train yet" in " ".join(bar.lines)) == ("r" not in offered)
        assert (":step 0 new begins it again" in " ".join(bar.lines)) == (offered == {"b"})
        # what is put right is offered again, without another start of the app
        if change is _changed:
            _changed_back(root)
            await until(pilot, lambda: app.session.shown.situation.offers_action("start"))
