"""A terminal that may be lost: the app is told once, nothing waits, nothing runs idle.

A terminal counts as lost when it hangs up (a signal, EOF, EIO) or takes no byte for ``STALL_SECONDS``. Everything runs
on the event loop: keys need no thread, and a terminal that does not read holds nobody up.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import termios
import time
from collections import deque
from collections.abc import Callable

from textual.message import Message

from opeddev_tui.terminal.own_session import open_again

STALL_SECONDS = 5.0
# frames waiting beyond this are dropped and made good by one full repaint: a slow link shows the present, not the past
BACKLOG_BYTES = 64 * 1024
_READ_BYTES = 64 * 1024
_MOMENT_MILLISECONDS = 4
# how long a terminal that still reads may take to swallow the last bytes
_FAREWELL_SECONDS = 2.0


class TerminalLost(Message):
    """There is no terminal any more."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class TerminalUnknown(Message):
    """The terminal did not take everything that was written, so its content is unknown."""


class Tty:
    """One terminal, read and written without waiting; ``on_lost`` is called once with the reason."""

    def __init__(self, descriptor: int, on_input: Callable[[bytes], None], tell: Callable[[Message], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd = open_again(descriptor)
        self._on_input, self._tell = on_input, tell
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._behind = self._lost = self._closing = False
        self._progress_at = 0.0
        self._stall_check: asyncio.TimerHandle | None = None

    def listen(self) -> None:
        """Begin to read."""
        if not self._lost:
            self._loop.add_reader(self._fd, self._read)

    def stop_reading(self) -> None:
        """Take no more input; whatever is written from now on restores the terminal, so nothing of it is dropped."""
        self._closing = True
        self._loop.remove_reader(self._fd)

    def write(self, text: str) -> None:
        """Write what the terminal takes at once; the rest follows when it can."""
        if self._waiting_bytes > BACKLOG_BYTES and not self._closing:
            self._behind = True
            return
        data = text.encode("utf-8", "replace")
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if len(self._waiting) == 1 and not self._lost:
            self._progress_at = time.monotonic()
            self._drain()

    def lose(self, reason: str) -> None:
        """Stop using the terminal but for its last bytes; stop polling too, for a hung-up terminal is always ready."""
        if self._lost:
            return
        self._lost = True
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        # what nobody read yet is an old picture; without it there is room for the bytes that restore the terminal
        self._waiting.clear()
        self._waiting_bytes = 0
        with contextlib.suppress(termios.error):
            termios.tcflush(self._fd, termios.TCOFLUSH)
        self._tell(TerminalLost(reason))

    def close(self) -> None:
        """Write what waits for as long as the terminal takes it, and close it."""
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        if self._stall_check is not None:
            self._stall_check.cancel()
        end = time.monotonic() + (0.05 if self._lost else _FAREWELL_SECONDS)
        with contextlib.suppress(OSError):
            while self._waiting and self._takes(max(0.0, end - time.monotonic())):
                with contextlib.suppress(BlockingIOError):
                    self._write_some()
        os.close(self._fd)

    def _takes(self, seconds: float) -> bool:
        """Wait for a terminal that is about to read; False for one that does not."""
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        return bool(poll.poll(seconds * 1000))

    def _write_some(self) -> None:
        data = self._waiting[0]
        written = os.write(self._fd, data)
        self._progress_at = time.monotonic()
        self._waiting_bytes -= written
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
                    if self._stall_check is not None or not self._takes(_MOMENT_MILLISECONDS / 1000):
                        raise
        except BlockingIOError:
            if self._stall_check is None:
                self._loop.add_writer(self._fd, self._drain)
                self._stall_check = self._loop.call_later(STALL_SECONDS, self._check_stall)
            return
        except OSError as error:
            self.lose(f"write: {os.strerror(error.errno or 0)}")
            return
        if self._stall_check is not None:
            self._stall_check.cancel()
            self._stall_check = None
            self._loop.remove_writer(self._fd)
        if self._behind:
            self._behind = False
            self._tell(TerminalUnknown())

    def _check_stall(self) -> None:
        # the loop itself may have been busy all this time
        self._drain()
        if self._stall_check is None or self._lost:
            return
        silent = time.monotonic() - self._progress_at
        if silent >= STALL_SECONDS:
            self.lose("the terminal stopped reading")
        else:
            self._stall_check = self._loop.call_later(STALL_SECONDS - silent, self._check_stall)

    def _read(self) -> None:
        try:
            data = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self.lose(f"read: {os.strerror(error.errno or 0)}")
            return
        if data:
            self._on_input(data)
        else:
            self.lose("the terminal was closed")
