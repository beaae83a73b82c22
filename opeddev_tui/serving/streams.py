"""A stream that other programs write while it is read: lines as they come, and whether another one is there already."""

import os
import select
from collections.abc import Callable
from typing import BinaryIO

_CHUNK = 1 << 16
# how long a writer may take between two lines that are answered together: nothing beside what a model takes for one
_TOGETHER_MS = 10
# how often whoever waits is asked whether to go on waiting
_ASK_MS = 200


class Stream:
    """Bytes of ``file``. ``on_wait`` is called again and again while nothing comes, and may raise to end the waiting.

    Something without a descriptor never has to be waited for.
    """

    def __init__(self, file: BinaryIO, on_wait: Callable[[], None]) -> None:
        self._on_wait = on_wait
        self._kept = bytearray()
        # how many bytes of it are known to hold no end of a line
        self._scanned = 0
        self._ended = False
        self._descriptor = _descriptor_of(file)
        if self._descriptor is None:
            self._kept += file.read()
            self._ended = True
        else:
            self._poll = select.poll()
            self._poll.register(self._descriptor, select.POLLIN)

    def readline(self, size: int) -> bytes:
        """Return the next line, at most ``size`` bytes of it; empty at the end."""
        while not (end := self._end_of_line()) and len(self._kept) < size and not self._ended:
            self._take()
        return self._cut(min(end or len(self._kept), size))

    def read(self, size: int) -> bytes:
        """Return everything up to the end, at most ``size`` bytes of it."""
        while len(self._kept) < size and not self._ended:
            self._take()
        return self._cut(size)

    def ready(self, size: int) -> bool:
        """Return whether the next line, or ``size`` bytes of it, or the end is there without waiting for a writer."""
        while not self._end_of_line() and len(self._kept) < size and not self._ended:
            if not self._poll.poll(_TOGETHER_MS):
                return False
            self._take()
        return True

    def _end_of_line(self) -> int:
        """Return how long the next line is with its end, 0 where that is not there yet."""
        end = self._kept.find(b"\n", self._scanned) + 1
        if not end:
            self._scanned = len(self._kept)
        return end

    def _take(self) -> None:
        """Wait for more, or for the end."""
        while not self._poll.poll(_ASK_MS):
            self._on_wait()
        try:
            more = os.read(self._descriptor or 0, _CHUNK)
        except BlockingIOError:
            return  # another reader of the same pipe was faster
        self._ended = not more
        self._kept += more

    def _cut(self, size: int) -> bytes:
        cut = bytes(self._kept[:size])
        del self._kept[:size]
        self._scanned = 0
        return cut


def _descriptor_of(file: BinaryIO) -> int | None:
    try:
        return file.fileno()
    except (OSError, AttributeError):
        return None
