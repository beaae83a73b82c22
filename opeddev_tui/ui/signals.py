"""Owns SIGTERM and SIGINT while the app's process lives: save and leave at the first, leave at once at the second."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from types import FrameType

from opeddev_tui.ui.live import Live

NUMBERS = (signal.SIGINT, signal.SIGTERM)


class Received:
    """Which signal came first. The app looks at it and leaves once the training has ended."""

    def __init__(self, live: Live, restore: Callable[[], None]) -> None:
        self._live, self._restore = live, restore
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
            self._live.stop(signal.Signals(number).name)
            return
        try:
            self._restore()
        finally:
            _end_by(number)


def _end_by(number: int) -> None:
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


@contextlib.contextmanager
def received(live: Live, restore: Callable[[], None]) -> Iterator[Received]:
    """Take the signals for as long as the block lasts; ``restore`` gives the terminal back."""
    found = Received(live, restore)
    before = {number: signal.signal(number, found.handle) for number in NUMBERS}
    try:
        yield found
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
