"""Commands reach the training from this process and from others, and never twice."""

import threading
from pathlib import Path

import pytest

from opeddev_tui import control as ctl
from opeddev_tui import events as ev
from opeddev_tui.deciders import ControlDecider, RuleDecider

VERDICT = ev.Verdict(epoch=2, choice="continue", limit_reached=False, reasons=("why",))


def question(deadline: float | None = None) -> ev.DecisionAwaited:
    return ev.DecisionAwaited(epoch=2, verdict=VERDICT, max_epochs=5, deadline=deadline)


def test_commands_come_in_order_and_once() -> None:
    control = ctl.Control()
    control.request(ctl.Pause())
    control.request(ctl.SaveNow())
    assert control.take() == [ctl.Pause(), ctl.SaveNow()]
    assert control.take() == []
    assert control.wait(0.0) == []


def test_another_process_leaves_commands_in_the_run_folder(tmp_path: Path) -> None:
    ctl.send(tmp_path, ctl.Stop("before the run listened"))
    control = ctl.Control()
    control.open_mailbox(tmp_path)
    assert control.take() == []
    ctl.send(tmp_path, ctl.Decide(epoch=2, choice="stop"))
    note = ctl.Record(ev.Annotated(epoch=2, note="good", at=3.0))
    ctl.send(tmp_path, note)
    assert control.take() == [ctl.Decide(epoch=2, choice="stop"), note]
    assert list((tmp_path / ctl.MAILBOX_NAME).iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b'{"command":"Annotate","epoch":1,"note":"of version 0.1"}',
        b'{"command":"Record","fact":{"type":"RunFinished"}}',
        b'{"command":"Record"}',
        b'{"command":"Decide","epoch":"one","choice":"stop"}',
    ],
)
def test_what_is_no_command_is_removed_and_ends_nothing(tmp_path: Path, content: bytes) -> None:
    control = ctl.Control()
    control.open_mailbox(tmp_path)
    ctl.send(tmp_path, ctl.Pause())
    (tmp_path / ctl.MAILBOX_NAME / "0-stray.json").write_bytes(content)
    assert control.take() == [ctl.Pause()]
    assert list((tmp_path / ctl.MAILBOX_NAME).iterdir()) == []


def test_a_folder_in_the_mailbox_ends_nothing(tmp_path: Path) -> None:
    control = ctl.Control()
    ctl.send(tmp_path, ctl.Pause())
    (tmp_path / ctl.MAILBOX_NAME / "0.json").mkdir()
    control.open_mailbox(tmp_path)
    ctl.send(tmp_path, ctl.Resume())
    assert control.take() == [ctl.Resume()]


def test_a_waiting_training_is_woken_at_once() -> None:
    control = ctl.Control()
    waiting = threading.Thread(target=lambda: got.extend(control.wait()))
    got: list[ctl.AnyCommand] = []
    waiting.start()
    control.request(ctl.Resume())
    waiting.join(10)
    assert got == [ctl.Resume()]


def test_only_the_open_question_is_answered() -> None:
    control = ctl.Control()
    other: list[ctl.AnyCommand] = []
    control.request(ctl.Decide(epoch=1, choice="stop"))
    control.request(ctl.SampleNow())
    control.request(ctl.Decide(epoch=2, choice="stop", note="enough"))
    decided = ControlDecider(control).decide(question, other.append)
    assert (decided.choice, decided.by, decided.note) == ("stop", "person", "enough")
    assert other == [ctl.Decide(epoch=1, choice="stop"), ctl.SampleNow()]


def test_what_came_with_the_answer_is_left_for_the_training() -> None:
    control = ctl.Control()
    for command in (ctl.Decide(epoch=2, choice="continue"), ctl.SampleNow(), ctl.Stop("SIGTERM")):
        control.request(command)
    assert ControlDecider(control).decide(question, lambda _: None).choice == "continue"
    assert control.take() == [ctl.SampleNow(), ctl.Stop("SIGTERM")]


def test_after_the_deadline_the_rule_decides() -> None:
    decided = ControlDecider(ctl.Control()).decide(lambda: question(deadline=0.0), lambda _: None)
    assert (decided.choice, decided.by) == ("continue", "timeout")


def test_the_rule_takes_its_verdict() -> None:
    assert RuleDecider().decide(question, lambda _: None).by == "rule"
