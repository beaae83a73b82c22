"""What a person asks for lands in the run it was meant for, survives a kill, or the person hears that it did not."""

import json
from collections.abc import Callable
from pathlib import Path

import engine_helpers as eh
import pytest

from opeddev_tui.checkpoints import folders
from opeddev_tui.cli import main
from opeddev_tui.runs import control as ctl
from opeddev_tui.runs import delivery
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.control import Control, send
from opeddev_tui.runs.mailbox import MAILBOX_NAME
from opeddev_tui.runs.notes import annotate

Make = Callable[..., Path]


def at(kind: type[ev.Event], **fields: object) -> Callable[[ev.AnyEvent], bool]:
    return lambda event: isinstance(event, kind) and all(getattr(event, name) == x for name, x in fields.items())


def sending(root: Path, moment: Callable[[ev.AnyEvent], bool], *commands: ctl.AnyCommand) -> eh.Seen:
    """Return a sink that puts ``commands`` into the mailbox of the newest run at ``moment``, once."""
    sent: list[bool] = []

    def react(event: ev.AnyEvent) -> None:
        if moment(event) and not sent:
            sent.append(True)
            for command in commands:
                send(eh.last_run(root), command)

    return eh.Seen(react)


def left_in(run: Path) -> list[str]:
    return [path.name for path in (run / MAILBOX_NAME).iterdir()]


def taken(seen: eh.Seen) -> list[tuple[str, bool, str]]:
    return [(event.command, event.done, event.reason) for event in seen.of(ev.CommandTaken)]


NOTE = ev.Annotated(epoch=1, note="seen late", at=5.0)
RATING = ev.Rated(epoch=3, prompt=0, left="now", right="before", preferred="now", round_seed=1, at=6.0)


@pytest.mark.parametrize(
    "moment",
    [at(ev.HoldoutEvaluated, epoch=3), at(ev.EpochFinished, epoch=3), at(ev.Decided, epoch=3), at(ev.RunFinished)],
    ids=["evaluated", "epoch", "decided", "finished"],
)
def test_facts_that_come_at_the_end_of_a_step_are_kept_in_that_step(workspace_factory: Make, moment: object) -> None:
    root = workspace_factory(rows=8, batches=(8,))
    seen = sending(root, moment, ctl.Record(NOTE), ctl.Record(RATING))  # type: ignore[arg-type]
    runs = eh.train(root, "all", sink=seen)
    first, second = eh.states(root)
    assert (first.notes, first.ratings[3, 0]) == ([NOTE], RATING)
    assert (second.notes, second.ratings) == ([], {})
    assert "seen late" in (root / "logs/observations.md").read_text()
    assert left_in(root / "logs/runs" / runs[0]) == []
    assert taken(seen) == [("Record", True, ""), ("Record", True, "")]


def test_what_has_no_effect_any_more_is_said(workspace_factory: Make) -> None:
    root = workspace_factory(rows=8)
    control = Control()
    seen = sending(root, at(ev.RunFinished), ctl.SaveNow(), ctl.Decide(epoch=3, choice="continue"))
    eh.train(root, sink=seen, control=control)
    assert taken(seen) == [
        ("SaveNow", False, "the run had ended: it is finished"),
        ("Decide", False, "the run had ended: it is finished"),
    ]
    assert left_in(eh.last_run(root)) == []


def test_commands_of_the_same_process_that_come_too_late_are_said_as_well(workspace_factory: Make) -> None:
    root, control = workspace_factory(rows=8), Control()

    def react(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.RunFinished):
            control.request(ctl.SampleNow())

    seen = eh.Seen(react)
    eh.train(root, sink=seen, control=control)
    assert taken(seen) == [("SampleNow", False, "the run had ended: it is finished")]


def test_a_stop_at_the_very_end_of_a_step_ends_the_series(workspace_factory: Make) -> None:
    root, control = workspace_factory(rows=8, batches=(8,)), Control()
    seen = sending(root, at(ev.RunFinished), ctl.Stop())
    eh.train(root, "all", sink=seen, control=control)
    assert [state.status for state in eh.states(root)] == ["finished"]
    assert taken(seen) == [("Stop", True, "")]
    assert control.take() == []


