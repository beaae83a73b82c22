"""SIGTERM and SIGINT of a process that trains: save and leave at the first, leave at once at the second.

SIGHUP says that the terminal was closed, which ends no training but one that a launcher has started.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from types import FrameType

NUMBERS = (signal.SIGINT, signal.SIGTERM)


class Received:
    """Which signal came first."""

    def __init__(self, stop: Callable[[str], object], restore: Callable[[], object]) -> None:
        self._stop, self._restore = stop, restore
        self._owner = os.getpid()
        self.number: int | None = None

    @property
    def exit_code(self) -> int | None:
        """What a shell shows for a process that this signal ended."""
        return None if self.number is None else 128 + self.number

    @property
    def name(self) -> str:
        """The signal's name, empty if none came."""
        return "" if self.number is None else signal.Signals(self.number).name

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Ask the training to save and end; a second signal ends the process with the terminal restored."""
        if os.getpid() != self._owner:
            _end_by(number)  # a process forked from here: none of this is its business
        if self.number is None:
            self.number = number
            self._stop(signal.Signals(number).name)
            return
        try:
            self._restore()
        finally:
            _end_by(number)


def _end_by(number: int) -> None:
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _nothing() -> None:
    """There is no screen to give back."""


@contextlib.contextmanager
def received(
    stop: Callable[[str], object], restore: Callable[[], object] = _nothing, *, hangup: bool = False
) -> Iterator[Received]:
    """Take the signals for as long as the block lasts.

    Args:
        stop: asks the training to save and end; it is given the signal's name.
        restore: gives the terminal back before a second signal ends the process.
        hangup: take SIGHUP too.
    """
    found = Received(stop, restore)
    numbers = (*NUMBERS, signal.SIGHUP) if hangup else NUMBERS
    before = {number: signal.signal(number, found.handle) for number in numbers}
    try:
        yield found
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def outliving_hangup(hung_up: Callable[[], object]) -> Iterator[None]:
    """Call ``hung_up`` where SIGHUP would end the process; one that was started to ignore it (nohup) still does."""
    before = signal.getsignal(signal.SIGHUP)
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: hung_up())
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
