"""A rank that ends, freezes, lacks memory or differs from rank 0: one sentence that names it, nothing left over."""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import engine_helpers as eh
import psutil
import pytest
from engine_helpers import of
from hands import Hands
from leftovers import ended
from places import gone
from pty_tools import until

from opeddev_tui.errors import DataProblem, StorageProblem, TrainingProblem
from opeddev_tui.ranks import watch
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.control import Control, Stop

Make = Callable[..., Path]
SHORT = {"training.num_train_epochs": 1, "grading.evaluate": False, "generation.num_probes": 2}


def workers_of(training: int) -> list[int]:
    """Return the processes that read rows for ``training``: they run Python, unlike the programs that it asks."""
    process, found = psutil.Process(training), list[int]()
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.exe() == process.exe():
                found.append(child.pid)
    return found


def all_gone(processes: Iterable[int]) -> None:
    """Wait until all have ended."""
    left = list(processes)
    until(lambda: all(gone(pid) for pid in left), 20, "the processes end")


def when(wanted: Callable[[ev.AnyEvent], bool], act: Callable[[], object]) -> eh.Seen:
    """Return a sink that acts once, at the first event that is wanted."""
    done: list[bool] = []

    def react(event: ev.AnyEvent) -> None:
        if not done and wanted(event):
            done.append(True)
            act()

    return eh.Seen(react)


def at_step(number: int) -> Callable[[ev.AnyEvent], bool]:
    return lambda event: isinstance(event, ev.Progress) and event.global_step == number


def in_phase(words: str) -> Callable[[ev.AnyEvent], bool]:
    return lambda event: isinstance(event, ev.PhaseChanged) and words in f"{event.phase} {event.detail}"


def after_step(words: str) -> Callable[[ev.AnyEvent], bool]:
    """Return what recognizes the phase ``words`` once an optimizer step is done."""
    stepped: list[bool] = []

    def wanted(event: ev.AnyEvent) -> bool:
        stepped.extend([True] if isinstance(event, ev.Progress) else [])
        return bool(stepped) and in_phase(words)(event)

    return wanted


# --- what goes wrong in a hand, from within


def no_memory() -> None:
    from opeddev_tui.training import hand_trainer

    def fails(*_: object, **__: object) -> None:
        raise MemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    hand_trainer.HandTrainer.compute_loss = fails  # type: ignore[method-assign] # in a process of its own


def not_a_number() -> None:
    from opeddev_tui.training import hand_trainer

    right = hand_trainer.HandTrainer.compute_loss

    def broken(self: hand_trainer.HandTrainer, *arguments: object, **named: object) -> object:
        loss = right(self, *arguments, **named)  # type: ignore[arg-type] # handed on as it came
        return loss * float("nan") if self.state.global_step == 2 else loss

    hand_trainer.HandTrainer.compute_loss = broken  # type: ignore[method-assign] # in a process of its own


def a_bug() -> None:
    from opeddev_tui.training import hand_trainer

    def fails(*_: object, **__: object) -> None:
        raise ValueError("no such column")

    hand_trainer.HandTrainer.compute_loss = fails  # type: ignore[method-assign] # in a process of its own


def other_versions() -> None:
    from opeddev_tui.ranks import orders

    orders.versions = lambda: {"opeddev-tui": "0.2.0", "torch": "1.0"}


def other_disk() -> None:
    from opeddev_tui.ranks import orders

    orders.FOLDER = "elsewhere"


def other_weights() -> None:
    from opeddev_tui.training import hand

    hand.fingerprint = lambda _: "another model"


def scores_badly() -> None:
    from opeddev_tui.training import reading

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("the kernel has failed")

    reading.read_losses = fails


# --- ends


@pytest.mark.parametrize("place", ["ranks have begun", "hold-out rows", "probe prompts", "saving", "waiting"])
def test_killed_wherever_it_is_the_run_ends_with_a_sentence(place: str, ranks_factory: Make, hands: Hands) -> None:
    root = ranks_factory(**{**SHORT, "training.num_train_epochs": 2, "early_stop.policy": "ask"})
    control = Control()
    killed: list[float] = []

    def kill() -> None:
        killed.append(time.monotonic())
        hands.signal(1, signal.SIGKILL)

    with pytest.raises(TrainingProblem, match=r"rank 1 of 2.* was killed by SIGKILL"):
        eh.train(root, sink=when(in_phase(place), kill), control=control)
    assert time.monotonic() - killed[0] < 20
    (failed,) = of(root, ev.RunFailed)
    assert (failed.kind, failed.resumable, failed.again) == ("training", True, True)
    eh.train(root, overrides=["early_stop.policy=rule"])
    assert eh.states(root)[-1].finished is not None


def test_rank_0_killed_leaves_no_hand_behind(ranks_factory: Make) -> None:
    root = ranks_factory(**SHORT)
    training = eh.start_training(root)
    started = eh.Follower(root).wait(lambda event: isinstance(event, ev.RanksStarted), training)
    assert isinstance(started, ev.RanksStarted)
    assert training.kill_hard()
    all_gone([started.ranks[1].pid])


