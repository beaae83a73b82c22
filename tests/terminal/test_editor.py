"""An editor has the terminal, its keys and its job control while the training goes on; nothing leaves it stuck."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from engine_helpers import copy_workspace
from places import PROGRAM, SLOW, Place, gone
from pty_tools import PYTHON, Terminal, until

from opeddev_tui.workspace.lock import lock_holder

# a person's editor in few lines: it says what it reads, and ends with "done"
EDITOR = """
import os, signal, sys, time
signal.signal(signal.SIGINT, lambda *_: print("INTERRUPTED", flush=True))
signal.signal(signal.SIGWINCH, lambda *_: print("SIZE", *os.get_terminal_size(0), flush=True))
signal.signal(signal.SIGCONT, lambda *_: print("CONTINUED", flush=True))
print("EDITOR HERE", os.tcgetpgrp(0) == os.getpgrp() == os.getpid(), flush=True)
while (line := input()) != "done":
    print("read", line, flush=True)
    open(sys.argv[-1], "a").write(line + "\\n")
"""


class Desk(Place):
    """The app training in a terminal, with an editor."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.editor = root.parent / "editor.py"
        self.editor.write_text(EDITOR)

    def writing(
        self, editor: str = "", shell: str = "", shows: str = "EDITOR HERE True"
    ) -> tuple[Terminal, subprocess.Popen[bytes]]:
        """Train, and open the editor on an observation while a question waits for its answer."""
        command = editor or f"{PYTHON} {self.editor}"
        argv = ["bash", "--norc", "-i"] if shell else [*PROGRAM, str(self.root)]
        terminal, process = self.spawn(argv, EDITOR=command, VISUAL="", PS1="PROMPT> ")
        if shell:
            until(lambda: terminal.shows("PROMPT>"), 10)
            terminal.press(f"{shlex.join(PROGRAM)} {self.root}\r")
        until(lambda: terminal.shows("Ready"), 20, "ready")
        terminal.press("t")
        self.asked()
        until(lambda: terminal.shows("The rule says"), 20)
        terminal.press("c")
        self.asked(2)
        until(lambda: terminal.shows("Epoch 2 of"), 20)
        self._open_editor(terminal, shows)
        return terminal, process

    def noting(self, editor: str = "", shows: str = "EDITOR HERE True") -> tuple[Terminal, subprocess.Popen[bytes]]:
        """Open the editor on an observation, where nothing is trained."""
        terminal, process = self.spawn(
            [*PROGRAM, str(self.root)], EDITOR=editor or f"{PYTHON} {self.editor}", VISUAL=""
        )
        until(lambda: terminal.shows("All batches are trained"), 20, "read")
        self._open_editor(terminal, shows)
        return terminal, process

    @staticmethod
    def _open_editor(terminal: Terminal, shows: str) -> None:
        terminal.press("o")
        until(lambda: terminal.shows("$EDITOR"), 10)
        terminal.press("\x05")
        until(lambda: terminal.shows(shows), 20, f"the editor: {terminal.lines()}")


@pytest.fixture
def desk(workspace_factory: Callable[..., Path]) -> Iterator[Desk]:
    found = Desk(workspace_factory(rows=30, holdout=4, **SLOW))
    yield found
    found.close()


@pytest.fixture
def trained_desk(trained_workspace: Path, tmp_path: Path) -> Iterator[Desk]:
    found = Desk(copy_workspace(trained_workspace, tmp_path / "trained"))
    yield found
    found.close()


def modes() -> list[object]:
    fresh = Terminal()
    try:
        return fresh.attributes()
    finally:
        fresh.close()


def editors(desk: Desk) -> list[psutil.Process]:
    return [found for found in psutil.process_iter(["cmdline"]) if str(desk.editor) in (found.info["cmdline"] or [])]


def test_an_editor_has_the_terminal_and_its_keys(trained_desk: Desk) -> None:
    terminal, process = trained_desk.noting()
    terminal.press("hello\r")
    until(lambda: terminal.shows("read hello"))
    terminal.press("\x03")
    until(lambda: terminal.shows("INTERRUPTED"))
    terminal.resize(90, 35)
    until(lambda: terminal.shows("SIZE 90 35"))
    # no shell could continue this job, so it goes on at once
    terminal.press("\x1a")
    until(lambda: terminal.shows("CONTINUED"))
    terminal.press("more\r")
    until(lambda: terminal.shows("read more"))
    terminal.press("done\r")
    until(lambda: terminal.shows("hello") and terminal.shows("more") and terminal.shows("Keep"), 10, "the app is back")
    assert len([line for line in terminal.lines() if line.strip()]) > 20, "drawn at the new size"
    terminal.press("\x13")
    written = trained_desk.root / "logs" / "observations.md"
    until(lambda: written.exists() and "more" in written.read_text(), 20)
    assert process.poll() is None


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs a shell with job control")
def test_ctrl_z_in_the_editor_gives_the_prompt_and_fg_brings_it_back(desk: Desk) -> None:
    terminal, _process = desk.writing(shell="bash")
    pid = lock_holder(desk.workspace)
    terminal.press("\x1a")
    until(lambda: terminal.shows("Stopped"), 10)
    terminal.press("echo here\r")
    until(lambda: "here" in [line.strip() for line in terminal.lines()], 10, "the shell has the terminal")
    assert lock_holder(desk.workspace) == pid
    terminal.press("bg\r")
    until(lambda: terminal.shows("&"), 10)
    terminal.press("\r")
    until(lambda: sum("Stopped" in line for line in terminal.lines()) == 2, 10, "in the background it stops again")
    terminal.press("fg\r")
    until(lambda: terminal.shows("CONTINUED"), 10)
    terminal.press("hello\r")
    until(lambda: terminal.shows("read hello"))
    terminal.press("done\r")
    until(lambda: terminal.shows("hello") and terminal.shows("Keep"), 10)
    terminal.press("\x1b")
    until(lambda: not terminal.shows("Keep"), 10)
    terminal.press("q")
    until(lambda: terminal.shows("opeddev-tui shows it again"), 10)
    terminal.press("k")
    until(lambda: terminal.shows(f" in process {pid}: it ") and terminal.shows("PROMPT>"), 10)
    terminal.press("echo $?\r")
    until(lambda: "0" in [line.strip() for line in terminal.lines()], 10)


