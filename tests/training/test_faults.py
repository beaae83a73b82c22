"""Memory, numbers, disks, views and signals that fail: the run ends as it should, and what is on disk is whole."""

import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import moments
import pytest
import torch
from engine_helpers import (
    Command,
    Follower,
    Seen,
    checkpoint_folder,
    final_weights,
    interrupt,
    journal_of,
    last_run,
    place_of,
    saving,
    start_training,
    states,
    train,
    tree,
    wait_until,
    workspace_of,
)
from transformers import Qwen3ForCausalLM

from opeddev_tui import cli
from opeddev_tui.checkpoints import folders
from opeddev_tui.errors import BusyProblem, ModelProblem, StorageProblem, TrainingProblem
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.control import Control, SaveNow, Stop
from opeddev_tui.workspace.lock import RunLock

Make = Callable[..., Path]


# --- memory


def too_big(patch: pytest.MonkeyPatch, *, most: int, training_only: bool = True) -> None:
    """Make every forward pass over more than ``most`` rows fail as a full GPU does."""
    forward = Qwen3ForCausalLM.forward

    def limited(self: Any, input_ids: torch.Tensor, *rest: Any, **more: Any) -> Any:
        if input_ids.shape[0] > most and (self.training or not training_only):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore lines")
        return forward(self, input_ids, *rest, **more)

    patch.setattr(Qwen3ForCausalLM, "forward", limited)


def groups(root: Path) -> list[list[int]]:
    """Return the rows of each optimizer step of four rows, sorted."""
    rows = [row for _, seen in sorted(states(root)[0].rows_trained.items()) for row in seen]
    return [sorted(rows[start : start + 4]) for start in range(0, len(rows), 4)]


