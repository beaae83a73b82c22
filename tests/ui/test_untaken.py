"""A command that another process's training did not carry out is said at the screen that sent it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from opeddev_tui.runs import events as ev
from opeddev_tui.runs.control import Control, Pause, Record, SaveNow, Stop
from opeddev_tui.runs.mailbox import MAILBOX_NAME
from opeddev_tui.ui.announcer import _answered
from opeddev_tui.ui.tasks.workspace import WorkspaceTasks


class Shell:
    """As much of the app as the tasks ask for."""

    def __init__(self, folder: Path) -> None:
        self.said: list[str] = []
        self.work: list[Any] = []
        current = SimpleNamespace(over=False)
        self.session = SimpleNamespace(trained_by="other", current=current, requested={"save": "checkpoint requested"})
        workspace = SimpleNamespace(run_folder=lambda run: folder / run)
        self.provider = SimpleNamespace(workspace=workspace)

    def tell(self, text: str, *, severity: str = "information", **_: object) -> None:
        self.said.append(f"{severity}: {text}")

    def show_now(self) -> None:
        """Nothing is drawn."""

    def run_worker(self, work: Any, **_: object) -> None:
        self.work.append(work)

    async def settle(self) -> None:
        while self.work:
            await self.work.pop(0)()


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


async def test_what_a_training_did_not_take_is_taken_back_and_said(shell: Shell, tmp_path: Path) -> None:
    tasks = WorkspaceTasks(shell)  # type: ignore[arg-type]
    for command in (Stop(), SaveNow(), Record(ev.Annotated(epoch=1, note="kept by its recorder"))):
        tasks.send("run", command)
        await shell.settle()
    tasks._look_after_sent([])
    await shell.settle()
    assert shell.said == []  # it trains: it may still take them
    shell.session.trained_by = "none"
    tasks._look_after_sent([])
    await shell.settle()
    assert shell.said == [
        "warning: Stop: not taken. The training ended first.",
        "warning: Save now: not taken. The training ended first.",
    ]
    assert shell.session.requested == {}
    # the note is written by its recorder, and is found once
    assert len(list((tmp_path / "run" / MAILBOX_NAME).iterdir())) == 1


async def test_what_was_settled_is_not_asked_for_again(shell: Shell, tmp_path: Path) -> None:
    tasks, control = WorkspaceTasks(shell), Control()  # type: ignore[arg-type]
    control.open_mailbox(tmp_path / "run")
    tasks.send("run", Pause())
    await shell.settle()
    assert control.take() == [Pause()]
    ((_, identity),) = control.open_commands()
    tasks._look_after_sent([ev.CommandTaken(command="Pause", id=identity)])
    shell.session.trained_by = "none"
    tasks._look_after_sent([])
    await shell.settle()
    assert shell.said == []


def test_why_it_was_not_carried_out_is_said(shell: Shell) -> None:
    _answered(shell, ev.CommandTaken(command="Decide", done=False, reason="stop was already decided, by rule"))  # type: ignore[arg-type]
    _answered(shell, ev.CommandTaken(command="SaveNow", reason="the checkpoint of this epoch is saved"))  # type: ignore[arg-type]
    _answered(shell, ev.CommandTaken(command="Stop"))  # type: ignore[arg-type]
    assert shell.said == [
        "warning: Your answer: not done: stop was already decided, by rule.",
        "information: Save now: the checkpoint of this epoch is saved.",
    ]
