"""Owns what tests need to be a terminal: a real pty, a screen that understands what is written, keys to press."""

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable

import pyte

# pyte would print the ends of these instead of ignoring them
_UNKNOWN_TO_PYTE = re.compile(rb"\x1b\[(?:>\d+u|<u|\?\d+\$p|>4;\d+m|\?\d+m|>c)")


# how much longer than on an idle machine a test waits before it fails: others may use the cores
PATIENCE = 6.0


def until(condition: Callable[[], object], seconds: float = 10.0, what: str = "") -> None:
    """Wait for a condition, fail after ``seconds``, taken as those of an idle machine."""
    end = time.monotonic() + seconds * PATIENCE
    while not condition():
        assert time.monotonic() < end, f"not within {seconds * PATIENCE} s: {what or condition}"
        time.sleep(0.02)


class Terminal:
    """A terminal emulator on a real pty. It reads unless it is told not to."""

    def __init__(self, columns: int = 80, lines: int = 24) -> None:
        self.master, self.slave = pty.openpty()
        # the reading thread feeds the screen while tests look at it and change its size
        self._lock = threading.Lock()
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self._reads = threading.Event()
        self._reads.set()
        self._over = False
        self.received = bytearray()
        self.resize(columns, lines)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def spawn(self, argv: list[str], **environment: str) -> subprocess.Popen[bytes]:
        """Start a process as the leader of a session whose terminal this is."""
        slave = self.slave

        def control() -> None:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        env = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **environment}
        process = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, preexec_fn=control, env=env
        )
        os.close(self.slave)
        self.slave = -1
        return process

    def resize(self, columns: int, lines: int) -> None:
        """Change the size, which the kernel tells the foreground process."""
        with self._lock:
            self.screen.resize(lines, columns)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("4H", lines, columns, 0, 0))

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self.master, keys.encode())

    def stop_reading(self) -> None:
        """Be a terminal behind a dead connection."""
        self._reads.clear()

    def read_on(self) -> None:
        """Read again."""
        self._reads.set()

    def attributes(self) -> list[object]:
        """Return the terminal modes (not the size)."""
        return termios.tcgetattr(self.master)

    def lines(self) -> list[str]:
        """Return what is on the screen."""
        with self._lock:
            columns = range(self.screen.columns)
            rows = [self.screen.buffer[line] for line in range(self.screen.lines)]
            # the second half of a wide letter is empty; pyte's own ``display`` fails where only the first was replaced
            return ["".join(row[column].data for column in columns) for row in rows]

    def cells(self) -> list[tuple[object, ...]]:
        """Return every cell of the screen, with its style."""
        with self._lock:
            columns, lines = range(self.screen.columns), range(self.screen.lines)
            return [tuple(self.screen.buffer[line][column] for column in columns) for line in lines]

    def reversed_cells(self) -> list[int]:
        """Return how many cells of each line are shown reversed."""
        with self._lock:
            return [sum(cell.reverse for cell in line.values()) for line in self.screen.buffer.values()]

    def is_reversed(self, line: int, column: int) -> bool:
        """Return whether a cell is shown reversed."""
        with self._lock:
            return bool(self.screen.buffer[line][column].reverse)

    def shows(self, text: str) -> bool:
        """Return whether ``text`` is on the screen."""
        return any(text in line for line in self.lines())

    def close(self) -> None:
        """Hang up."""
        if self._over:
            return
        self._over = True
        self._reads.set()
        self._thread.join(2)
        os.close(self.master)
        if self.slave >= 0:
            os.close(self.slave)

    def _read(self) -> None:
        while not self._over:
            self._reads.wait()
            ready, _, _ = select.select([self.master], [], [], 0.05)
            if not ready or not self._reads.is_set():
                continue
            try:
                data = os.read(self.master, 65536)
            except OSError:
                # the other side hung up; another process may still open it
                time.sleep(0.02)
                continue
            self.received += data
            # pyte has no alternate screen: leaving it shows an empty one
            with self._lock:
                self._stream.feed(_UNKNOWN_TO_PYTE.sub(b"", data.replace(b"\x1b[?1049l", b"\x1b[2J\x1b[H")))


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that a test started."""
    if process.poll() is None:
        process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(5)


PYTHON = sys.executable