def test_out_of_memory_halves_the_batch_and_keeps_the_optimizer_steps(
    workspace_factory: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, small = workspace_factory(), workspace_factory()
    train(plain)
    too_big(monkeypatch, most=1)
    seen = Seen()
    train(small, sink=seen)
    assert [(item.batch_size, item.accumulation, item.checkpoint) for item in seen.of(ev.MemoryRetried)] == [
        (2, 2, ""),
        (1, 4, ""),
    ]
    assert seen.of(ev.MemoryRetried)[0].message == "CUDA out of memory. Tried to allocate 2.00 GiB."
    ours, theirs = states(small)[0], states(plain)[0]
    assert ours.status == "finished"
    assert len(ours.curves.loss) == len(theirs.curves.loss) == 15
    assert groups(small) == groups(plain)
    # the same gradients but for rounding
    assert list(ours.curves.loss) == pytest.approx(list(theirs.curves.loss), rel=1e-3)


def test_out_of_memory_in_a_later_epoch_goes_on_from_the_last_checkpoint(
    workspace_factory: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = workspace_factory()

    def react(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.Progress) and event.global_step == 7 and len(states(root)[0].retries) == 0:
            too_big(monkeypatch, most=2)

    seen = Seen(react)
    train(root, sink=seen)
    (retried,) = seen.of(ev.MemoryRetried)
    assert (retried.batch_size, retried.accumulation) == (2, 2)
    assert retried.checkpoint.endswith("checkpoint-5")
    assert seen.of(ev.Resumed)[-1].global_step == 5
    assert states(root)[0].status == "finished"
    assert [sorted(rows) for rows in states(root)[0].rows_trained.values()] == [list(range(20))] * 3


def test_a_resumed_run_keeps_the_smaller_batch(workspace_factory: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    root = workspace_factory()
    with monkeypatch.context() as patch:
        too_big(patch, most=2)
        interrupt(root, 2)
    seen = Seen()
    train(root, sink=seen)
    assert seen.of(ev.DataPrepared)[-1].batch_size == 2
    assert states(root)[0].status == "finished"


def test_one_row_that_does_not_fit_is_told_clearly(workspace_factory: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    root = workspace_factory()
    too_big(monkeypatch, most=0)
    with pytest.raises(ModelProblem, match=r"one example at a time does not fit into memory.*lora.enabled") as caught:
        train(root)
    assert caught.value.exit_code == 5
    state = states(root)[0]
    assert state.failure is not None
    assert (state.failure.kind, state.failure.resumable) == ("model", True)


def test_out_of_memory_on_the_hold_out_halves_its_batch(
    workspace_factory: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, small = workspace_factory(), workspace_factory()
    train(plain)
    too_big(monkeypatch, most=4, training_only=False)
    train(small)
    assert any("out of memory while rows are read: batch 4 from now on" in line for line in states(small)[0].warnings)
    assert states(small)[0].epochs[3].val_loss == pytest.approx(states(plain)[0].epochs[3].val_loss, abs=1e-4)


# --- numbers


def poison(patch: pytest.MonkeyPatch, at_call: int) -> None:
    """Make one weight NaN before the ``at_call``-th training forward."""
    forward, calls = Qwen3ForCausalLM.forward, 0

    def poisoned(self: Any, *rest: Any, **more: Any) -> Any:
        nonlocal calls
        calls += self.training
        if self.training and calls == at_call:
            with torch.no_grad():
                self.model.embed_tokens.weight.fill_(float("nan"))
        return forward(self, *rest, **more)

    patch.setattr(Qwen3ForCausalLM, "forward", poisoned)


def test_a_loss_that_is_no_number_stops_at_once(
    workspace_factory: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory()
    poison(monkeypatch, 8)
    assert cli.main(["train", "-w", str(root)]) == 6
    assert "the loss became nan at optimizer step 8. Lower training.learning_rate" in capsys.readouterr().err
    state = states(root)[0]
    assert state.failure is not None
    assert (state.failure.kind, state.failure.resumable) == ("non-finite", False)
    assert state.curves.global_step[-1] == 7
    assert [path.name for path in checkpoint_folder(root).iterdir()] == ["checkpoint-5"]
    assert state.best_epoch() == 1
    # the next start does not go on with it
    monkeypatch.undo()
    train(root)
    assert [item.status for item in states(root)] == ["failed", "finished"]


def test_broken_weights_are_never_saved(workspace_factory: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss is still finite when the gradients break; a checkpoint asked for right then is not written."""
    root = workspace_factory()
    step, control = torch.optim.AdamW.step, Control()
    calls = 0

    def broken(self: Any, *rest: Any, **more: Any) -> Any:
        nonlocal calls
        result, calls = step(self, *rest, **more), calls + 1
        if calls == 7:
            with torch.no_grad():
                self.param_groups[0]["params"][0].fill_(float("inf"))
            control.request(SaveNow())
        return result

    monkeypatch.setattr(torch.optim.AdamW, "step", broken)
    with pytest.raises(TrainingProblem, match="optimizer step 7"):
        train(root, control=control)
    assert [path.name for path in checkpoint_folder(root).iterdir()] == ["checkpoint-5"]
    assert not states(root)[0].failure.resumable  # type: ignore[union-attr]


def test_a_hold_out_loss_that_is_no_number_stops_before_the_save(
    workspace_factory: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = workspace_factory()
    step, calls = torch.optim.AdamW.step, 0

    def broken(self: Any, *rest: Any, **more: Any) -> Any:
        nonlocal calls
        result, calls = step(self, *rest, **more), calls + 1
        if calls == 10:
            with torch.no_grad():
                self.param_groups[0]["params"][0].fill_(float("nan"))
        return result

    monkeypatch.setattr(torch.optim.AdamW, "step", broken)
    with pytest.raises(TrainingProblem, match="optimizer step 10"):
        train(root)
    state = states(root)[0]
    assert list(state.epochs) == [0, 1]
    assert [path.name for path in checkpoint_folder(root).iterdir()] == ["checkpoint-5"]


# --- disks


def fill(disk: Path, leave: float) -> Path:
    """Fill ``disk`` up to ``leave`` bytes; return the file to delete for room."""
    ballast, free = disk / "ballast", os.statvfs(disk)
    with contextlib.suppress(OSError), ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, free.f_bavail * free.f_frsize - int(leave)))
    return ballast


@pytest.mark.parametrize("spare", [1.2, 1.5, 1.99, 2.3])
def test_a_disk_that_fills_up_leaves_the_checkpoint_before_whole(
    workspace_factory: Make, trained_workspace: Path, small_disk: Callable[..., Path], spare: float
) -> None:
    """``spare``: how many checkpoints the disk still takes when another process has filled it."""
    size = next(iter(states(trained_workspace)[0].checkpoints.values())).size
    disk = small_disk("size=64m")
    root = workspace_factory(**{"paths.model_store": str(disk / "store")})

    def react(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.Progress) and event.global_step == 1:
            fill(disk, spare * size)

    with pytest.raises(StorageProblem, match=r"(?i)no space left on device.*Free some space there") as caught:
        train(root, sink=Seen(react))
    assert caught.value.exit_code == 4
    state = states(root)[0]
    assert state.failure is not None
    assert (state.failure.kind, state.failure.resumable) == ("storage", True)
    found = folders.newest_verified(checkpoint_folder(root), for_resume=True)
    assert found.folder is not None
    assert found.folder.name == f"checkpoint-{5 * int(spare)}"

    # with room again the run goes on, to the same weights
    (disk / "ballast").unlink()
    train(root)
    undisturbed = workspace_factory()
    train(undisturbed)
    assert final_weights(root) == final_weights(undisturbed)


def test_a_step_that_has_no_room_is_refused_before_anything_is_made(
    workspace_factory: Make, small_disk: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    disk = small_disk("size=64m")
    root = workspace_factory(**{"paths.model_store": str(disk / "store")})
    fill(disk, 100_000)
    before = tree(root)
    assert cli.main(["train", "-w", str(root)]) == 4
    told = capsys.readouterr().err
    assert f"{disk}" in told
    assert "there is no room for this step" in told
    assert "Free some space" in told
    assert tree(root) == before
    assert [path.name for path in disk.iterdir()] == ["ballast"]


def test_a_full_workspace_disk_is_told_and_the_run_can_be_resumed(
    workspace_factory: Make, small_disk: Callable[..., Path], tmp_path: Path
) -> None:
    """The journal cannot be written any more."""
    disk = small_disk("size=256k")
    root = workspace_factory(**{"paths.runs": str(disk / "runs"), "paths.model_store": str(tmp_path / "store")})

    def react(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.Progress) and event.global_step == 7:
            with contextlib.suppress(OSError), (disk / "ballast").open("wb", buffering=0) as file:
                while True:
                    file.write(b"x" * 4096)

    seen = Seen(react)
    with pytest.raises(StorageProblem, match=r"events.jsonl: cannot be written: no space left on device. Free"):
        train(root, sink=seen)
    assert seen.of(ev.RunFailed)  # the screen learns of it although the journal cannot
    (disk / "ballast").unlink()
    train(root)
    undisturbed = workspace_factory()
    train(undisturbed)
    assert final_weights(root) == final_weights(undisturbed)


def test_a_limit_on_the_size_of_files_is_a_clear_problem(workspace_factory: Make, tmp_path: Path) -> None:
    """The same without root: no file may grow beyond 100 kB."""
    root = workspace_factory()
    process = _Limited(["train", "-w", str(root)], tmp_path / "out")
    assert process.code() == 4, process.text()
    assert "file too large" in process.text().lower()
    assert folders.newest_verified(checkpoint_folder(root)).folder is None
    train(root)
    assert states(root)[0].status == "finished"


class _Limited(Command):
    """A command that may not write large files."""

    def run(self) -> None:
        """Set the limit in the process, then go on."""
        import resource

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        super().run()


def test_a_read_only_store_is_told_before_anything_is_made(
    workspace_factory: Make, small_disk: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    disk = small_disk("size=64m", "ro")
    root = workspace_factory(**{"paths.model_store": str(disk / "store")})
    before = tree(root)
    assert cli.main(["train", "-w", str(root)]) == 4
    told = capsys.readouterr().err
    assert f"{disk / 'store'}" in told
    assert "read-only file system. The file system is read-only: set paths.model_store" in told
    assert tree(root) == before


def test_a_store_that_vanishes_is_told(workspace_factory: Make, tmp_path: Path) -> None:
    """A folder that is renamed away between two epochs: the next save makes a new one, or says why not."""
    root = workspace_factory()
    store = workspace_of(root).path("store")

    def react(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.Progress) and event.global_step == 7 and store.is_dir():
            store.rename(tmp_path / "gone")
            store.write_text("in the way")

    with pytest.raises(StorageProblem, match="store"):
        train(root, sink=Seen(react))
    store.unlink()
    (tmp_path / "gone").rename(store)
    train(root)
    assert states(root)[0].status == "finished"


# --- views


def test_a_view_that_raises_does_not_stop_the_training(
    workspace_factory: Make, caplog: pytest.LogCaptureFixture
) -> None:
    def react(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.Progress):
            raise RuntimeError("the screen broke")

    root, seen = workspace_factory(), Seen(react)
    with caplog.at_level(logging.ERROR):
        train(root, sink=seen)
    assert states(root)[0].status == "finished"
    assert len(seen.of(ev.Progress)) == 1  # it is not asked again
    assert "a view of the training failed; the training goes on without it" in caplog.text
    assert "the screen broke" in caplog.text


def test_a_view_that_is_slow_is_waited_for_but_loses_nothing(workspace_factory: Make) -> None:
    """A sink must return at once; one that does not slows the training down and changes nothing else."""

    def react(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.Progress):
            time.sleep(0.02)

    slow, quick, seen = workspace_factory(), workspace_factory(), Seen(react)
    train(slow, sink=seen)
    train(quick)
    assert final_weights(slow) == final_weights(quick)
    assert seen.events[-1] == journal_of(slow)[-1]


def test_a_bug_is_recorded_and_the_run_can_be_resumed(workspace_factory: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    root = workspace_factory()
    forward, calls = Qwen3ForCausalLM.forward, 0

    def broken(self: Any, *rest: Any, **more: Any) -> Any:
        nonlocal calls
        calls += self.training
        if calls == 8:
            raise ZeroDivisionError("a bug")
        return forward(self, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Qwen3ForCausalLM, "forward", broken)
        with pytest.raises(ZeroDivisionError):
            train(root)
    failure = states(root)[0].failure
    assert failure is not None
    assert (failure.kind, failure.message, failure.resumable) == ("bug", "ZeroDivisionError: a bug", True)
    # the same code would fail in the same way: the run is kept, but no key offers to try again
    assert not failure.again
    train(root)
    undisturbed = workspace_factory()
    train(undisturbed)
    assert final_weights(root) == final_weights(undisturbed)


# --- one at a time, and signals


def test_a_second_start_is_refused(workspace_factory: Make, capsys: pytest.CaptureFixture[str]) -> None:
    root = workspace_factory(**{"early_stop.policy": "ask"})
    process = start_training(root)
    Follower(root).wait(lambda event: isinstance(event, ev.PhaseChanged) and event.phase == "waiting", process)

    def kept() -> dict[str, str]:
        # the training that waits publishes what it does there now and then
        return {name: content for name, content in tree(root).items() if "training.json" not in name}

    before = kept()
    assert cli.main(["train", "-w", str(root), "--new"]) == 7
    assert f"a training is already running here (process {process.pid})" in capsys.readouterr().err
    assert kept() == before
    process.kill_hard()
    with RunLock(workspace_of(root)), pytest.raises(BusyProblem):
        train(root)


def test_a_lock_dies_with_its_process(workspace_factory: Make) -> None:
    root = workspace_factory(**{"training.num_train_epochs": 1})
    process = start_training(root)
    Follower(root).wait(lambda event: isinstance(event, ev.Progress), process)
    process.kill_hard()
    train(root)
    assert states(root)[-1].status == "finished"


@pytest.mark.parametrize(
    ("moment", "number", "code"),
    [
        (moments.a_step, signal.SIGTERM, 143),
        (moments.an_evaluation, signal.SIGTERM, 143),
        (moments.a_save, signal.SIGINT, 130),
        (moments.an_epoch_0, signal.SIGTERM, 143),
    ],
)
def test_a_signal_saves_and_ends_the_run(
    workspace_factory: Make, moment: moments.Moment, number: signal.Signals, code: int
) -> None:
    # steps that take a while, so that the signal comes before the run is over
    root = workspace_factory(rows=40, **{"training.per_device_train_batch_size": 8, "data.max_length": 96})
    process = start_training(root, "--step", "all")
    Follower(root).wait(moment, process)
    os.kill(process.pid or 0, number)
    assert process.code() == code, process.text()
    state = states(root)[0]
    assert state.status == "interrupted"
    assert state.interrupted is not None
    assert state.interrupted.reason == number.name
    saved = state.interrupted.checkpoint
    assert folders.problems_of(place_of(root, saved), for_resume=True) == [] if saved else moment is moments.an_epoch_0
    assert saving(root) == []
    train(root)
    undisturbed = workspace_factory(rows=40, **{"training.per_device_train_batch_size": 8, "data.max_length": 96})
    train(undisturbed)
    assert final_weights(root) == final_weights(undisturbed)


def test_a_second_signal_leaves_at_once(workspace_factory: Make) -> None:
    root = workspace_factory(**{"early_stop.policy": "ask"})
    process = start_training(root)
    Follower(root).wait(lambda event: isinstance(event, ev.Progress) and event.global_step == 1, process)
    pid = process.pid or 0
    os.kill(pid, signal.SIGTERM)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    assert process.code() in (-signal.SIGTERM, 143)
    train(root, overrides=["early_stop.policy=rule"])
    assert states(root)[0].status == "finished"


def test_a_signal_at_the_open_question_leaves_it_open(workspace_factory: Make) -> None:
    root = workspace_factory(**{"early_stop.policy": "ask"})
    process = start_training(root)
    Follower(root).wait(lambda event: isinstance(event, ev.PhaseChanged) and event.phase == "waiting", process)
    os.kill(process.pid or 0, signal.SIGTERM)
    assert process.code() == 143, process.text()
    state = states(root)[0]
    assert state.question is not None
    assert state.interrupted is not None
    assert state.interrupted.checkpoint.endswith("checkpoint-5")
    assert not state.decisions


def test_stopping_lets_no_further_step_begin(workspace_factory: Make) -> None:
    """With ``all``: a stop in the last epoch's end leaves the question open, and the next step is not begun."""
    root = workspace_factory(batches=(8,))
    control = Control()

    def react(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.HoldoutEvaluated) and event.epoch == 3:
            control.request(Stop(reason="enough"))

    train(root, "all", sink=Seen(react), control=control)
    assert [state.status for state in states(root)] == ["interrupted"]
    assert control.take() == []
    train(root, "all")
    assert [state.status for state in states(root)] == ["finished", "finished"]


def test_no_signal_is_lost_while_commands_are_taken() -> None:
    """A signal handler runs between any two lines of the very thread that takes the commands."""
    control, stops = Control(), 0
    sent = 0

    def handler(number: int, frame: object) -> None:  # noqa: ARG001 - a signal handler's signature
        nonlocal sent
        sent += 1
        control.request(Stop(reason=str(sent)))

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
    try:
        while sent < 500:
            stops += len(control.take())
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert stops + len(control.take()) == sent


def test_a_killed_save_is_put_aside(workspace_factory: Make) -> None:
    root = workspace_factory()
    process = start_training(root)
    assert wait_until(lambda: any(path.name == "checkpoint-10" for path in saving(root)), process)
    process.kill_hard()
    half = saving(root)
    train(root)
    if half:  # unless the manifest came in the moment of the kill
        names = [path.name for path in checkpoint_folder(root).iterdir()]
        assert any(name.startswith("damaged-checkpoint-10-") for name in names)
        assert any(isinstance(event, ev.CheckpointRejected) for event in journal_of(root))
    assert last_run(root).name == checkpoint_folder(root).name
    assert states(root)[0].status == "finished"
