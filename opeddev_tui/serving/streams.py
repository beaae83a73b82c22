"""A stream that other programs write while it is read: lines as they come, and whether another one is there already.

It is read as UTF-8, whatever encoding the mark at its beginning tells.
"""

import codecs
import os
import re
import select
from collections.abc import Callable
from typing import BinaryIO

from opeddev_tui.data.byte_order import is_cut_mark, wide_encoding
from opeddev_tui.errors import DataProblem

_CHUNK = 1 << 16
# how long a writer may take between two lines that are answered together: nothing beside what a model takes for one
_TOGETHER_MS = 10
# how often whoever waits is asked whether to go on waiting
_ASK_MS = 200
_NOT_BLANK = re.compile(rb"\S")


class Stream:
    """Bytes of ``file``. ``on_wait`` is called again and again while nothing comes, and may raise to end the waiting.

    Something without a descriptor never has to be waited for. Reading raises ``DataProblem`` for damaged UTF-16.
    """

    def __init__(self, file: BinaryIO, on_wait: Callable[[], None]) -> None:
        self._on_wait = on_wait
        self._kept = bytearray()
        # how many bytes of it are known to hold no end of a line
        self._scanned = 0
        self._ended = False
        # what came so far, while it does not tell the encoding; then what decodes the rest, if it is none of UTF-8
        self._start: bytes | None = b""
        self._wide = ""
        self._decoder: codecs.IncrementalDecoder | None = None
        self._descriptor = _descriptor_of(file)
        if self._descriptor is None:
            self._ended = True
            self._add(file.read())
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
        """Return whether the next line, or ``size`` bytes of it, or the end is there without waiting for a writer.

        Blank lines do not count: nobody waits for an answer to one.
        """
        while not self._has_line() and len(self._kept) < size and not self._ended:
            if not self._poll.poll(_TOGETHER_MS):
                return False
            self._take()
        return True

    def _has_line(self) -> bool:
        first = _NOT_BLANK.search(self._kept)
        return first is not None and self._kept.find(b"\n", first.start()) >= 0

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
        self._add(more)

    def _add(self, more: bytes) -> None:
        """Keep ``more``, as UTF-8."""
        if self._start is not None:
            more = self._start + more
            if is_cut_mark(more) and not self._ended:
                self._start = more
                return
            self._start = None
            if wide := wide_encoding(more):
                self._wide, self._decoder = wide, codecs.getincrementaldecoder(wide)()
        if self._decoder is not None:
            try:
                more = self._decoder.decode(more, self._ended).encode()
            except UnicodeDecodeError:
                message = f"it is damaged {self._wide.upper()} text."
                raise DataProblem(message, cure="Save it again, as UTF-8.") from None
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
