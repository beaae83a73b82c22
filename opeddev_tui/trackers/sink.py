"""Start the processes of the trackers with a run, and let go of them at the end of the training.

A sink that holds nothing: each tracker reads the journal by itself. What goes wrong is logged, and the first failure of
each tracker is also a warning; a tracker that does not end in time is ended.
"""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from opeddev_tui.config.settings import Settings, Tracking
from opeddev_tui.files import open_file
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.bus import Guarded
from opeddev_tui.runs.events import Sink
from opeddev_tui.text import clean_line
from opeddev_tui.trackers.names import PACKAGES, missing
from opeddev_tui.workspace.paths import Workspace

_LOG = logging.getLogger(__name__)
# most characters of a line from a tracker's process
_MOST_LINE = 1000
# seconds that a process which was killed gets to be gone
_GONE_SECONDS = 2.0


def command(name: str, run: str, workspace: Workspace, settings: Tracking, last_seconds: float) -> list[str]:
    """Return the command line of the process that follows ``run`` for tracker ``name``.

    Once its standard input has ended, it gives itself ``last_seconds`` to take the rest of the journal.
    """
    return [
        *(sys.executable, "-P", "-m", "opeddev_tui.trackers.child", name, str(workspace.run_folder(run))),
        *(str(workspace.path(settings.folder)), settings.project, str(last_seconds)),
    ]


class _Process:
    """The process of one tracker for one run, and the thread that starts it and reads its output."""

    def __init__(self, words: list[str], workspace: Workspace, failed: Callable[[str], None]) -> None:
        self._words, self._workspace, self._failed = words, workspace, failed
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._let_go = self._killed = False
        self._thread = threading.Thread(target=self._attend, name="tracker", daemon=True)
        self._thread.start()

    def let_go(self) -> None:
        """Tell the process that nothing will follow: it gives the tracker the rest of the journal and ends."""
        with self._lock:
            self._let_go = True
            self._close_input()

    def _close_input(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def ended(self, seconds: float) -> bool:
        """Wait for its end for at most ``seconds``; return whether it has ended."""
        self._thread.join(max(0.0, seconds))
        return not self._thread.is_alive()

    def kill(self) -> None:
        """End the process and what it has started."""
        with self._lock:
            self._killed = True
            if self._process is not None and self._process.poll() is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)
        self._thread.join(_GONE_SECONDS)

    def _attend(self) -> None:
        try:
            said = self._run()
        except OSError as error:
            self._failed(f"its process could not be started: {error}")
            return
        if said is not None:
            self._failed(said)

    def _run(self) -> str | None:
        """Run the process to its end; return the warning that its end needs, None for none."""
        log = open_file(self._workspace.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            with self._lock:
                if self._killed:
                    return None
                process = self._process = subprocess.Popen(
                    self._words,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    # Ctrl+C is the training's to answer
                    start_new_session=True,
                    cwd=self._workspace.root,
                )
                if self._let_go:
                    # the training ended before this process began: it still takes the whole journal
                    self._close_input()
        finally:
            os.close(log)
        assert process.stdout is not None
        said = 0
        while line := process.stdout.readline(_MOST_LINE):
            said += 1
            self._failed(clean_line(line.decode(errors="replace").rstrip("\n")))
        code = process.wait()
        return None if code == 0 or said or self._killed else f"its process ended with exit code {code}"


class Trackers:
    """A sink that has every named tracker follow each run of this training."""

    def __init__(self, workspace: Workspace, settings: Settings, names: Sequence[str], sink: Sink) -> None:
        self._workspace, self._settings = workspace, settings.tracking
        self._failed = {name: _failures(name, Guarded(sink)) for name in names}
        self._run = ""
        self._processes: list[tuple[str, _Process]] = []

    def emit(self, event: ev.AnyEvent) -> None:
        """Start the trackers' processes with a run; the run before is over for them."""
        # a resumed run shows its past again: the processes that follow it are there
        if not isinstance(event, ev.RunStarted) or event.run == self._run:
            return
        self._let_go()
        self._run = event.run
        for name, failed in self._failed.items():
            words = command(name, event.run, self._workspace, self._settings, self._settings.flush_seconds)
            self._processes.append((name, _Process(words, self._workspace, failed)))

    def _let_go(self) -> None:
        for _, process in self._processes:
            process.let_go()

    def close(self) -> None:
        """Let the trackers take what is left, for at most ``tracking.flush_seconds`` in all; end those that do not."""
        self._let_go()
        end = time.monotonic() + self._settings.flush_seconds
        for name, process in self._processes:
            if not process.ended(end - time.monotonic()):
                process.kill()
                self._failed[name](
                    f"it had not taken everything after {self._settings.flush_seconds:g} seconds and was ended; "
                    f"opeddev-tui export-logs --tracker {name} gives it the rest"
                )


def _failures(name: str, sink: Sink) -> Callable[[str], None]:
    """Return a handler of one tracker's failures: each is logged, the first is also a warning to ``sink``."""
    shown = threading.Event()

    def failed(reason: str) -> None:
        _LOG.warning("tracker %s: %s", name, reason)
        if not shown.is_set():
            shown.set()
            reason = reason.rstrip(".")
            sink.emit(
                ev.Warned(
                    message=f"{PACKAGES[name].words} did not take all of this run ({reason}). The training is not "
                    "touched by that; further failures are only in train.log."
                )
            )

    return failed


@contextlib.contextmanager
def with_trackers(sink: Sink, workspace: Workspace, settings: Settings) -> Iterator[Sink | None]:
    """Yield a sink for the trackers that the settings name, None where there are none to be had.

    A tracker that is not installed is a warning to ``sink``.
    """
    wanted = list(dict.fromkeys(settings.tracking.trackers))
    absent = {name: words for name in wanted if (words := missing(name))}
    for words in absent.values():
        _LOG.warning("%s", words)
        sink.emit(ev.Warned(message=f"{words} The training goes on without it."))
    names = [name for name in wanted if name not in absent]
    if not names:
        yield None
        return
    with contextlib.closing(Trackers(workspace, settings, names, sink)) as trackers:
        yield trackers