def test_the_terminal_is_closed_while_the_editor_has_it(desk: Desk) -> None:
    terminal, process = desk.writing()
    pid = lock_holder(desk.workspace)
    assert pid is not None
    terminal.close()
    process.wait(60)
    until(lambda: not editors(desk), 10, "no editor is left")
    assert not gone(pid)
    second, _ = desk.app()
    until(lambda: second.shows("Epoch 2 of"), 20)


def test_a_hang_up_signal_while_the_editor_has_the_terminal_ends_the_editor(desk: Desk) -> None:
    terminal, process = desk.writing()
    pid = lock_holder(desk.workspace)
    assert pid is not None
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 129
    assert not editors(desk)
    assert terminal.attributes() == modes()
    assert not gone(pid)


def test_the_app_is_killed_while_the_editor_has_the_terminal(desk: Desk) -> None:
    terminal, process = desk.writing()
    pid = lock_holder(desk.workspace)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert process.wait(60) == 137
    assert not editors(desk)
    assert terminal.attributes() == modes()


def test_a_signal_while_the_editor_has_the_terminal_saves_and_ends_both(desk: Desk) -> None:
    terminal, process = desk.writing()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    assert not editors(desk)
    assert terminal.attributes() == modes()


def test_the_owner_is_killed_while_the_editor_has_the_terminal(desk: Desk) -> None:
    terminal, process = desk.writing()
    pid = lock_holder(desk.workspace)
    assert pid is not None
    process.kill()
    process.wait(60)
    terminal.close()
    second, _ = desk.app()
    until(lambda: second.shows("Epoch 2 of"), 20)
    assert lock_holder(desk.workspace) == pid
    until(lambda: not editors(desk), 10)


@pytest.mark.skipif(shutil.which("vim") is None, reason="needs vim")
def test_vim(trained_desk: Desk) -> None:
    terminal, _process = trained_desk.noting("vim -u NONE -N", shows="note.md")
    terminal.press("ifrom vim")
    until(lambda: terminal.shows("from vim"))
    terminal.press("\x03")
    until(lambda: terminal.shows(":qa") or not terminal.shows("INSERT"), 10, "Ctrl+C is a key of vim")
    before = len(terminal.received)
    terminal.press("\x1b\x1a")
    # what is typed while vim gives the terminal away and takes it back would be lost
    until(lambda: b"from vim" in terminal.received[before:], 10, "vim goes on after Ctrl+Z")
    since = len(terminal.received)
    terminal.resize(120, 35)
    # it would draw over what it says before
    until(lambda: b"\x1b[34;1H~" in terminal.received[since:], 10, "vim fills the new size")
    terminal.press(":set columns?\r")
    until(lambda: terminal.shows("columns=120"), 10)
    terminal.press("\r:wq\r")
    until(lambda: terminal.shows("from vim") and terminal.shows("Keep"), 10)


@pytest.mark.skipif(shutil.which("nano") is None, reason="needs nano")
def test_nano(trained_desk: Desk) -> None:
    terminal, _process = trained_desk.noting("nano --ignorercfiles", shows="GNU nano")
    terminal.press("from nano")
    until(lambda: terminal.shows("from nano"))
    terminal.press("\x03")
    until(lambda: terminal.shows("col 10/10"), 10, f"Ctrl+C is a key of nano: {terminal.lines()}")
    terminal.press("\x0f")
    until(lambda: terminal.shows("File Name to Write"), 10)
    terminal.press("\r")
    until(lambda: terminal.shows("Wrote 1 line"), 10)
    terminal.press("\x18")
    until(lambda: terminal.shows("from nano") and terminal.shows("Keep"), 10)


def test_an_editor_that_does_not_exist_is_named(trained_desk: Desk) -> None:
    terminal, _process = trained_desk.noting("no-such-editor", shows="no-such-editor")
    assert terminal.shows("not found")


def test_a_pager_has_the_terminal_and_gives_it_back(desk: Desk) -> None:
    terminal, process = desk.spawn([*PROGRAM, str(desk.root)], PAGER=f"{PYTHON} {desk.editor}")
    until(lambda: terminal.shows("Ready"), 20, "ready")
    terminal.press("P")
    until(lambda: terminal.shows("EDITOR HERE True"), 20, "the pager")
    terminal.press("done\r")
    until(lambda: terminal.shows("Ready"), 10, "the app is back")
    assert process.poll() is None
