"""``decide`` answers a training in another process, says what became of the answer, and leaves nothing behind."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import engine_helpers as eh
import pytest

from opeddev_tui.cli import main
from opeddev_tui.commands import decide
from opeddev_tui.errors import TrainingProblem
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.control import Control, Decide, Record, SampleNow, send
from opeddev_tui.runs.journal import Journal
from opeddev_tui.runs.mailbox import MAILBOX_NAME
from opeddev_tui.workspace.lock import RunLock

Make = Callable[..., Path]
ASK = ("--policy", "ask")


def asked(epoch: int) -> Callable[[ev.AnyEvent], bool]:
    return lambda event: isinstance(event, ev.DecisionAwaited) and event.epoch == epoch


def left_behind(root: Path) -> list[Path]:
    return list((eh.last_run(root) / MAILBOX_NAME).glob("*"))


def test_a_training_in_a_plain_terminal_is_answered_by_the_command(
    workspace_factory: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(rows=8, **{"early_stop.max_extra_epochs": 1})
    process = eh.start_training(root, *ASK)
    follower = eh.Follower(root)
    follower.wait(asked(1), process)
    # other commands are carried out meanwhile, and the question stays open
    send(eh.last_run(root), Record(ev.Annotated(epoch=1, note="said elsewhere")))
    send(eh.last_run(root), SampleNow())
    follower.wait(lambda event: isinstance(event, ev.SamplesGenerated) and event.on_demand, process)
    assert main(["decide", "continue", "-w", str(root), "--note", "from afar"]) == 0
    run = eh.last_run(root).name
    assert capsys.readouterr().out == f"{run}: continue after epoch 1, recorded.\n"
    follower.wait(asked(2), process)
    send(eh.last_run(root), Decide(epoch=1, choice="stop"))  # of the question before: no answer
    assert main(["decide", "continue", "-w", str(root), "--run", run]) == 0
    follower.wait(asked(3), process)
    assert main(["decide", "stop", "-w", str(root)]) == 0
    assert process.code() == 0, process.text()
    state = eh.states(root)[-1]
    assert [(item.epoch, item.choice, item.by, item.note) for item in state.decisions] == [
        (1, "continue", "person", "from afar"),
        (2, "continue", "person", ""),
        (3, "stop", "person", ""),
    ]
    assert [note.note for note in state.notes] == ["said elsewhere", "from afar"]
    assert state.status == "finished"
    told = process.text()
    for epoch in (1, 2, 3):
        assert f"epoch {epoch} waits for your decision: opeddev-tui decide -w {root} continue (or stop)" in told
    # and now that the run is over there is nothing to answer
    assert main(["decide", "stop", "-w", str(root)]) == 6
    assert "no training waits for a decision" in capsys.readouterr().err
    assert main(["decide", "stop", "-w", str(root), "--run", run]) == 6
    assert "no question is open: the run is finished" in capsys.readouterr().err


def test_the_rule_asks_nobody(workspace_factory: Make) -> None:
    root = workspace_factory(rows=8, **{"training.num_train_epochs": 2})
    process = eh.start_training(root, "--policy", "rule")
    assert process.code() == 0, process.text()
    assert "waits for your decision" not in process.text()


def test_without_an_answer_the_deadline_of_the_settings_decides(workspace_factory: Make) -> None:
    quick = {"early_stop.policy": "ask", "early_stop.decision_timeout_minutes": 0.01, "training.num_train_epochs": 2}
    root = workspace_factory(rows=8, **quick)
    eh.train(root, control=Control())
    assert [(item.epoch, item.by) for item in eh.states(root)[-1].decisions] == [(1, "timeout"), (2, "limit")]


@pytest.fixture
def crashed(workspace_factory: Make) -> Path:
    """Return a workspace whose only training was killed while it asked after epoch 1."""
    root = workspace_factory(rows=8)
    process = eh.start_training(root, *ASK)
    eh.Follower(root).wait(asked(1), process)
    assert process.kill_hard()
    return root


def test_what_cannot_be_answered_is_said(crashed: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["decide", "stop", "-w", str(crashed)]) == 6
    told = capsys.readouterr().err
    assert "the training that asked no longer runs" in told
    assert f"opeddev-tui train -w {crashed} resumes the run" in told
    assert main(["decide", "stop", "-w", str(crashed), "--run", "no-such-run"]) == 6
    assert "there is no run no-such-run" in capsys.readouterr().err
    (tmp_path / "new" / "datasets").mkdir(parents=True)
    assert main(["decide", "continue", "-w", str(tmp_path / "new")]) == 6
    assert "no training waits" in capsys.readouterr().err
    assert main(["decide", "continue", "-w", str(tmp_path / "missing")]) == 2
    assert left_behind(crashed) == []
    with pytest.raises(SystemExit):
        main(["decide", "perhaps"])


def test_a_newer_run_in_progress_is_meant_not_one_that_crashed_at_its_question(
    crashed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = eh.workspace_of(crashed)
    journal = Journal(workspace.run_folder("99991231-newer"))
    (started,) = (event for event in eh.journal_of(crashed) if isinstance(event, ev.RunStarted))
    journal.emit(started)
    journal.close()
    with RunLock(workspace):
        assert main(["decide", "stop", "-w", str(crashed)]) == 6
    assert "no training waits" in capsys.readouterr().err


def test_an_answer_is_found_also_where_the_next_question_is_open_already(crashed: Path) -> None:
    workspace, folder = eh.workspace_of(crashed), eh.last_run(crashed)
    followed = decide.FollowedRun(workspace, folder.name)
    question = followed.question
    assert question is not None

    def train_a_short_epoch() -> None:
        while not (found := list((folder / MAILBOX_NAME).glob("*.json"))):
            time.sleep(0.01)
        found[0].unlink()
        journal = Journal(folder)
        journal.emit(ev.Decided(epoch=1, choice="continue", by="person", verdict=question.verdict))
        journal.emit(ev.DecisionAwaited(epoch=2, verdict=question.verdict, max_epochs=5))
        journal.close()

    helper = threading.Thread(target=train_a_short_epoch, daemon=True)
    with RunLock(workspace):
        helper.start()
        decided = decide.answer(followed, "continue", "", patience=5.0)
        helper.join()
    assert (decided.epoch, decided.choice) == (1, "continue")


def test_an_answer_that_is_not_taken_is_taken_back(crashed: Path) -> None:
    workspace = eh.workspace_of(crashed)
    followed = decide.FollowedRun(workspace, eh.last_run(crashed).name)
    # somebody holds the lock, as a training that is busy would
    with RunLock(workspace), pytest.raises(TrainingProblem, match=r"did not arrive: the training has not taken it"):
        decide.answer(followed, "stop", "", patience=0.2)
    assert left_behind(crashed) == []


@pytest.mark.parametrize(
    ("fact", "told"),
    [
        ("decided", "epoch 1 was already decided: continue, by timeout"),
        ("interrupted", "the training ended before the answer arrived"),
        ("taken", "did not arrive: the training has not recorded it"),
    ],
)
def test_what_came_before_the_answer_is_told(crashed: Path, fact: str, told: str) -> None:
    workspace, folder = eh.workspace_of(crashed), eh.last_run(crashed)
    followed = decide.FollowedRun(workspace, folder.name)
    question = followed.question
    assert question is not None

    def other() -> None:
        """Do what a training might do once the answer lies in its mailbox."""
        while not (found := list((folder / MAILBOX_NAME).glob("*.json"))):
            time.sleep(0.01)
        assert json.loads(found[0].read_bytes())["choice"] == "stop"
        found[0].unlink()
        if fact == "taken":
            return
        journal = Journal(folder)
        if fact == "decided":
            journal.emit(ev.Decided(epoch=1, choice="continue", by="timeout", verdict=question.verdict))
        else:
            journal.emit(ev.Interrupted(reason="SIGTERM", global_step=2, checkpoint=""))
        journal.close()

    helper = threading.Thread(target=other, daemon=True)
    with RunLock(workspace):
        helper.start()
        with pytest.raises(TrainingProblem, match=told):
            decide.answer(followed, "stop", "", patience=1.0 if fact == "taken" else 20.0)
        helper.join()
    assert left_behind(crashed) == []
