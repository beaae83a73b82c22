"""Owns a process on a pseudo-terminal, seen as bytes: what it wrote, when, and keys for it. No emulator in the way."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from types import TracebackType


class Wire:
    """A process as the leader of a session on a terminal of ``size`` (columns, lines)."""

    def __init__(self, command: Sequence[str], size: tuple[int, int], **environment: str) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("4H", size[1], size[0], 0, 0))
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **environment},
        )
        os.close(slave)
        self.received = bytearray()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)

    def read(self, seconds: float) -> bool:
        """Take what comes within ``seconds``; False where nothing did."""
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:
            data = b""
        self.received += data
        return bool(data)

    def seen(self, word: bytes, seconds: float = 60.0, *, since: int = 0) -> float:
        """Return how many seconds after the start ``word`` came."""
        while word not in self.received[since:]:
            if time.perf_counter() - self.started > seconds or self.process.poll() is not None:
                raise AssertionError(f"{word!r} did not come: {bytes(self.received[-600:])!r}")
            self.read(0.5)
        return time.perf_counter() - self.started

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self.master, keys.encode())

    def time(self, keys: str, word: bytes) -> float:
        """Return the seconds between typing ``keys`` and the coming of ``word``."""
        since, pressed = len(self.received), time.perf_counter()
        self.press(keys)
        self.seen(word, pressed - self.started + 20, since=since)
        return time.perf_counter() - pressed

    def quiet(self, seconds: float) -> None:
        """Wait until nothing has come for ``seconds``, for at most ten times as long."""
        end = time.perf_counter() + seconds * 10
        while self.read(seconds) and time.perf_counter() < end:
            pass

    def until_exit(self, seconds: float) -> None:
        """Read until the process ends."""
        end = time.perf_counter() + seconds
        while self.process.poll() is None and time.perf_counter() < end:
            self.read(0.2)
