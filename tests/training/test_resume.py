"""Killed anywhere, a run goes on from a verified checkpoint to the very same weights; anything else is refused."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from engine_helpers import (
    Command,
    Follower,
    Seen,
    base_file,
    batch_file,
    checkpoint_folder,
    final_weights,
    holdout_file,
    interrupt,
    journal_of,
    last_run,
    make_rows,
    saving,
    start_training,
    states,
    train,
    tree,
    wait_until,
    workspace_of,
    write_rows,
)

from opeddev_tui.checkpoints import folders
from opeddev_tui.config.loading import load
from opeddev_tui.errors import DataProblem, Problem, TrainingProblem
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.control import Control, Decide, Stop, send
from opeddev_tui.training.deciders import OnCommand, Pending, StopRequested
from opeddev_tui.training.step_data import Refusals, refusals

Make = Callable[..., Path]


def interrupted_run(make: Make, **settings: object) -> Path:
    """Return a workspace whose run stopped in the middle of its second epoch."""
    root = make(**settings)
    interrupt(root, 6)
    return root


def finish(root: Path) -> None:
    """Train to the end in a process of its own; whatever it resumes from must be whole."""
    process = start_training(root)
    assert process.code() == 0, process.text()
    assert states(root)[-1].status == "finished"


# --- kill -9


def test_killed_at_any_time_the_final_weights_are_the_same(workspace_factory: Make) -> None:
    undisturbed = workspace_factory()
    began = time.monotonic()
    finish(undisturbed)
    duration = time.monotonic() - began
    draw = random.Random(7)
    for _ in range(3):
        root = workspace_factory()
        kills = 0
        while kills < 8:
            process = start_training(root)
            process.join(draw.uniform(0.2, min(duration, 6.0)))
            if not process.kill_hard():
                break
            kills += 1
        else:
            finish(root)
        assert states(root)[-1].status == "finished"
        assert final_weights(root) == final_weights(undisturbed)
        assert len(states(root)) == 1  # one run, taken up again each time
        assert states(root)[0].rows_trained == states(undisturbed)[0].rows_trained


def test_killed_during_a_save_the_latest_checkpoint_is_whole(workspace_factory: Make) -> None:
    undisturbed = workspace_factory()
    finish(undisturbed)
    for target in (1, 2, 3):
        root = workspace_factory()
        process = start_training(root)
        assert wait_until(lambda root=root, target=target: saving_at(root, 5 * target), process)  # type: ignore[misc]
        process.kill_hard()
        found = folders.newest_verified(checkpoint_folder(root), for_resume=True)
        assert (found.folder.name if found.folder else "") in {
            f"checkpoint-{5 * target}",
            f"checkpoint-{5 * target - 5}",
        } | ({""} if target == 1 else set())
        finish(root)
        assert final_weights(root) == final_weights(undisturbed)


def saving_at(root: Path, step: int) -> bool:
    return any(folder.name == f"checkpoint-{step}" for folder in saving(root))


def test_a_checkpoint_that_the_journal_does_not_know_is_still_the_last_one(workspace_factory: Make) -> None:
    """Killed between the manifest's renaming and the journal's line."""
    root = workspace_factory()
    train(root)
    journal = last_run(root) / "events.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    last = max(number for number, line in enumerate(lines) if b'"CheckpointSaved"' in line)
    journal.write_bytes(b"".join(lines[:last]) + lines[last][:40])
    seen = Seen()
    train(root, sink=seen)
    finished = states(root)[0].finished
    assert finished is not None
    assert finished.last_checkpoint.endswith("checkpoint-15")
    assert seen.of(ev.Resumed)[-1].global_step == 15
    assert train(root) == []


# --- the open question


def test_the_question_is_asked_again_and_nothing_is_trained_before_the_answer(workspace_factory: Make) -> None:
    root = workspace_factory(**{"early_stop.policy": "ask"})
    process = start_training(root)
    follower = Follower(root)
    follower.wait(lambda event: isinstance(event, ev.DecisionAwaited), process)
    process.kill_hard()
    assert states(root)[0].status == "awaiting"
    before = len(journal_of(root))

    process = start_training(root)
    follower = Follower(root).follow(last_run(root))
    follower.wait(lambda event: isinstance(event, ev.PhaseChanged) and event.phase == "waiting", process)
    assert [type(event).__name__ for event in follower.events].count("DecisionAwaited") == 1
    assert states(root)[0].status == "awaiting"
    process.join(0.5)
    assert process.exitcode is None
    later = journal_of(root)[before:]
    assert not [event for event in later if isinstance(event, ev.Progress | ev.Decided | ev.RowsTrained)]
    assert folders.newest_verified(checkpoint_folder(root)).folder == checkpoint_folder(root) / "checkpoint-5"

    send(last_run(root), Decide(epoch=1, choice="stop", note="enough"))
    assert process.code() == 0, process.text()
    decided = states(root)[0].decisions
    assert [(item.epoch, item.choice, item.by, item.note) for item in decided] == [(1, "stop", "person", "enough")]
    assert states(root)[0].status == "finished"


def test_a_decision_that_was_taken_is_not_asked_again(workspace_factory: Make) -> None:
    """Killed after the answer and before the end."""
    root = workspace_factory()
    train(root)
    journal = last_run(root) / "events.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1]))
    assert b'"Decided"' in lines[-2]

    class Never:
        def decide(self, pending: Pending, on_command: OnCommand) -> ev.Decided:  # noqa: ARG002 - a decider
            raise AssertionError("asked again")

    train(root, decider=Never())
    assert states(root)[0].status == "finished"


def test_a_question_left_open_is_asked_by_the_next_start(workspace_factory: Make) -> None:
    class Leaves:
        def decide(self, pending: Pending, on_command: OnCommand) -> ev.Decided:  # noqa: ARG002 - a decider
            pending()
            raise StopRequested("the terminal is gone")

    undisturbed, root = workspace_factory(), workspace_factory()
    train(undisturbed)
    for _ in range(2):
        train(root, decider=Leaves())
        assert states(root)[0].status == "interrupted"
        assert len(states(root)[0].curves.loss) == 5
    train(root)
    assert final_weights(root) == final_weights(undisturbed)


def test_a_journal_cut_in_the_middle_of_a_line_is_gone_on_with(workspace_factory: Make) -> None:
    undisturbed = workspace_factory()
    train(undisturbed)
    root = interrupted_run(workspace_factory)
    journal = last_run(root) / "events.jsonl"
    journal.write_bytes(journal.read_bytes()[:-30])
    train(root)
    assert final_weights(root) == final_weights(undisturbed)


# --- what has changed since


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("training.seed=7", "training.seed was 42 and is 7"),
        ("training.per_device_train_batch_size=2", "training.per_device_train_batch_size was 4 and is 2"),
        ("training.gradient_accumulation_steps=2", "training.gradient_accumulation_steps was 1 and is 2"),
        ("training.learning_rate=1e-4", "training.learning_rate was 0.002 and is 0.0001"),
        ("training.num_train_epochs=4", "training.num_train_epochs was 3 and is 4"),
        ("early_stop.max_extra_epochs=1", "early_stop.max_extra_epochs was 0 and is 1"),
        ("training.torch_num_threads=2", "used 1 CPU threads and would use 2"),
        ("lora.enabled=true", "lora.enabled was False and is True"),
        ("data.max_length=64", "data.max_length was 96 and is 64"),
    ],
)
def test_a_changed_setting_is_refused(stopped: Path, setting: str, told: str) -> None:
    before = tree(stopped)
    with pytest.raises(TrainingProblem) as caught:
        train(stopped, overrides=[setting])
    assert told in str(caught.value)
    assert "start a new run: opeddev-tui train --new" in str(caught.value)
    # the app knows before anything is loaded, but for what only the training counts
    known = refused(stopped, setting)
    assert (told in known.resume) != ("threads" in told)
    assert known.anew == ""
    assert tree(stopped) == before


def refused(root: Path, *overrides: str) -> Refusals:
    return refusals(
        workspace_of(root), load(root, environment={}, overrides=list(overrides)).settings, last_run(root).name
    )


def test_nothing_is_refused_of_a_run_that_can_be_resumed(stopped: Path) -> None:
    assert refused(stopped) == Refusals()
    assert refused(stopped, "training.num_processes=0", "training.save_total_limit=3") == Refusals()


@pytest.fixture(scope="module")
def stopped(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with an interrupted run; read-only."""
    from engine_helpers import make_workspace

    def make(**settings: object) -> Path:
        return make_workspace(tmp_path_factory.mktemp("stopped") / "w", tiny_model, settings=settings)

    return interrupted_run(make)


