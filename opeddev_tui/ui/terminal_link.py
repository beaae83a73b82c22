"""Owns one terminal in use: its modes, writing that never blocks, and how its loss is noticed.

Everything runs on the event loop; no thread waits for a terminal. A terminal counts as lost when it hangs
up (EOF, EIO) or takes no byte for ``STALL_SECONDS``.
"""

import asyncio
import contextlib
import os
import select
import sys
import termios
import time
import tty as modes
from collections import deque
from collections.abc import Callable

from textual import constants

STALL_SECONDS = 5.0
# frames waiting beyond this are dropped and made good by one full repaint: a slow link shows the present, not the past
BACKLOG_BYTES = 64 * 1024
_READ_BYTES = 64 * 1024
_MOMENT_MILLISECONDS = 4
# how long a terminal that still answers may take to swallow the last bytes
_FAREWELL_SECONDS = 2.0

# the window's title put on its stack, alternate screen, hidden cursor, focus reports, bracketed paste, no line wrap
_ENTER = "\x1b[22;2t\x1b[?1049h\x1b[?25l\x1b[?1004h\x1b[?2004h\x1b[?7l"
_MOUSE = "\x1b[?1000h\x1b[?1003h\x1b[?1015h\x1b[?1006h"
# keys that tell Ctrl+I from Tab
_KITTY_KEYS = "\x1b[>25u"
# are synchronized output and in-band resize supported?
_QUESTIONS = "\x1b[?2026$p\x1b[?2048$p"
LEAVE = (
    "\x1b[?2026l\x1b[?2048l\x1b[?2004l\x1b[?7h\x1b[?1016l\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l"
    "\x1b[0m\x1b[<u\x1b[?1049l\x1b[?25h\x1b[?1004l\x1b[23;2t"
)
FAREWELL = (
    "\r\nopeddev-tui goes on without this terminal (process {pid}). "
    "Enter brings it back here; from elsewhere: opeddev-tui attach\r\n"
)


def first_terminal() -> int | None:
    """Return a descriptor of the terminal this process was started in, None if it has none."""
    for stream in (sys.__stdin__, sys.__stderr__, sys.__stdout__):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            if stream is not None and os.isatty(stream.fileno()):
                return stream.fileno()
    return None


def open_again(descriptor: int) -> int:
    """Return a descriptor of the same terminal with a file description of its own, non-blocking.

    O_NONBLOCK belongs to the description: set on the shared one it would also change the shell's.
    """
    flags = os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
    for path in (f"/proc/self/fd/{descriptor}", os.ttyname(descriptor)):
        with contextlib.suppress(OSError):
            return os.open(path, flags)
    # not ours to open again (su, another mount namespace): the shared description has to do
    return os.dup(descriptor)


def enter_sequence(*, mouse: bool) -> str:
    """Return what switches a terminal to the app's modes."""
    keys = "" if constants.DISABLE_KITTY_KEY else _KITTY_KEYS
    # Apple's terminal prints a part of the questions
    questions = "" if os.environ.get("TERM_PROGRAM") == "Apple_Terminal" else _QUESTIONS
    return _ENTER + (_MOUSE if mouse else "") + keys + questions


def size_of(descriptor: int) -> tuple[int, int]:
    """Return columns and lines of a terminal, 80 by 24 where it does not know."""
    try:
        columns, lines = os.get_terminal_size(descriptor)
    except OSError:
        return 80, 24
    return columns or 80, lines or 24


def raw_attributes(attributes: list[object]) -> list[object]:
    """Return terminal attributes with every key a key: no echo, no lines, no signals, no flow control."""
    changed = list(attributes)
    local, given = changed[modes.LFLAG], changed[modes.IFLAG]
    assert isinstance(local, int)
    assert isinstance(given, int)
    changed[modes.LFLAG] = local & ~(termios.ECHO | termios.ICANON | termios.IEXTEN | termios.ISIG)
    changed[modes.IFLAG] = given & ~(termios.IXON | termios.IXOFF | termios.ICRNL | termios.INLCR | termios.IGNCR)
    control = changed[modes.CC]
    assert isinstance(control, list)
    changed[modes.CC] = [*control]
    changed[modes.CC][termios.VMIN] = 1  # type: ignore[index]  # it is the list of the line above
    return changed


