"""Owns what the screen knows: the run on show, the live training, what was chosen. Knows no widget.

All of it belongs to the UI thread. Reading a disk happens elsewhere (``provider``) and is handed in.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from opeddev_tui import events as ev
from opeddev_tui.config import LoadedSettings
from opeddev_tui.control import AnyCommand, Decide, Pause, Resume, SampleNow, SaveNow, StepRequest, Stop
from opeddev_tui.observations import whats_next
from opeddev_tui.state import RunState
from opeddev_tui.ui.guard import Guard
from opeddev_tui.ui.live import Live, in_words
from opeddev_tui.ui.offers import Situation
from opeddev_tui.ui.provider import inventory
from opeddev_tui.ui.scan import Scan
from opeddev_tui.ui.situation import situation
from opeddev_tui.ui.view import RunRow, View, Whose

Send = Callable[[str, AnyCommand], None]


class Session:
    """The state behind the screens. ``send`` hands a command to a training in another process."""

    def __init__(self, root: Path | None, loaded: LoadedSettings, live: Live, send: Send, *, read_only: bool) -> None:
        self.root = root
        self.loaded = loaded
        self.live = live
        self.read_only = read_only
        # read only because another process has the screen of the training here
        self.viewing = False
        self.has_workspace = root is not None
        self.guard = Guard(loaded.settings.ui.guard_ms / 1000, loaded.settings.ui.undo_seconds)
        self.current = RunState()
        self.current_run = ""
        self.whose: Whose = "none"
        self.old: RunRow | None = None
        self.starting = False
        self.preparing = ""
        self.trouble = ""
        self.rows: tuple[RunRow, ...] = ()
        self.scan: Scan | None = None
        self.requested: dict[str, str] = {}
        self.started_at = 0.0
        self._send = send

    @property
    def state(self) -> RunState:
        """The run on show."""
        return self.old.state if self.old is not None else self.current

    @property
    def run(self) -> str:
        """The id of the run on show."""
        return self.old.run if self.old is not None else self.current_run

    def apply(self, events: Sequence[ev.AnyEvent]) -> None:
        """Take events of the live run into account."""
        for event in events:
            if isinstance(event, ev.RunStarted):
                self.current, self.current_run, self.starting = RunState(), event.run, False
            if self.starting:
                # said before there is a run: it does not belong to the one on show
                self._prepare(event)
                continue
            if isinstance(event, ev.CheckpointSaved):
                self.requested.pop("save", None)
            if isinstance(event, ev.SamplesGenerated):
                self.requested.pop("sample", None)
            self.current.apply(event)

    def _prepare(self, event: ev.AnyEvent) -> None:
        if isinstance(event, ev.PhaseChanged):
            self.preparing = f"{event.phase} {event.detail}"

    def drain(self) -> list[ev.AnyEvent]:
        """Apply what the training of this process has told and return it."""
        events = self.live.queue.drain()
        if events:
            self.whose = "mine"
            self.apply(events)
        return events

    def settle(self) -> BaseException | None:
        """Take note of a training that has ended; return what it raised."""
        outcome = self.live.take_outcome()
        if outcome is None:
            return None
        self.starting, self.whose = False, "none"
        self.requested.clear()
        if isinstance(outcome, BaseException):
            self.trouble = in_words(outcome)
            return outcome
        return None

    def start(self, start: StepRequest) -> bool:
        """Begin to train in this process; False where that means nothing."""
        if self.root is None or self.live.running or self.read_only:
            return False
        self.trouble, self.preparing, self.starting, self.old = "", "", True, None
        self.started_at = time.time()
        self.live.start(self.root, self.loaded, start)
        self.whose = "mine"
        return True

    def view(self) -> View:
        """Return what the screens show now, and take note of what the bar asks."""
        scan = self.scan or Scan()
        view = View(
            state=self.state,
            run=self.run,
            workspace=str(self.root or Path.cwd()),
            has_workspace=self.has_workspace,
            whose=self.whose,
            starting=self.starting,
            preparing=self.preparing,
            afterwards=self.live.afterwards,
            replay=self.old is not None,
            read_only=self.read_only,
            viewing=self.viewing,
            trouble=self.trouble if self.old is None else "",
            previous=self._previous(),
            batches=inventory(scan.rows, [row.state for row in reversed(self.rows) if row.run != self.current_run]
                              + [self.current]),
            comes_next=whats_next(self.state, self.loaded.settings),
            problems=scan.problems,
            warnings=scan.warnings,
            holdout=scan.holdout,
            scanned=self.scan is not None,
            stall_seconds=self.loaded.settings.ui.stall_seconds,
            smoothing=self.loaded.settings.ui.smoothing,
            grades=(self.loaded.settings.grading.minimum, self.loaded.settings.grading.maximum),
            chosen=self.guard.chosen,
            requested=tuple(self.requested.values()),
            now=time.time(),
            clock=time.monotonic(),
        )  # fmt: skip
        self.guard.see(situation(view).question, view.clock)
        return view

    def _previous(self) -> tuple[RunState, ...]:
        """Return the newest finished run of every earlier step."""
        started = self.state.started
        if started is None:
            return ()
        newest: dict[int, RunState] = {}
        for row in reversed(self.rows):
            other = row.state.started
            if other is not None and other.step < started.step and row.state.epochs and not other.repeats:
                newest[other.step] = row.state
        return tuple(newest[step] for step in sorted(newest))

    def situation(self) -> Situation:
        """Return what the bar says now."""
        return situation(self.view())

    def decide(self, choice: ev.Choice) -> bool:
        """Hold an answer to the open question; False where the key does not count."""
        found, question = self.situation(), self.current.question
        if not found.offers_action(f"decide('{choice}')") or question is None:
            return False
        offer = next(item for item in found.offers if item.action == f"decide('{choice}')")
        command = Decide(epoch=question.epoch, choice=choice)
        return self.guard.choose(command, f"{offer.label}: {offer.effect}", time.monotonic())

    def stop_now(self) -> bool:
        """Hold a stop of the running training; False where the key does not count."""
        if not self.situation().offers_action("stop_now"):
            return False
        return self.guard.choose(Stop(), "Stop: save and end, resumable", time.monotonic())

    def undo(self) -> bool:
        """Take back what was chosen."""
        return self.guard.undo(time.monotonic())

    def send_due(self) -> AnyCommand | None:
        """Hand over a choice whose time has come; return it."""
        command = self.guard.take_due(time.monotonic())
        if command is not None:
            self.request(command)
        return command

    def ask(self, action: str) -> bool:
        """Pause, sample or save now; False where the key does not count."""
        if not self.situation().offers_action(action) or not self.guard.accepts(time.monotonic()):
            return False
        if action == "pause":
            self.request(Resume() if self.current.status == "paused" else Pause())
            return True
        if action in self.requested:
            return False
        self.requested[action] = _ASKED[action]
        self.request(SampleNow() if action == "sample" else SaveNow())
        return True

    def request(self, command: AnyCommand) -> None:
        """Hand a command to whoever trains."""
        if self.whose == "other":
            self._send(self.current_run, command)
        else:
            self.live.request(command)


_ASKED = {"sample": "samples asked for", "save": "save asked for"}
