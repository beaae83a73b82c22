"""The app's terminal may close, stall, be killed or change; the process and its worker thread go on."""

import contextlib
import os
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pty_tools import CLIENT, PYTHON, TRAINING_APP, Counter, Terminal, end, until

from opeddev_tui.ui.handover import HELLO


class Lab:
    """Terminals and processes of one test, ended with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.counter = Counter(folder / "state")
        self.socket = folder / "attach.sock"
        self._terminals: list[Terminal] = []
        self._processes: list[subprocess.Popen[bytes]] = []

    def terminal(self, columns: int = 80, lines: int = 24) -> Terminal:
        self._terminals.append(Terminal(columns, lines))
        return self._terminals[-1]

    def start(self, terminal: Terminal, *arguments: str) -> subprocess.Popen[bytes]:
        process = terminal.spawn([PYTHON, "-c", TRAINING_APP, str(self.folder), *arguments])
        self._processes.append(process)
        until(lambda: terminal.shows("step "), 20, "the app is up")
        until(lambda: self.counter.steps > 0, 20)
        return process

    def attach(self, columns: int = 120, lines: int = 40, shows: str = "") -> tuple[Terminal, subprocess.Popen[bytes]]:
        terminal = self.terminal(columns, lines)
        client = terminal.spawn([PYTHON, "-c", CLIENT, str(self.socket)])
        self._processes.append(client)
        until(lambda: terminal.shows(shows or f"size {columns}x{lines}"), 10, "the app is in the new terminal")
        return terminal, client

    def news(self) -> str:
        path = self.folder / "news"
        return path.read_text() if path.exists() else ""

    def heard(self, text: str, seconds: float = 10) -> None:
        until(lambda: text in self.news(), seconds, f"{text!r} in {self.news()!r}")

    def close(self) -> None:
        for process in self._processes:
            end(process)
        for terminal in self._terminals:
            terminal.close()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path)
    yield lab
    lab.close()


def test_closed_terminal_then_attach_at_another_size(lab: Lab) -> None:
    first = lab.terminal()
    process = lab.start(first)
    first.press("typed")
    until(lambda: first.shows("typed"))
    first.close()
    lab.heard("headless")
    lab.counter.moves_on()
    terminal, client = lab.attach(120, 40)
    assert terminal.shows("typed")
    assert process.poll() is None
    terminal.resize(70, 20)
    until(lambda: terminal.shows("size 70x20") and terminal.shows("typed"))
    # Ctrl+C is a key there, not a signal to the client
    terminal.press("\x03\x05")
    # one key for the whole line: five backspaces may be seen half done
    terminal.press("\x15")
    until(lambda: not terminal.shows("typed"))
    terminal.press("7\r")
    assert process.wait(60) == 7, lab.news()
    assert client.wait(60) == 7
    assert not lab.socket.exists()


def test_terminal_that_stops_reading(lab: Lab) -> None:
    first = lab.terminal()
    process = lab.start(first, "loud")
    first.stop_reading()
    lab.heard("headless: the terminal stopped reading", 15)
    lab.counter.moves_on()
    terminal, _client = lab.attach(100, 30)
    until(lambda: terminal.shows("step "))
    # the first one wakes up: it is in order, and Enter brings the app back
    first.read_on()
    until(lambda: first.shows("goes on without this terminal"))
    first.press("\n")
    until(lambda: first.shows("size 80x24"))
    until(lambda: terminal.shows("the first terminal took over"))
    assert process.poll() is None


def test_hang_up_signal_restores_a_living_terminal(lab: Lab) -> None:
    first = lab.terminal()
    before = first.attributes()
    process = lab.start(first)
    assert first.attributes() != before
    process.send_signal(signal.SIGHUP)
    until(lambda: first.shows("Enter brings it back"))
    until(lambda: first.attributes() == before)
    first.press("\n")
    until(lambda: first.shows("size 80x24"))
    assert first.attributes() != before
    # a lone escape is told from a sequence by time
    first.press("\x1b")
    lab.heard("key: escape")


def test_started_without_a_terminal(lab: Lab) -> None:
    argv = [PYTHON, "-c", TRAINING_APP, str(lab.folder), "detached"]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        lab.heard("headless: started without a terminal")
        # longer than the one layout it makes for itself
        until(lambda: lab.counter.steps > 150)
        terminal, client = lab.attach(90, 25)
        until(lambda: terminal.shows("line "))
        terminal.press("3\r")
        assert process.wait(60) == 3
        assert client.wait(60) == 3
        until(lambda: "ECHO" not in str(terminal.attributes()) and terminal.shows("the app has ended"))
    finally:
        end(process)


def test_killed_client_and_question_while_away(lab: Lab) -> None:
    first = lab.terminal()
    process = lab.start(first)
    terminal, client = lab.attach()
    until(lambda: first.shows("goes on without this terminal"))
    raw = terminal.attributes()
    terminal.press("\x1bOQ")
    client.kill()
    lab.heard("headless: the attached terminal is gone")
    until(lambda: terminal.attributes() != raw)
    lab.counter.moves_on()
    # the question came while nobody looked, and the size is the same as before
    second, polite = lab.attach(120, 40, shows="continue or stop?")
    before_end = second.attributes()
    polite.terminate()
    assert polite.wait(60) == 1
    until(lambda: second.attributes() != before_end)
    until(lambda: second.shows("gave the terminal back"))
    lab.counter.moves_on()
    assert process.poll() is None


def test_another_client_takes_over(lab: Lab) -> None:
    lab.start(lab.terminal())
    terminal, client = lab.attach(100, 30)
    second, _client = lab.attach(60, 20)
    assert client.wait(60) == 0
    until(lambda: terminal.shows("another terminal took over"))
    assert second.shows("size 60x20")


def test_strangers_are_ignored(lab: Lab) -> None:
    lab.start(lab.terminal())
    assert stat.S_IMODE(lab.socket.stat().st_mode) == 0o600
    silent = socket.socket(socket.AF_UNIX)
    silent.connect(str(lab.socket))
    file = os.open(os.devnull, os.O_RDWR)
    for words, descriptors in ((b"\x00" * 4000, []), (HELLO, []), (HELLO, [file]), (b"x", [file, file]), (b"", [])):
        stranger = socket.socket(socket.AF_UNIX)
        stranger.settimeout(5)
        stranger.connect(str(lab.socket))
        if words:
            socket.send_fds(stranger, [words], descriptors)
        else:
            stranger.shutdown(socket.SHUT_WR)
        # unread junk makes it a reset
        with contextlib.suppress(ConnectionResetError):
            assert stranger.recv(10) == b""
        stranger.close()
    os.close(file)
    assert "headless" not in lab.news()
    lab.counter.moves_on()
    lab.attach(100, 30)
    silent.settimeout(5)
    assert silent.recv(1) == b""
    silent.close()


def test_workspace_path_too_long_for_a_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    lab = Lab(deep)
    try:
        process = lab.start(lab.terminal())
        assert lab.socket.is_symlink()
        place = lab.socket.readlink().parent
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
        terminal, _client = lab.attach(100, 30)
        terminal.press("0\r")
        assert process.wait(60) == 0
        assert not lab.socket.is_symlink()
        assert not place.exists()
    finally:
        lab.close()


def test_attach_says_what_is_missing(tmp_path: Path) -> None:
    terminal = Terminal(80, 24)
    script = "import sys\ntry: attach(Path(sys.argv[1]))\nexcept Exception as e: print(type(e).__name__, e)"
    client = terminal.spawn([PYTHON, "-c", CLIENT.rsplit(";", 1)[0] + "\n" + script, str(tmp_path / "none")])
    until(lambda: terminal.shows("no app with a running training"))
    assert client.wait(60) == 0
    terminal.close()
    process = subprocess.run(
        [PYTHON, "-c", CLIENT, str(tmp_path / "none")], stdin=subprocess.DEVNULL, capture_output=True, timeout=120
    )
    assert b"attaching needs a terminal" in process.stderr


EDITOR = """
import signal
signal.signal(signal.SIGINT, lambda *_: print("INTERRUPTED", flush=True))
print("EDITOR HERE", flush=True)
while (line := input()) != "done":
    print("read", line, flush=True)