class Tty:
    """One terminal from taking it to giving it up."""

    def __init__(
        self,
        descriptor: int,
        *,
        on_input: Callable[[bytes], None],
        on_lost: Callable[["Tty", str], None],
        on_caught_up: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd = open_again(descriptor)
        self._on_input, self._on_lost, self._on_caught_up = on_input, on_lost, on_caught_up
        self._attributes: list[object] | None = None
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._behind = False
        self._progress_at = 0.0
        self._stall_check: asyncio.TimerHandle | None = None
        self._over = False

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        return size_of(self._fd)

    def take(self, *, mouse: bool) -> None:
        """Switch the terminal to the app's modes and listen to it."""
        try:
            self._attributes = termios.tcgetattr(self._fd)
            termios.tcsetattr(self._fd, termios.TCSANOW, raw_attributes(self._attributes))  # type: ignore[arg-type]
        except termios.error as error:
            self._lose(f"terminal modes: {error}")
            return
        self.write(enter_sequence(mouse=mouse))
        self._loop.add_reader(self._fd, self._read)

    def write(self, text: str) -> None:
        """Write what the terminal takes at once; the rest follows when it can."""
        if self._over:
            return
        if self._waiting_bytes > BACKLOG_BYTES:
            self._behind = True
            return
        data = text.encode("utf-8", "replace")
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if len(self._waiting) == 1:
            self._progress_at = time.monotonic()
            self._drain()

    def stop_reading(self) -> None:
        """Take no more input."""
        if not self._over:
            self._loop.remove_reader(self._fd)

    def give_up(self, farewell: str = "", *, stalled: bool = False) -> None:
        """Restore the terminal's modes as far as it lets us, and close it."""
        if self._over:
            return
        self._over = True
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        if self._stall_check is not None:
            self._stall_check.cancel()
        if stalled:
            # what nobody read yet is an old picture; without it there is room for the restoring bytes
            self._waiting.clear()
            with contextlib.suppress(termios.error):
                termios.tcflush(self._fd, termios.TCOFLUSH)
        self._waiting.append((LEAVE + farewell).encode())
        self._finish(0.05 if stalled else _FAREWELL_SECONDS)
        with contextlib.suppress(termios.error):
            termios.tcflush(self._fd, termios.TCIFLUSH)
        if self._attributes is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._fd, termios.TCSANOW, self._attributes)  # type: ignore[arg-type]
        os.close(self._fd)

    def _finish(self, seconds: float) -> None:
        """Write what waits, for at most ``seconds``."""
        end = time.monotonic() + seconds
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        while self._waiting and (left := end - time.monotonic()) > 0:
            if not poll.poll(left * 1000):
                return
            try:
                self._write_some()
            except BlockingIOError:
                continue
            except OSError:
                return

    def _write_some(self) -> None:
        data = self._waiting[0]
        written = os.write(self._fd, data)
        self._progress_at = time.monotonic()
        self._waiting_bytes = max(0, self._waiting_bytes - written)
        if written == len(data):
            self._waiting.popleft()
        else:
            self._waiting[0] = data[written:]

    def _drain(self) -> None:
        """Write until nothing waits or the terminal is full."""
        try:
            while self._waiting:
                try:
                    self._write_some()
                except BlockingIOError:
                    # one that reads along takes a whole frame, which is more than the kernel's buffer, in a moment
                    if self._stall_check is not None or not self._taken_soon():
                        raise
        except BlockingIOError:
            if self._stall_check is None:
                self._loop.add_writer(self._fd, self._drain)
                self._stall_check = self._loop.call_later(STALL_SECONDS, self._check_stall)
            return
        except OSError as error:
            self._lose(f"write: {os.strerror(error.errno or 0)}")
            return
        self._waiting_bytes = 0
        if self._stall_check is not None:
            self._stall_check.cancel()
            self._stall_check = None
            self._loop.remove_writer(self._fd)
        if self._behind:
            self._behind = False
            self._on_caught_up()

    def _taken_soon(self) -> bool:
        """Wait for a moment for a terminal that is about to read; False for one that is slow."""
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        return bool(poll.poll(_MOMENT_MILLISECONDS))

    def _check_stall(self) -> None:
        # the loop itself may have been busy all this time
        self._drain()
        if self._stall_check is None:
            return
        silent = time.monotonic() - self._progress_at
        if silent >= STALL_SECONDS:
            self._lose("the terminal stopped reading")
        else:
            self._stall_check = self._loop.call_later(STALL_SECONDS - silent, self._check_stall)

    def _read(self) -> None:
        try:
            data = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(f"read: {os.strerror(error.errno or 0)}")
            return
        if data:
            self._on_input(data)
        else:
            self._lose("the terminal was closed")

    def _lose(self, reason: str) -> None:
        """Report the loss. A hung-up descriptor is always ready: it must not be listened to any more."""
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._loop.call_soon(self._on_lost, self, reason)