def _row_changed(root: Path) -> None:
    text = base_file(root).read_text()
    base_file(root).write_text(text.replace('"grade": 1', '"grade": 2', 1))


def _row_added(root: Path) -> None:
    write_rows(base_file(root), make_rows(21, "base"))


def _holdout_changed(root: Path) -> None:
    write_rows(holdout_file(root), make_rows(7, "holdout"))


def _model_changed(root: Path) -> None:
    path = root / "mine/model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_row_changed, "batch base has changed (20 rows then, 20 now)"),
        (_row_added, "batch base has changed (20 rows then, 21 now)"),
        (_holdout_changed, "the hold-out is not the one that earlier runs were scored on"),
        (_model_changed, "has changed"),
    ],
)
def test_changed_data_is_refused(
    workspace_factory: Make, tiny_model: Path, change: Callable[[Path], None], told: str
) -> None:
    import shutil

    def make(**settings: object) -> Path:
        root = workspace_factory(**settings)
        shutil.copytree(tiny_model, root / "mine")
        return root

    root = interrupted_run(make, **{"model.name": "mine"})
    change(root)
    before = tree(root)
    with pytest.raises(Problem) as caught:
        train(root)
    assert isinstance(caught.value, TrainingProblem | DataProblem)
    assert told in str(caught.value)
    # what has changed in the model's files is found when the training begins
    known = refused(root)
    assert known.resume == ("" if change is _model_changed else str(caught.value))
    assert known.anew == (known.resume if isinstance(caught.value, DataProblem) else "")
    assert tree(root) == before
    if isinstance(caught.value, TrainingProblem):
        assert "train --new" in str(caught.value)
        train(root, new=True)
        assert [state.status for state in states(root)] == ["interrupted", "finished"]


