"""Where a training ends, all ranks end at the same optimizer step; a question or fifty saves cost nobody anything."""

import os
from collections.abc import Callable
from pathlib import Path
from threading import Timer
from typing import Any

import engine_helpers as eh
import psutil
import pytest
from engine_helpers import of
from hands import Hands
from test_lost_ranks import at_step, when
from test_slow_saves import EXCHANGE_SECONDS, exchanges_are_short

from opeddev_tui.checkpoints import folders
from opeddev_tui.ranks import group
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.control import Control, Decide, SaveNow, Stop, send

Make = Callable[..., Path]
SHORT = {"grading.evaluate": False, "generation.num_probes": 0}
# a rule that never finds an epoch good enough, and so stops after the planned ones
RULE = {"early_stop.min_delta": 100.0, "early_stop.max_extra_epochs": 3, "training.num_train_epochs": 1}


def tells_its_steps() -> None:
    """Have a hand print each optimizer step that its own Trainer has done."""
    from opeddev_tui.training import hand_trainer

    right = hand_trainer.HandCallback.on_step_end

    def told(self: hand_trainer.HandCallback, args: object, state: Any, *others: object, **named: object) -> None:
        print(state.global_step, flush=True)
        right(self, args, state, *others, **named)  # type: ignore[arg-type] # handed on as it came

    hand_trainer.HandCallback.on_step_end = told  # type: ignore[method-assign,assignment] # in a process of its own


@pytest.mark.parametrize(
    ("how", "settings", "step"),
    [
        ("the mailbox", {}, 3),
        ("the rule", RULE, 6),
        ("the timeout", {**RULE, "early_stop.policy": "ask", "early_stop.decision_timeout_minutes": 0.01}, 6),
        ("the limit", {"training.num_train_epochs": 2}, 12),
    ],
)
def test_every_rank_ends_at_the_same_step(
    how: str, settings: dict[str, object], step: int, ranks_factory: Make, hands: Hands
) -> None:
    root = ranks_factory(**{**SHORT, **settings})
    hands.faults[1] = tells_its_steps
    stop = when(at_step(2), lambda: send(eh.last_run(root), Stop()) if how == "the mailbox" else None)
    eh.train(root, sink=stop)
    steps = (eh.last_run(root) / "ranks/1.log").read_text().split()
    assert steps == [str(number) for number in range(1, step + 1)]
    if how == "the mailbox":
        assert [event.global_step for event in of(root, ev.Interrupted)] == [step]
    else:
        assert of(root, ev.Decided)[-1].by == how.removeprefix("the ")
        assert of(root, ev.EpochFinished)[-1].global_step == step


def test_a_question_may_be_open_longer_than_an_exchange_may_last_and_costs_no_processor_time(
    ranks_factory: Make, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "joined", group.joined)
    exchanges_are_short()
    hands.faults[1] = exchanges_are_short
    root, control = ranks_factory(**SHORT, **{"early_stop.policy": "ask", "training.num_train_epochs": 2}), Control()
    used: list[list[float]] = []

    def look(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.DecisionAwaited | ev.Decided):
            times = [psutil.Process(pid).cpu_times() for pid in (os.getpid(), hands.processes[1].pid)]
            used.append([time.user + time.system for time in times])
        if isinstance(event, ev.DecisionAwaited):
            Timer(2 * EXCHANGE_SECONDS, control.request, [Decide(epoch=event.epoch, choice="continue")]).start()

    eh.train(root, sink=eh.Seen(look), control=control)
    assert eh.states(root)[-1].finished is not None
    assert of(root, ev.Decided)[0].at - of(root, ev.DecisionAwaited)[0].at >= 2 * EXCHANGE_SECONDS
    shares = [(after - before) / (2 * EXCHANGE_SECONDS) for before, after in zip(*used[:2], strict=True)]
    # rank 0 and rank 1, which poll: a hundredth of a core each, and not all of it
    assert max(shares) < 0.1, shares


def open_files(pid: int | None) -> int:
    return len(os.listdir(f"/proc/{pid or os.getpid()}/fd"))


def test_fifty_saves_in_one_run_are_sealed_and_leave_nothing_open(ranks_factory: Make, hands: Hands) -> None:
    root, control = ranks_factory(rows=100, **{**SHORT, "training.num_train_epochs": 2}), Control()
    control.request(SaveNow())
    whole: list[bool] = []
    held: list[tuple[int, int]] = []

    def react(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.Progress):
            control.request(SaveNow())
        elif isinstance(event, ev.CheckpointSaved):
            folder = eh.place_of(root, event.path)
            states = {"rng_state_0.pth", "rng_state_1.pth"} <= set(folders.manifest_of(folder).files)
            whole.append(states and not folders.problems_of(folder, for_resume=True))
            held.append((open_files(None), open_files(hands.processes[1].pid)))

    eh.train(root, sink=eh.Seen(react), control=control)
    assert whole == [True] * 50
    assert held[-1] == held[4]