def test_a_fact_of_another_run_is_not_recorded_here(workspace_factory: Make) -> None:
    root = workspace_factory(rows=8)
    seen = sending(root, at(ev.Progress, global_step=2), ctl.Record(NOTE, run="20200101-another"))
    eh.train(root, sink=seen)
    assert eh.states(root)[0].notes == []
    assert taken(seen) == [("Record", False, "it belongs to run 20200101-another")]


@pytest.mark.parametrize("when", ["evaluation", "question"])
def test_a_kill_loses_no_fact_and_carries_out_no_old_command(workspace_factory: Make, when: str) -> None:
    """Facts that lay in the mailbox are recorded once by the next training; a stop and an answer are reported."""
    root = workspace_factory(rows=8, **{"early_stop.policy": "ask"})
    process = eh.start_training(root)
    follower = eh.Follower(root)
    follower.wait(at(ev.HoldoutEvaluated, epoch=1) if when == "evaluation" else at(ev.DecisionAwaited), process)
    run = eh.last_run(root)
    send(run, ctl.Record(NOTE))
    if when == "question":
        follower.wait(at(ev.Annotated), process)
    process.kill_hard()
    # as if the kill had come between the note and its receipt, and other commands with it
    for command in (ctl.Record(NOTE), ctl.Decide(epoch=1, choice="stop"), ctl.Stop(), ctl.SaveNow()):
        send(run, command)
    seen = eh.Seen()
    eh.train(root, sink=seen, overrides=["early_stop.policy=rule"])
    state = eh.states(root)[0]
    assert state.status == "finished"
    assert state.notes == [NOTE]
    refused = [(name, reason) for name, done, reason in taken(seen) if not done]
    gone = "the training that it was sent to ended before it took it"
    assert refused == [("Decide", gone), ("Stop", gone), ("SaveNow", gone)]
    assert left_in(run) == []