def test_a_new_increment_does_not_disturb_the_run_before_it(workspace_factory: Make) -> None:
    """The person adds the next batch while a step is interrupted: the step is finished first, as it was."""
    undisturbed = workspace_factory()
    train(undisturbed)
    root = interrupted_run(workspace_factory)
    write_rows(batch_file(root, 1), make_rows(8, "batch1"))
    train(root)
    assert final_weights(root) == final_weights(undisturbed)
    train(root)
    first, second = states(root)
    assert second.started is not None
    assert first.finished is not None
    assert second.started.parent == first.finished.last_checkpoint


def test_a_command_may_be_given_while_the_stack_loads(workspace_factory: Make) -> None:
    """A request to stop from before the first optimizer step is kept."""
    root = workspace_factory()
    control = Control()
    control.request(Stop(reason="early"))
    train(root, control=control)
    state = states(root)[0]
    assert state.interrupted is not None
    assert (state.interrupted.reason, state.interrupted.global_step) == ("early", 0)
    train(root)
    assert states(root)[0].status == "finished"


def test_processes_of_the_tests_run_the_real_command_line(workspace_factory: Make, tmp_path: Path) -> None:
    process = Command(["status", "-w", str(workspace_factory()), "--json"], tmp_path / "out")
    assert process.code() == 0
    assert '"next_step"' in process.text()