"""


def _lent(lab: Lab, terminal: Terminal) -> None:
    (lab.folder / "editor.py").write_text(EDITOR)
    terminal.press("\x1bOR")
    until(lambda: terminal.shows("EDITOR HERE"))


def test_an_editor_has_the_terminal_and_its_keys_while_the_training_goes_on(lab: Lab) -> None:
    terminal = lab.terminal()
    process = lab.start(terminal)
    _lent(lab, terminal)
    lab.counter.moves_on()
    terminal.press("hello\n")
    until(lambda: terminal.shows("read hello"))
    terminal.press("\x03")
    until(lambda: terminal.shows("INTERRUPTED"))
    terminal.press("done\n")
    until(lambda: terminal.shows("size 80x24"), what="the app is back")
    terminal.press("back")
    until(lambda: terminal.shows("back"))
    assert process.poll() is None
    assert "headless" not in lab.news()


def test_an_editor_whose_terminal_hangs_up_leaves_an_app_that_can_be_attached_to(lab: Lab) -> None:
    terminal = lab.terminal()
    process = lab.start(terminal)
    _lent(lab, terminal)
    terminal.close()
    lab.heard("headless")
    lab.attach(100, 30)
    assert process.poll() is None


def test_another_terminal_can_take_the_app_while_an_editor_has_the_first_one(lab: Lab) -> None:
    terminal = lab.terminal()
    lab.start(terminal)
    _lent(lab, terminal)
    other, _ = lab.attach(100, 30)
    terminal.press("mine\n")
    until(lambda: terminal.shows("read mine"), what="the editor has its keys")
    assert other.shows("size 100x30")
    terminal.press("done\n")
    lab.counter.moves_on()
    other.press("typed")
    until(lambda: other.shows("typed"))
    # Enter in the first terminal brings the app back there, as after any other terminal
    terminal.press("\r")
    until(lambda: terminal.shows("size 80x24"))