def test_the_note_command_says_that_the_training_has_it(
    workspace_factory: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(rows=8, **{"early_stop.policy": "ask"})
    process = eh.start_training(root)
    follower = eh.Follower(root)
    follower.wait(at(ev.DecisionAwaited), process)
    assert main(["note", "from the shell", "-w", str(root), "--epoch", "1"]) == 0
    assert "the running training has kept it in logs/observations.md" in capsys.readouterr().out
    assert [note.note for note in eh.states(root)[0].notes] == ["from the shell"]
    assert main(["decide", "stop", "-w", str(root)]) == 0
    assert process.code() == 0
    assert left_in(eh.last_run(root)) == []


def test_the_note_of_a_training_that_ends_meanwhile_is_kept_in_the_journal(
    workspace_factory: Make,
) -> None:
    """Nobody takes it: it is taken back and written by the sender."""
    root = workspace_factory(rows=8, **{"training.num_train_epochs": 1})
    eh.train(root)
    run, workspace = eh.last_run(root).name, eh.workspace_of(root)
    outcome = delivery.deliver(workspace, run, ctl.Record(NOTE), patience=5)
    assert outcome.fate == "over"
    assert left_in(eh.last_run(root)) == []
    assert "kept in" in annotate(workspace, run, "afterwards")
    assert [note.note for note in eh.states(root)[0].notes] == ["afterwards"]
    with pytest.raises(Exception, match="has no epoch 7"):
        annotate(workspace, run, "of nothing", 7)


# --- save now, while paused


@pytest.mark.parametrize("step", [3, 5], ids=["within an epoch", "at its end"])
def test_a_paused_training_saves_at_once(workspace_factory: Make, step: int) -> None:
    root, control = workspace_factory(), Control()
    verified: list[list[str]] = []

    def react(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.Progress) and event.global_step == step - 1:
            control.request(ctl.Pause())
        elif isinstance(event, ev.Paused):
            control.request(ctl.SaveNow())
        elif isinstance(event, ev.CheckpointSaved) and eh.states(root)[0].status == "paused":
            place = eh.place_of(root, event.path)
            verified.append(folders.problems_of(place, for_resume=True))
            control.request(ctl.Resume())

    seen = eh.Seen(react)
    eh.train(root, sink=seen, control=control)
    kinds = [
        type(event).__name__ for event in seen.events if isinstance(event, ev.Paused | ev.CheckpointSaved | ev.Unpaused)
    ]
    assert kinds[:3] == ["Paused", "CheckpointSaved", "Unpaused"]
    assert seen.of(ev.CheckpointSaved)[0].global_step == step
    assert verified == [[]]
    undisturbed = workspace_factory()
    eh.train(undisturbed)
    assert eh.final_weights(root) == eh.final_weights(undisturbed)
    assert [sorted(rows) for rows in eh.states(root)[0].rows_trained.values()] == [list(range(20))] * 3


@pytest.mark.parametrize("step", [3, 5], ids=["within an epoch", "at its end"])
def test_a_checkpoint_saved_while_paused_is_resumed_from(workspace_factory: Make, step: int) -> None:
    root = workspace_factory(**{"training.save_total_limit": 9})
    process = eh.start_training(root)
    follower = eh.Follower(root)
    follower.wait(at(ev.Progress), process)
    control_step = step
    # the mailbox is looked into after each optimizer step: pause, then go on step by step
    send(eh.last_run(root), ctl.Pause())
    follower.wait(lambda event: isinstance(event, ev.Paused), process)
    while (
        paused := [event for event in follower.events if isinstance(event, ev.Paused)][-1]
    ).global_step < control_step:
        send(eh.last_run(root), ctl.Resume())
        send(eh.last_run(root), ctl.Pause())
        follower.wait(
            lambda event, at=paused.global_step: isinstance(event, ev.Paused) and event.global_step > at, process
        )
    step = paused.global_step
    send(eh.last_run(root), ctl.SaveNow())
    follower.wait(at(ev.CheckpointSaved, global_step=step), process)
    process.kill_hard()
    seen = eh.Seen()
    eh.train(root, sink=seen)
    assert seen.of(ev.Resumed)[-1].global_step == step
    undisturbed = workspace_factory(**{"training.save_total_limit": 9})
    eh.train(undisturbed)
    assert eh.final_weights(root) == eh.final_weights(undisturbed)


def test_what_comes_with_a_pause_is_not_held_up_by_it(workspace_factory: Make) -> None:
    """A stop that arrives in the same moment ends the pause, a save is saved."""
    root, control = workspace_factory(), Control()

    def react(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.Progress) and event.global_step == 2:
            for command in (ctl.Pause(), ctl.SaveNow(), ctl.Stop("enough")):
                control.request(command)

    seen = eh.Seen(react)
    eh.train(root, sink=seen, control=control)
    state = eh.states(root)[0]
    assert state.interrupted is not None
    assert (state.interrupted.reason, state.interrupted.global_step) == ("enough", 3)


def test_a_stop_beside_other_commands_at_a_question_loses_none(workspace_factory: Make) -> None:
    root, control = workspace_factory(**{"early_stop.policy": "ask"}), Control()

    def react(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.DecisionAwaited):
            for command in (ctl.Stop("enough"), ctl.Record(NOTE), ctl.SaveNow()):
                control.request(command)

    seen = eh.Seen(react)
    eh.train(root, sink=seen, control=control)
    assert eh.states(root)[0].notes == [NOTE]
    assert taken(seen) == [("SaveNow", False, "the run had ended: it is interrupted")]


def test_files_of_a_run_are_its_owners_alone(workspace_factory: Make) -> None:
    import os

    root = workspace_factory(rows=8)
    before = os.umask(0o002)
    try:
        eh.train(root)
    finally:
        os.umask(before)
    run, store = eh.last_run(root), eh.checkpoint_folder(root)
    open_to_others = [path for path in (run, *run.rglob("*"), store) if path.stat().st_mode & 0o077]
    assert open_to_others == []
    assert json.loads((run / "manifest.json").read_text())["run"] == run.name
