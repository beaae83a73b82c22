"""What is chosen at the question is recorded, refused where it cannot be, and done by the next step alone."""

import json
from collections.abc import Callable
from pathlib import Path

import engine_helpers as eh
import pytest

from opeddev_tui.commands.status import status
from opeddev_tui.config import loading
from opeddev_tui.runs import control as ctl
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.control import Control
from opeddev_tui.runs.state import reduce
from opeddev_tui.training.deciders import ControlDecider
from opeddev_tui.workspace.paths import Workspace

Make = Callable[..., Path]
ASK = ("early_stop.policy=ask",)


def answering(control: Control, *commands: ctl.AnyCommand) -> eh.Seen:
    """Return a sink that gives ``commands`` at the first question, and stops at every later one."""
    asked: list[int] = []

    def react(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.DecisionAwaited):
            asked.append(event.epoch)
            for command in commands if len(asked) == 1 else (ctl.Decide(epoch=event.epoch, choice="stop"),):
                control.request(command)

    return eh.Seen(react)


def refused(seen: eh.Seen) -> list[str]:
    return [event.reason for event in seen.of(ev.CommandTaken) if not event.done]


def test_the_next_step_does_what_was_chosen_and_the_running_one_does_not_change(workspace_factory: Make) -> None:
    root = workspace_factory(rows=8, batches=(8, 8))
    control = Control()
    seen = answering(
        control,
        ctl.Adjust(epoch=1, learning_rate=7.0),
        ctl.Adjust(epoch=1, learning_rate=float("nan")),
        ctl.Adjust(epoch=1, batch="batch_100_77"),
        ctl.Adjust(epoch=3, learning_rate=3e-4),
        ctl.Adjust(epoch=1, learning_rate=3e-4),
        ctl.Adjust(epoch=1, batch="batch_100_02"),
        ctl.Decide(epoch=1, choice="stop"),
    )
    eh.train(root, sink=seen, control=control, overrides=ASK)
    first = eh.states(root)[0]
    told = refused(seen)
    assert len(told) == 4
    assert "a learning rate of 7 is not possible: it is above 0 and at most 1" in told[0]
    assert "batch_100_77 is no batch that waits: there are batch_100_01, batch_100_02" in told[2]
    assert "the question after epoch 3 is not open" in told[3]
    assert first.next_step is not None
    assert (first.next_step.learning_rate, first.next_step.batch) == (3e-4, "batch_100_02")
    assert first.data is not None
    assert first.data.learning_rate != 3e-4

    workspace = Workspace(root, loading.load(root).settings.paths)
    report = status(workspace, loading.load(root).settings)
    assert report["next_step"] == {"step": 2, "batch": "batch_100_02"}
    assert report["chosen"] == {"learning_rate": 3e-4, "batch": "batch_100_02", "start_from": None}

    eh.train(root, sink=answering(control, ctl.Decide(epoch=1, choice="stop")), control=control, overrides=ASK)
    second = eh.states(root)[1]
    assert (second.begun.step, second.begun.batch, second.begun.learning_rate) == (2, "batch_100_02", 3e-4)
    assert second.data is not None
    assert second.data.learning_rate == 3e-4
    assert [batch.name for batch in second.begun.batches][1:] == ["batch_100_01", "batch_100_02"]
    manifest = json.loads((eh.last_run(root) / "manifest.json").read_text())
    assert manifest["settings"]["training"]["resume_learning_rate"] == 3e-4
    assert status(workspace, loading.load(root).settings)["next_step"] is None


def test_the_rule_decides_for_the_rest_and_the_best_epoch_is_the_result(workspace_factory: Make) -> None:
    root = workspace_factory(rows=8)
    control = Control()
    seen = answering(control, ctl.Adjust(epoch=1, policy="rule"))
    eh.train(root, sink=seen, control=control, overrides=ASK)
    state = eh.states(root)[0]
    assert state.policy == "rule"
    assert {item.by for item in state.decisions} <= {"rule", "limit"}
    assert len(seen.of(ev.DecisionAwaited)) >= 1


@pytest.mark.parametrize("result", ["best", "latest"])
def test_the_result_of_a_stop_is_where_the_next_step_starts(result: ev.StartFrom) -> None:
    verdict = ev.Verdict(epoch=2, choice="stop", limit_reached=False, reasons=())
    question = ev.DecisionAwaited(epoch=2, verdict=verdict, max_epochs=3)
    control, given = Control(), list[ctl.AnyCommand]()
    control.request(ctl.Decide(epoch=2, choice="stop", result=result))
    decided = ControlDecider(control).decide(lambda: question, given.append)
    assert decided.choice == "stop"
    assert given == [ctl.Adjust(epoch=2, start_from=result)]


def test_later_choices_lie_over_earlier_ones() -> None:
    state = reduce(
        [
            ev.NextStepChosen(epoch=1, learning_rate=1e-4),
            ev.NextStepChosen(epoch=1, batch="b"),
            ev.NextStepChosen(epoch=2, learning_rate=2e-4, start_from="best"),
        ]
    )
    assert state.next_step is not None
    assert (state.next_step.learning_rate, state.next_step.batch, state.next_step.start_from) == (2e-4, "b", "best")
