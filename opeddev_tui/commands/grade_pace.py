"""Show how far a grading is and the time left, on standard error: a bar in a terminal, else a line now and then."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from opeddev_tui.commands.printing import CleanConsole
from opeddev_tui.format import duration

# seconds between two lines where no terminal shows a bar
_LINE_EVERY = 20.0


class Pace:
    """Counts what is done of ``total`` (None: nobody knows); ``words`` say what is done."""

    def __init__(self, words: str, total: int | None) -> None:
        self._words, self._total = words, total
        self._done = self._skipped = 0
        self._began = self._told = time.monotonic()
        console = CleanConsole(stderr=True)
        self._bar: Progress | None = None
        if console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=console, transient=True)
            self._task = self._bar.add_task(words, total=total)

    def __enter__(self) -> "Pace":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def add(self, count: int) -> None:
        """Count ``count`` more."""
        self._done += count
        now = time.monotonic()
        if self._bar is not None:
            self._bar.advance(self._task, count)
        elif now - self._told >= _LINE_EVERY:
            self._told = now
            print(self._line(now), file=sys.stderr, flush=True)

    def skip(self) -> None:
        """Count one that was done before."""
        self._skipped += 1
        if self._bar is not None:
            self._bar.advance(self._task, 1)

    def _line(self, now: float) -> str:
        took = max(1e-9, now - self._began)
        line = f"{self._words}: {self._done + self._skipped}"
        if self._total is None:
            return f"{line}, {self._done / took:.1f} per second"
        left = max(0, self._total - self._done - self._skipped) * took / max(1, self._done)
        return f"{line} of {self._total}, {self._done / took:.1f} per second, about {duration(left)} left"

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take the bar away while the block prints to the same terminal."""
        if self._bar is None or not sys.stdout.isatty():
            yield
            return
        self._bar.stop()
        try:
            yield
        finally:
            self._bar.start()
