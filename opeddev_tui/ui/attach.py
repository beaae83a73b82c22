"""Owns the client of a running app: lends it this terminal, tells it about size changes, and gets the terminal back."""

import contextlib
import os
import signal
import socket
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from opeddev_tui.errors import Problem, TrainingProblem
from opeddev_tui.ui.handover import HELLO, RESIZED, connect, peer
from opeddev_tui.ui.terminal_link import LEAVE


def attach(socket_path: Path) -> int:
    """Show the app that listens at ``socket_path`` in this terminal; return its exit code when it lets go.

    Whatever happens, this terminal is restored. Raises ``Problem`` where there is nothing to attach or no terminal.
    """
    with _terminal() as terminal, _restored(terminal) as outcome, _connected(socket_path) as connection:
        server, _uid = peer(connection)
        outcome.clean = False
        with _signals(connection):
            socket.send_fds(connection, [HELLO], [terminal])
            answer = _answer(connection)
        outcome.clean = answer is not None
    if answer is None:
        print(f"The app (process {server}) ended or refused this terminal without a word.", file=sys.stderr)
        return 1
    code, reason = answer
    if code or reason != "the app has ended":
        print(f"opeddev-tui: {reason}.", file=sys.stderr)
    return code


class _Outcome:
    """Whether the terminal's screen is in order: not lent, or restored by the app itself."""

    clean = True


class _Ended(Exception):
    """This client was told to end."""


@contextlib.contextmanager
def _terminal() -> Iterator[int]:
    """Give the descriptor of this process's terminal."""
    stream = next((number for number in (0, 1, 2) if os.isatty(number)), None)
    if stream is None:
        raise Problem("attaching needs a terminal.", cure="Run it in one, or look at: opeddev-tui status.")
    yield stream


@contextlib.contextmanager
def _restored(terminal: int) -> Iterator[_Outcome]:
    """Bring the terminal back to what it was."""
    attributes = termios.tcgetattr(terminal)
    outcome = _Outcome()
    try:
        yield outcome
    finally:
        with contextlib.suppress(termios.error, OSError):
            termios.tcsetattr(terminal, termios.TCSANOW, attributes)
            if not outcome.clean:
                os.write(terminal, LEAVE.encode())


@contextlib.contextmanager
def _connected(socket_path: Path) -> Iterator[socket.socket]:
    """Give a connection to the app, making sure that it is one of this user's."""
    try:
        connection = connect(socket_path)
    except OSError as error:
        raise TrainingProblem(
            "no app with a running training can be reached here.",
            where=str(socket_path),
            cure="See what runs with: opeddev-tui status.",
        ) from error
    with connection:
        if peer(connection)[1] != os.getuid():
            raise TrainingProblem("belongs to another user: the terminal was not handed over.", where=str(socket_path))
        yield connection


@contextlib.contextmanager
def _signals(connection: socket.socket) -> Iterator[None]:
    """Pass size changes on; Ctrl+C is a key of the app; being ended gives the terminal back first."""

    def resized(_number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(OSError):
            connection.send(RESIZED)

    def ended(_number: int, _frame: FrameType | None) -> None:
        raise _Ended

    wanted: dict[signal.Signals, Callable[[int, FrameType | None], None] | signal.Handlers] = {
        signal.SIGWINCH: resized,
        signal.SIGINT: signal.SIG_IGN,
        signal.SIGTSTP: signal.SIG_IGN,
        signal.SIGTERM: ended,
        signal.SIGHUP: ended,
    }
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _answer(connection: socket.socket) -> tuple[int, str] | None:
    """Wait for the app to let go: its exit code and reason, None if it said nothing."""
    words = b""
    try:
        while not words.endswith(b"\n"):
            part = connection.recv(4096)
            if not part:
                return None
            words += part
    except _Ended:
        return _withdraw(connection)
    except OSError:
        return None
    return _read_bye(words)


def _withdraw(connection: socket.socket) -> tuple[int, str]:
    """Ask for the terminal back and give the app a moment to restore it."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(2.0)
        connection.recv(4096)
    return 1, "this client gave the terminal back, the app goes on"


def _read_bye(words: bytes) -> tuple[int, str] | None:
    kind, _space, rest = words.decode("utf-8", "replace").strip().partition(" ")
    code, _space, reason = rest.partition(" ")
    if kind != "bye" or not code.lstrip("-").isdigit():
        return None
    return int(code), reason
