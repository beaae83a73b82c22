"""What all background tasks of the app share: they run beside the screen, and a problem is shown instead of raised.

Knows no screen: results are handed to whoever asked.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from opeddev_tui.errors import Problem
from opeddev_tui.ui.shell import Shell


class TaskBase:
    """Runs coroutines that read or write a disk in threads."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def _go(self, work: Coroutine[Any, Any, None], group: str, *, exclusive: bool) -> None:
        """Begin ``work``; where ``exclusive``, it replaces what still runs in ``group``."""
        self._shell.run_worker(self._guarded(work), group=group, exclusive=exclusive)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """Show a problem with the disk instead of ending the app."""
        try:
            await work
        except Problem as problem:
            self._shell.tell(str(problem), severity="error")
        except OSError as error:
            self._shell.tell(f"{error.filename or 'A file'}: {error.strerror or error}", severity="error")
