"""Commands reach the training from this process and from others, and never twice."""

import os
import threading
from pathlib import Path

import pytest

from opeddev_tui.errors import StorageProblem
from opeddev_tui.runs import control as ctl
from opeddev_tui.runs import events as ev
from opeddev_tui.runs import mailbox
from opeddev_tui.training.deciders import ControlDecider, RuleDecider

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


def box(run: Path) -> list[str]:
    """Return the endings of what lies in a mailbox."""
    return sorted(path.suffix for path in (run / mailbox.MAILBOX_NAME).iterdir())


def test_another_process_leaves_commands_in_the_run_folder(tmp_path: Path) -> None:
    ctl.send(tmp_path, ctl.Stop("before the run listened"))
    control = ctl.Control()
    assert control.open_mailbox(tmp_path) == [ctl.Stop("before the run listened")]
    assert control.take() == []
    ctl.send(tmp_path, ctl.Decide(epoch=2, choice="stop"))
    note = ctl.Record(ev.Annotated(epoch=2, note="good", at=3.0))
    ctl.send(tmp_path, note)
    assert control.take() == [ctl.Decide(epoch=2, choice="stop"), note]
    assert control.take() == []


def test_a_command_stays_on_disk_until_it_is_settled(tmp_path: Path) -> None:
    control = ctl.Control()
    control.open_mailbox(tmp_path)
    ctl.send(tmp_path, ctl.SaveNow())
    assert control.take() == [ctl.SaveNow()]
    assert box(tmp_path) == [".taken"]
    # a training that dies here leaves it to the next one
    successor = ctl.Control()
    assert successor.open_mailbox(tmp_path) == [ctl.SaveNow()]
    ((command, identity),) = successor.open_commands()
    assert command == ctl.SaveNow()
    successor.settle(identity)
    assert box(tmp_path) == []
    assert successor.open_commands() == []


def test_a_command_is_taken_or_taken_back(tmp_path: Path) -> None:
    control = ctl.Control()
    control.open_mailbox(tmp_path)
    withdrawn, kept = ctl.send(tmp_path, ctl.Stop()), ctl.send(tmp_path, ctl.Pause())
    assert mailbox.withdraw(withdrawn)
    assert control.take() == [ctl.Pause()]
    assert not mailbox.withdraw(kept)


def test_a_clock_that_is_set_back_does_not_change_the_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    control = ctl.Control()
    control.open_mailbox(tmp_path)
    for at, command in ((9_000, ctl.Pause()), (5_000, ctl.SaveNow()), (1, ctl.Resume())):
        monkeypatch.setattr(mailbox.time, "time_ns", lambda at=at: at)
        ctl.send(tmp_path, command)
    assert control.take() == [ctl.Pause(), ctl.SaveNow(), ctl.Resume()]


def test_what_another_user_put_there_is_no_command(tmp_path: Path) -> None:
    """The owner is checked as at a socket; a link, a pipe and a file that others may write are no commands either."""
    control = ctl.Control()
    control.open_mailbox(tmp_path)
    folder = tmp_path / mailbox.MAILBOX_NAME
    content = b'{"command":"Stop"}'
    for name in ("1-other", "2-shared", "3-huge"):
        (folder / f"{name}.json").write_bytes(content)
    (folder / "2-shared.json").chmod(0o620)
    (folder / "3-huge.json").write_bytes(content + b" " * (2 << 20))
    elsewhere = tmp_path / "stop.json"
    elsewhere.write_bytes(content)
    (folder / "4-link.json").symlink_to(elsewhere)
    os.mkfifo(folder / "5-pipe.json")
    expected = ["1-other", "2-shared", "3-huge", "4-link", "5-pipe"]
    if os.getuid() == 0:
        os.chown(folder / "1-other.json", 12345, -1)
    else:
        (folder / "1-other.json").unlink()
        expected.remove("1-other")
    assert control.take() == []
    told = control.take_refused()
    assert [name for name in expected if not any(f"({name})" in line for line in told)] == []
    assert len(told) == len(expected)
    assert box(tmp_path) == []
    assert elsewhere.exists()
    assert control.take_refused() == []


def test_the_mailbox_is_its_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / mailbox.MAILBOX_NAME
    folder.mkdir()
    folder.chmod(0o777)
    control = ctl.Control()
    control.open_mailbox(tmp_path)
    assert folder.stat().st_mode & 0o077 == 0
    ctl.send(tmp_path, ctl.Stop())
    assert [path.stat().st_mode & 0o077 for path in folder.iterdir()] == [0]


def test_a_mailbox_that_is_a_link_is_not_listened_to(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / mailbox.MAILBOX_NAME).symlink_to(tmp_path / "elsewhere")
    control = ctl.Control()
    assert control.open_mailbox(tmp_path) == []
    (told,) = control.take_refused()
    assert "commands from other terminals cannot be received" in told
    with pytest.raises(StorageProblem):
        ctl.send(tmp_path, ctl.Stop())


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
    (tmp_path / mailbox.MAILBOX_NAME / "0-stray.json").write_bytes(content)
    assert control.take() == [ctl.Pause()]
    assert [command for command, _ in control.open_commands()] == [ctl.Pause()]
    assert box(tmp_path) == [".taken"]
    (told,) = control.take_refused()
    assert "0-stray" in told


def test_a_folder_in_the_mailbox_ends_nothing(tmp_path: Path) -> None:
    control = ctl.Control()
    ctl.send(tmp_path, ctl.Pause())
    (tmp_path / mailbox.MAILBOX_NAME / "0.json").mkdir()
    control.open_mailbox(tmp_path)
    ctl.send(tmp_path, ctl.Resume())
    assert control.take() == [ctl.Resume()]


def test_a_waiting_training_is_woken_at_once() -> None:
    control = ctl.Control()
    waiting = threading.Thread(target=lambda: got.extend(control.wait()), daemon=True)
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
