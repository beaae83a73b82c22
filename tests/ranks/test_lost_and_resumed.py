"""A rank that is killed while all wait, read a checkpoint or score: resumed each time, the weights are the same."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import engine_helpers as eh
import pytest
from engine_helpers import of
from hands import Hands
from test_lost_ranks import after_step, when

from opeddev_tui.errors import TrainingProblem
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.control import Control, Pause, SaveNow

Make = Callable[..., Path]
KILLED = r"rank 1 of 2.* was killed by SIGKILL.*resumes"


def dies_while_it_reads_the_checkpoint() -> None:
    from opeddev_tui.models import loading

    right = loading.load_model

    def dies(*arguments: object, **named: object) -> object:
        right(*arguments, **named)  # type: ignore[arg-type] # handed on as it came
        os.kill(os.getpid(), signal.SIGKILL)

    loading.load_model = dies  # type: ignore[assignment] # in a process of its own


def test_killed_in_a_pause_at_the_checkpoint_and_while_it_scores(
    trained_by_two: Path, ranks_factory: Make, hands: Hands
) -> None:
    root, control = ranks_factory(), Control()

    def pause(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.Progress) and event.global_step == 8:
            control.request(Pause())
        elif isinstance(event, ev.Paused):
            control.request(SaveNow())
        elif isinstance(event, ev.CheckpointSaved) and event.global_step == 9:
            hands.signal(1, signal.SIGKILL)

    with pytest.raises(TrainingProblem, match=KILLED):
        eh.train(root, sink=eh.Seen(pause), control=control)
    hands.faults[1] = dies_while_it_reads_the_checkpoint
    with pytest.raises(TrainingProblem, match=KILLED):
        eh.train(root)
    began, scores = time.time(), after_step("hold-out rows")
    # what was recorded before is shown again
    kill = when(lambda event: event.at > began and scores(event), lambda: hands.signal(1, signal.SIGKILL))
    with pytest.raises(TrainingProblem, match=KILLED):
        eh.train(root, sink=kill)
    assert [(event.kind, event.resumable) for event in of(root, ev.RunFailed)] == [("training", True)] * 3
    # the random state of one rank is gone: that checkpoint is no longer one to go on from
    (eh.checkpoint_folder(root) / "checkpoint-9/rng_state_1.pth").unlink()
    eh.train(root)
    (rejected,) = of(root, ev.CheckpointRejected)
    assert rejected.problem == "rng_state_1.pth is missing"
    assert of(root, ev.Resumed)[-1].global_step == 6
    assert eh.final_weights(root) == eh.final_weights(trained_by_two)
