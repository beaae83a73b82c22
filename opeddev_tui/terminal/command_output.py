"""Write what commands print: filtered, and never the reason why a command ends.

A command's text passes the filter for text from outside. A reader that has gone (``| head``, a closed terminal) or a
full disk is noted once; the command goes on and its exit code keeps its meaning. A training also never waits for a
reader: a thread writes, and what cannot be written goes to the training's log. Must not be used by the app, which owns
its terminal.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import select
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from opeddev_tui.errors import StorageProblem
from opeddev_tui.files import storage_errors, storage_problem
from opeddev_tui.text import clean

# bytes that may wait for a slow reader of a training's output; what comes beyond them goes to the log alone
_MOST_WAITING = 256 * 1024
# seconds for which the end of a training waits for its reader
_LAST_SECONDS = 2.0
_STYLES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class Output(io.TextIOBase):
    """One standard stream of a command; ``print`` and all others that write here are filtered.

    ``unfiltered`` is the same place for a console that has cleaned its text and adds colours.
    """

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream, self._name = stream, name
        self._descriptor = _descriptor_of(stream)
        self.unfiltered = _Unfiltered(self)
        # why the output was lost, and whether a training went on without it
        self.lost: OSError | None = None
        self.outlived = False
        self._log: int | None = None
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._writer: threading.Thread | None = None

    def write(self, text: str) -> int:
        """Write ``text``, filtered."""
        self.put(clean(text, max_chars=len(text)))
        return len(text)

    def put(self, text: str) -> None:
        """Write ``text`` as it is; never raises for a reader that has gone."""
        data = text.encode(self.encoding, "replace")
        with self._changed:
            if self.lost is not None:
                self._keep_in_log(data)
            elif self._writer is None:
                self._write(data)
            elif self._waiting_bytes > _MOST_WAITING:
                self._keep_in_log(data)
            else:
                self._waiting.append(data)
                self._waiting_bytes += len(data)
                self._changed.notify_all()

    def _write(self, data: bytes) -> None:
        try:
            if self._descriptor is None:
                self._stream.write(data.decode(self.encoding))
                return
            while data:
                data = data[_write_some(self._descriptor, data) :]
        except OSError as error:
            self.lose(error)
            self._keep_in_log(data)

    def lose(self, error: OSError) -> None:
        """Write here no more. Python and its libraries find the log, or nothing, behind the descriptor."""
        with self._changed:
            if self.lost is not None:
                return
            self.lost = error
            self._keep_in_log(f"{self._name} is lost ({error.strerror}); what follows would be there.\n".encode())
            if self._descriptor is not None:
                place = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC) if self._log is None else os.dup(self._log)
                os.dup2(place, self._descriptor)
                os.close(place)
            for data in self._waiting:
                self._keep_in_log(data)
            self._waiting.clear()
            self._changed.notify_all()

    def _keep_in_log(self, data: bytes) -> None:
        if self._log is not None:
            # a log on a full disk: there is nowhere left to say so
            with contextlib.suppress(OSError):
                os.write(self._log, _STYLES.sub("", data.decode(self.encoding, "replace")).encode())

    # --- the training's output

    def outlive(self, log: int) -> None:
        """From now on nobody waits for the reader, and what cannot be written goes to the descriptor ``log``."""
        self._log, self.outlived = log, True
        if self._descriptor is not None:
            self._writer = threading.Thread(target=self._write_all, name=self._name, daemon=True)
            self._writer.start()

    def _write_all(self) -> None:
        assert self._descriptor is not None
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self.lost is not None or self._writer is None)
                if not self._waiting:
                    return
                data = self._waiting[0]
            try:
                written = _write_some(self._descriptor, data)
            except OSError as error:
                self.lose(error)
                return
            with self._changed:
                if self.lost is not None:
                    return
                self._waiting_bytes -= written
                self._waiting[0] = data[written:]
                if written == len(data):
                    self._waiting.popleft()
                self._changed.notify_all()

    def settle(self) -> None:
        """Wait a moment for a slow reader, then write at once again; what cannot be written still goes to the log."""
        with self._changed:
            if self._writer is not None:
                if not self._changed.wait_for(lambda: not self._waiting or self.lost is not None, _LAST_SECONDS):
                    self.lose(OSError(errno.EAGAIN, "nobody reads"))
                self._writer = None
                self._changed.notify_all()

    def end(self) -> None:
        """Forget the log: the command has ended."""
        if self._log is not None:
            os.close(self._log)
            self._log = None

    # --- what callers ask of a stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the stream behind."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def fileno(self) -> int:
        """Return the descriptor; raises ``OSError`` where the stream has none."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """Return whether a terminal shows this."""
        return self.lost is None and self._stream.isatty()

    def writable(self) -> bool:
        """Return True: it takes everything."""
        return True

    def flush(self) -> None:
        """Flush the stream behind; everything with a descriptor is written at once."""
        if self._descriptor is None:
            self._stream.flush()

    @property
    def buffer(self) -> Any:
        """The binary stream behind."""
        return self._stream.buffer


class _Unfiltered(io.TextIOBase):
    """The way past the filter, for a console that has cleaned its text."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def write(self, text: str) -> int:
        self._output.put(text)
        return len(text)

    def flush(self) -> None:
        self._output.flush()

    def isatty(self) -> bool:
        return self._output.isatty()

    def fileno(self) -> int:
        return self._output.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._output.encoding


