"""Base of all background tasks: they run beside the screen, and a problem is shown instead of raised.

They know no screen: a result is handed to the function that a caller gave, on the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from opeddev_tui.errors import Problem
from opeddev_tui.ui.shell import Shell, Work

T = TypeVar("T")


def ignore(_result: object) -> None:
    """Do nothing with a result."""


def nothing() -> None:
    """Do nothing."""


class TaskBase:
    """Runs functions that read or write a disk in worker threads."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def _in_thread(
        self,
        group: str,
        work: Callable[[], T],
        done: Callable[[T], None] = ignore,
        ended: Callable[[], None] = nothing,
        *,
        exclusive: bool = False,
    ) -> None:
        """Call ``work`` in a thread and hand its result to ``done``; ``ended`` and ``exclusive`` as in ``_go``."""

        async def run() -> None:
            done(await asyncio.to_thread(work))

        self._go(run, group, ended, exclusive=exclusive)

    def _go(self, work: Work, group: str, ended: Callable[[], None] = nothing, *, exclusive: bool) -> None:
        """Run ``work`` on the event loop, then call ``ended``, whether it had a problem or not.

        Where ``exclusive``, it replaces what still runs in ``group``. What was replaced, or broken off as the app is
        left, does not call ``ended``: the newer one does, or nothing is there any more that could show it. ``work`` is
        called when it begins: an app that is left before then has no coroutine that nobody awaited.
        """
        self._shell.run_worker(partial(self._guarded, work, ended), group=group, exclusive=exclusive)

    async def _guarded(self, work: Work, ended: Callable[[], None]) -> None:
        """Show a problem with the disk instead of ending the app."""
        try:
            await work()
        except Problem as problem:
            self._shell.tell(str(problem), severity="error")
        except OSError as error:
            self._shell.tell(f"{error.filename or 'A file'}: {error.strerror or error}", severity="error")
        ended()
