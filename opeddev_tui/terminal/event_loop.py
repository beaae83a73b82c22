"""Run the screen's event loop beside a training: Python goes to the screen first, until its picture is drawn.

One thread at a time runs Python. A thread that waits for its turn asks the other one to let go after the *switch
interval*, one number for both. Before the screen waits for something to do the number is small, so that it gets its
turn soon afterwards; while it draws the number is large, so that the training does not interrupt a picture every
moment. What the training waits for is the length of a picture, a few milliseconds.
"""

from __future__ import annotations

import asyncio
import selectors
import sys

# seconds: what the screen waits before it asks for its turn, and how long it is left in peace then
ASKS_AFTER = 0.0002
DRAWS_FOR = 0.002


class _Turns(selectors.DefaultSelector):
    """Waits for something to do, as an event loop does between its callbacks."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait; the thread's turn ends with the wait and comes back soon after it."""
        sys.setswitchinterval(ASKS_AFTER)
        try:
            return super().select(timeout)
        finally:
            sys.setswitchinterval(DRAWS_FOR)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return an event loop for the screen's thread."""
    return asyncio.SelectorEventLoop(_Turns())
