"""Let only the app write to the terminal: everything else that the process prints goes to a log file.

Libraries print from Python, from C and from child processes, some through streams they kept from before the
app began. So it is file descriptors 1 and 2 that are turned to the log, and the app gets a private one.
"""

import contextlib
import os
import signal
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from opeddev_tui.files import open_file, storage_errors
from opeddev_tui.terminal.own_session import write_now


class OutputGuard:
    """Fds 1 and 2 on a log, the terminal on a private descriptor."""

    def __init__(self, log_path: Path) -> None:
        self.log = _open_log(log_path)
        self._saved = {number: os.dup(number) for number in (1, 2) if _is_open(number)}
        self._streams = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
        self.terminal = self._private_terminal()

    def _private_terminal(self) -> TextIO:
        """Return a stream on the terminal; without a terminal, on the log."""
        number = next((number for number in (2, 1, 0) if _is_open(number) and os.isatty(number)), None)
        descriptor = os.dup(self.log.fileno() if number is None else number)
        return _stream(descriptor, line_buffering=False)

    def turn(self) -> None:
        """Turn fds 1 and 2 to the log; Textual finds the terminal in ``sys.__stderr__``."""
        _flush()
        for number in (1, 2):
            os.dup2(self.log.fileno(), number)
        # both at once: mypy knows these names as final, and Textual reads them when a driver starts
        setattr(sys, "__stdout__", self.terminal)  # noqa: B010
        setattr(sys, "__stderr__", self.terminal)  # noqa: B010

    def redirect_python_output(self) -> None:
        """From the running app (on_mount): Python's streams to the log, the ones Textual put in place included."""
        for name in ("stdout", "stderr", "__stdout__", "__stderr__"):
            setattr(sys, name, self.log)

    def tell(self, text: str) -> None:
        """Write a sentence to the terminal when the app has left it; one that has gone or stalled hears nothing."""
        if self.terminal.isatty():
            write_now(self.terminal.fileno(), text)

    def leave_terminal(self) -> None:
        """Use the terminal no more, however long this process lives: what waits for it to be closed can go on."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with contextlib.suppress(OSError):
            self.terminal.close()
        for saved in self._saved.values():
            os.close(saved)
        self._saved.clear()
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.close(nothing)

    def restore(self) -> None:
        """Give fds 1 and 2 and the streams back. A terminal that has gone stays replaced by the log."""
        _flush()
        for number, saved in self._saved.items():
            if _alive(saved):
                os.dup2(saved, number)
            os.close(saved)
        for name, stream in zip(("stdout", "stderr", "__stdout__", "__stderr__"), self._streams, strict=True):
            setattr(sys, name, stream)
        with contextlib.suppress(OSError):
            self.terminal.close()
        # the log stays open: loggers and progress bars may hold it, and fds 1 and 2 may be it


@contextlib.contextmanager
def output_guard(log_path: Path) -> Iterator[OutputGuard]:
    """Keep every stray byte off the screen while the app runs; nothing is lost, it is in ``log_path``.

    Enter it before the app is made and call ``redirect_python_output()`` of what it gives in ``on_mount``.
    Raises ``StorageProblem`` where the log cannot be written.
    """
    guard = OutputGuard(log_path)
    guard.turn()
    try:
        yield guard
    finally:
        guard.restore()


def _open_log(path: Path) -> TextIO:
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = open_file(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    return _stream(descriptor, line_buffering=True)


def _stream(descriptor: int, *, line_buffering: bool) -> TextIO:
    os.set_inheritable(descriptor, False)
    file = open(descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="", buffering=-1)  # noqa: SIM115 - lives as long as the guard
    file.reconfigure(line_buffering=line_buffering)
    return file


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _alive(descriptor: int) -> bool:
    """Return whether a descriptor can still be written: a terminal that hung up cannot."""
    if not os.isatty(descriptor):
        # isatty is False for a hung-up terminal as well; then its name is still one of a terminal
        with contextlib.suppress(OSError):
            return not os.readlink(f"/proc/self/fd/{descriptor}").startswith(("/dev/pts/", "/dev/tty"))
        return True
    try:
        termios.tcgetattr(descriptor)
    except termios.error:
        return False
    return True


def _flush() -> None:
    """Empty Python's buffers and C's, each to where it belongs at this moment."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    # the libraries that write through C's buffers load it; the app opens without it
    ctypes = sys.modules.get("ctypes")
    if ctypes is None:
        return
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).fflush(None)