def _write_some(descriptor: int, data: bytes) -> int:
    """Write what is taken; another process may have made the shared descriptor non-blocking."""
    while True:
        try:
            return os.write(descriptor, data)
        except BlockingIOError:
            select.select([], [descriptor], [])


def _descriptor_of(stream: TextIO) -> int | None:
    try:
        stream.flush()
        return stream.fileno()
    except (OSError, ValueError, AttributeError):
        return None


def open_standard_descriptors() -> None:
    """Put /dev/null where 0, 1 or 2 was closed at the start: else the next file opened there gets stray output."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            nothing = os.open(os.devnull, os.O_RDWR)
            if nothing != number:
                os.dup2(nothing, number)
                os.close(nothing)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 - lives as long as the process


@contextlib.contextmanager
def filtered() -> Iterator[Output]:
    """Put the filter on ``sys.stdout`` and ``sys.stderr`` inside the block; give the first."""
    before = sys.stdout, sys.stderr
    output, errors = Output(before[0], "the output"), Output(before[1], "the error output")
    sys.stdout, sys.stderr = output, errors
    try:
        yield output
    finally:
        sys.stdout, sys.stderr = before
        output.end()
        errors.end()


def write_problem(output: Output) -> StorageProblem | None:
    """Return why a command's output could not be written; None where it was, or where nobody wants it any more.

    What a training could not print is in its log, which is no failure.
    """
    error = output.lost
    if error is None or output.outlived or error.errno in (errno.EPIPE, errno.EIO, errno.EBADF, errno.EAGAIN):
        return None
    return storage_problem(OSError(error.errno, error.strerror), "the output")


@contextlib.contextmanager
def outlived(log: Path) -> Iterator[Callable[[], None]]:
    """Let a training inside the block outlive the readers of its output; the rest of it goes to ``log``.

    Gives a function to call when the terminal has hung up.
    """
    streams = [stream for stream in (sys.stdout, sys.stderr) if isinstance(stream, Output)]
    with storage_errors(log):
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    for stream in streams:
        stream.outlive(os.dup(descriptor))
    os.close(descriptor)

    def hung_up() -> None:
        for stream in streams:
            if stream.isatty():
                stream.lose(OSError(errno.EIO, "the terminal was closed"))

    try:
        yield hung_up
    finally:
        for stream in streams:
            stream.settle()