def test_a_killed_training_leaves_no_loading_worker_behind(ranks_factory: Make) -> None:
    root = ranks_factory(1, **SHORT, **{"training.arguments": {"dataloader_num_workers": 1}})
    # a process of its own: those of the tests are daemons, which may have no children
    command = [sys.executable, "-m", "opeddev_tui", "train", "-w", str(root), "--policy", "rule"]
    with ended(subprocess.Popen(command, stdout=subprocess.DEVNULL)) as training:
        workers: list[int] = []
        until(lambda: workers.extend(workers_of(training.pid)) or workers, 60, "a process of its own reads rows")
        training.kill()
        all_gone(workers)


@pytest.mark.parametrize(("place", "ranks"), [("a step", 1), ("a step", 2), ("hold-out rows", 2), ("saving", 2)])
def test_sigterm_to_every_process_saves_also_with_workers_that_load(
    place: str, ranks: int, ranks_factory: Make, hands: Hands
) -> None:
    root, control = ranks_factory(ranks, **SHORT, **{"training.arguments": {"dataloader_num_workers": 1}}), Control()
    found: list[int] = []
    workers: list[int] = []

    def terminate() -> None:
        for rank in hands.running:
            hand = hands.processes[rank].pid
            assert hand is not None
            workers.extend(workers_of(hand))
            found.extend([*workers, hand])
        own = {process.pid for process in multiprocessing.active_children()} - set(found)
        found.extend(pid for pid in own if pid is not None)
        for pid in found:
            os.kill(pid, signal.SIGTERM)
        control.request(Stop(reason="SIGTERM"))

    wanted = at_step(2) if place == "a step" else after_step(place)
    eh.train(root, sink=when(wanted, terminate), control=control)
    # with two ranks: the hand, and a worker of each while rows are read
    assert len(found) >= (2 * ranks - 1 if place == "a step" else 1)
    all_gone(workers)
    (stopped,) = of(root, ev.Interrupted)
    assert stopped.checkpoint
    eh.train(root)
    assert eh.states(root)[-1].finished is not None


# --- is silent


def test_a_frozen_rank_is_named_and_waited_for(
    trained_by_two: Path, ranks_factory: Make, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SILENT_SECONDS", 3.0)
    root = ranks_factory()

    def react(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.Progress) and event.global_step == 3 and not of(root, ev.RankSilent):
            hands.signal(1, signal.SIGSTOP)
        elif isinstance(event, ev.RankSilent):
            hands.signal(1, signal.SIGCONT)

    eh.train(root, sink=eh.Seen(react))
    silent = of(root, ev.RankSilent)
    assert (silent[0].rank, silent[0].host) == (1, os.uname().nodename)
    assert any("answers again" in event.message for event in of(root, ev.Warned))
    assert eh.final_weights(root) == eh.final_weights(trained_by_two)


def test_a_rank_that_stays_frozen_ends_the_run_at_the_limit(ranks_factory: Make, hands: Hands) -> None:
    root = ranks_factory(**{**SHORT, "training.rank_timeout_minutes": 0.1})
    freeze = when(at_step(2), lambda: hands.signal(1, signal.SIGSTOP))
    with pytest.raises(TrainingProblem, match=r"rank 1 of 2.* no sign for 0.1 minutes"):
        eh.train(root, sink=freeze)
    assert of(root, ev.RunFailed)[0].resumable


# --- fails within


def test_a_lack_of_memory_in_one_rank_halves_the_batch_of_all(ranks_factory: Make, hands: Hands) -> None:
    root = ranks_factory(**SHORT)
    hands.faults[1] = no_memory
    eh.train(root)
    (retried,) = of(root, ev.MemoryRetried)
    assert (retried.batch_size, retried.accumulation) == (1, 2)
    assert hands.started == 2
    assert eh.states(root)[-1].finished is not None


def test_a_loss_that_is_no_number_in_one_rank_keeps_its_kind(ranks_factory: Make, hands: Hands) -> None:
    root = ranks_factory(**SHORT)
    hands.faults[1] = not_a_number
    with pytest.raises(TrainingProblem, match=r"rank 1 of 2.* became nan at optimizer step 3"):
        eh.train(root)
    (failed,) = of(root, ev.RunFailed)
    assert (failed.kind, failed.resumable) == ("non-finite", False)
    assert of(root, ev.CheckpointSaved) == []


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (a_bug, TrainingProblem, "rank 1 of 2.* ValueError: no such column"),
        (other_versions, TrainingProblem, "rank 1 .* other versions .*torch 1.0"),
        (other_disk, StorageProblem, "rank 1 of 2.* does not see the files"),
        (other_weights, TrainingProblem, "rank 1 .* other weights"),
        (scores_badly, TrainingProblem, "rank 1 of 2.* the kernel has failed"),
    ],
)
def test_what_differs_or_fails_in_one_rank_is_said(
    fault: Callable[[], None], kind: type[Exception], words: str, ranks_factory: Make, hands: Hands
) -> None:
    root = ranks_factory(**SHORT)
    hands.faults[1] = fault
    with pytest.raises(kind, match=words):
        eh.train(root)
    assert of(root, ev.CheckpointSaved) == []


@pytest.mark.usefixtures("hands")
def test_a_rank_that_reads_other_rows_is_refused(ranks_factory: Make) -> None:
    root = ranks_factory(**SHORT)
    change = when(
        lambda event: isinstance(event, ev.RunStarted),
        lambda: eh.write_rows(eh.base_file(root), eh.make_rows(22, "other")),
    )
    with pytest.raises(DataProblem, match=r"rank 1 .* other rows"):
        eh.train(root, sink=change)
