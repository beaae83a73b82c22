"""Follow the journal of a run and give a tracker what is new, until the training lets go.

A tracker that raises is begun again, later each time, and goes on from where it was: the journal waits for it.
"""

import copy
import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from opeddev_tui.reports.scalars import Scalar
from opeddev_tui.runs import events as ev
from opeddev_tui.runs import manifest as manifests
from opeddev_tui.runs.journal import JournalReader
from opeddev_tui.text import clean_line
from opeddev_tui.trackers.facts import Fact, News, NewsReader, described
from opeddev_tui.trackers.written import Written, WrittenFile

# seconds between two looks at the journal, and most between two tries of a tracker that failed
_LOOK_SECONDS = 1.0
_MOST_PAUSE_SECONDS = 60.0
# so many tries in a row are given to a tracker after the training has let go
_LAST_TRIES = 2


class Tracker(Protocol):
    """A tracker's own way to take a run. Everything may raise anything and take any time."""

    def start(self, run: str, known_id: str, facts: Mapping[str, str | int | float | bool]) -> str:
        """Begin the run, or go on with the one that the tracker knows as ``known_id``; return the tracker's id.

        Called again after every failure: what was open then may be of no use any more.
        """

    def write(self, figures: Sequence[Scalar], facts: Sequence[Fact]) -> None:
        """Take figures, in the order of their optimizer steps, and facts."""

    def end(self, status: str) -> None:
        """Close the run: it finished, failed, or was interrupted and may be resumed."""


class Follower:
    """Gives ``tracker`` the run in ``folder``; ``tell`` gets failures, ``ended`` is set when no more will come."""

    def __init__(
        self, folder: Path, name: str, tracker: Tracker, tell: Callable[[str], None], ended: threading.Event
    ) -> None:
        self._folder, self._tracker, self._tell, self._ended = folder, tracker, tell, ended
        self._journal, self._news = JournalReader(folder), NewsReader()
        self._file = WrittenFile(folder, name)
        self._written = Written()
        # read from the journal and not yet given: the rest of the journal waits on disk, however slow the tracker
        self._unwritten: News | None = None
        self._run: ev.RunStarted | None = None
        self._started = False
        self._status = "interrupted"

    def follow(self) -> bool:
        """Follow until ``ended``, then give what is left; return whether the tracker has everything."""
        while not self._file.held():
            # a process that followed an earlier attempt at this run is still writing
            if self._ended.wait(_LOOK_SECONDS):
                return False
        self._written = self._file.read()
        failures = 0
        while True:
            last = self._ended.is_set()
            try:
                self._give()
                if last:
                    self._tracker.end("interrupted" if self._status == "running" else self._status)
                    return True
                failures = 0
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a tracker may raise anything; it is tried again
                failures += 1
                self._started = False
                self._tell(reason_in_words(error))
                if last and failures >= _LAST_TRIES:
                    return False
            self._ended.wait(min(_LOOK_SECONDS * 2 ** min(failures, 10), _MOST_PAUSE_SECONDS) if not last else 0.0)

    def _give(self) -> None:
        """Give what the journal has of new; what could not be given is given again the next time."""
        if self._unwritten is None:
            events = self._journal.read_new()
            self._run = self._run or next((event for event in events if isinstance(event, ev.RunStarted)), None)
            self._unwritten = self._news.read(events)
            self._status = self._unwritten.status or self._status
        if self._run is not None and not self._started:
            told = described(self._run, manifests.read(self._folder / "manifest.json"))
            self._written.id = self._tracker.start(self._run.run, self._written.id, told)
            self._file.keep(self._written)
            self._started = True
        if self._started:
            self._write(self._unwritten)
        self._unwritten = None

    def _write(self, news: News) -> None:
        before = copy.deepcopy(self._written)
        figures, facts = self._written.new_figures(news.figures), self._written.new_facts(news.facts)
        if not figures and not facts:
            return
        self._file.keep(self._written)
        try:
            self._tracker.write(figures, facts)
        except BaseException:
            # the process lives, so it is known that this was not taken
            self._written = before
            self._file.keep(before)
            raise


# values of such variables are secrets; libraries put them into messages
_SECRET_NAME = re.compile(r"key|token|secret|passw|credential", re.IGNORECASE)
_FEWEST_SECRET_CHARS = 6


def reason_in_words(error: BaseException, environment: Mapping[str, str] | None = None) -> str:
    """Return the kind and the first line of ``error``, without secrets of the environment and of addresses."""
    text = str(error).strip().split("\n")[0]
    for name, value in (os.environ if environment is None else environment).items():
        if _SECRET_NAME.search(name) and len(value) >= _FEWEST_SECRET_CHARS:
            text = text.replace(value, "***")
    text = re.sub(r"(//)[^/\s@]+@", r"\1***@", text)
    return clean_line(f"{type(error).__name__}: {text}" if text else type(error).__name__, max_chars=300)
