"""State behind the screens: the run on show, who trains, the choice on its way. Knows no widget.

It belongs to the UI thread and reads no disk: ``tasks`` read it in worker threads and hand the results in.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from opeddev_tui.config.loading import LoadedSettings
from opeddev_tui.demo.about import is_demo
from opeddev_tui.errors import BusyProblem
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.control import Adjust, AnyCommand, Decide, Pause, Resume, SampleNow, SaveNow, StepRequest, Stop
from opeddev_tui.runs.groups import Undecided
from opeddev_tui.runs.history import status_of
from opeddev_tui.runs.state import RunState
from opeddev_tui.ui.keymap import Keymap
from opeddev_tui.ui.state.data_scan import Scan
from opeddev_tui.ui.state.guard import Guard
from opeddev_tui.ui.state.inventory import inventory
from opeddev_tui.ui.state.plan_text import plan_of, whats_next
from opeddev_tui.ui.state.situation_text import STOPPING, situation
from opeddev_tui.ui.state.training_thread import TrainingThread, in_words
from opeddev_tui.ui.state.view import Refused, RunRow, TrainedBy, View, Watched
from opeddev_tui.workspace.setup import workspaces_below

if TYPE_CHECKING:
    from opeddev_tui.models.outlook import Outlook

Send = Callable[[str, AnyCommand], None]
# seconds for which the status line says what went well
TELL_SECONDS = 6.0
# workspaces that are offered where there is none: a key for each
_MOST_NEAR = 9


class AppState:
    """The state behind the screens. ``send(run, command)`` hands a command to a training in another process."""

    def __init__(
        self, root: Path | None, loaded: LoadedSettings, live: TrainingThread, send: Send, *, read_only: bool
    ) -> None:
        self.root = root
        self.loaded = loaded
        self.live = live
        self.read_only = read_only
        self.keymap = Keymap()
        self.has_workspace = root is not None
        self.near = () if root is not None else tuple(found.name for found in workspaces_below(Path.cwd())[:_MOST_NEAR])
        self.guard = Guard(loaded.settings.ui.guard_ms / 1000, loaded.settings.ui.undo_seconds)
        self.current = RunState()
        self.current_run = ""
        self.trained_by: TrainedBy = "none"
        self.old: RunRow | None = None
        # preparing: what, and since when (Unix seconds)
        self.starting, self.preparing, self.preparing_at = False, "", 0.0
        self.trouble = ""
        self.rows: tuple[RunRow, ...] = ()
        # seeds of which none is chosen, by step
        self.undecided: Mapping[int, Undecided] = {}
        self.scan: Scan | None = None
        # what is known of the run that a training would go on with
        self.refused = Refused()
        # of the model that would be trained, once it was looked at
        self.outlook: Outlook | None = None
        self.requested: dict[str, str] = {}
        # lines that were typed as commands, the newest last
        self.typed: list[str] = []
        # what a person has typed into a dialog that was closed before it was kept, by what it is about
        self.drafts: dict[str, str] = {}
        self.details: bool | None = None  # whether lists show the selected row in full; None: where there is room
        # what the app's own file had for the settings that were saved last, None where nothing
        self.saved_before: Mapping[str, Any] = {}
        self.started_at = 0.0
        # the epoch whose question was answered last on this screen
        self.answered: int | None = None
        # what the status line says, and until when (monotonic seconds)
        self._told = ("", 0.0)
        # the view that was drawn last
        self.shown = View()
        self._send = send
        # commands for a training in another process that has no run yet, and therefore no mailbox
        self._held: list[AnyCommand] = []

    @property
    def state(self) -> RunState:
        """The run on show."""
        return self.old.state if self.old is not None else self.current

    @property
    def run(self) -> str:
        """The id of the run on show."""
        return self.old.run if self.old is not None else self.current_run

    @property
    def answer_given(self) -> bool:
        """True where the open question was answered on this screen, and the training has not taken it yet."""
        return self.current.question is not None and self.current.question.epoch == self.answered

    def tell(self, text: str) -> None:
        """Have the status line say ``text`` for some seconds."""
        self._told = text, time.monotonic() + TELL_SECONDS

    def apply(self, events: Sequence[ev.AnyEvent]) -> None:
        """Apply events of the live run."""
        for event in events:
            if isinstance(event, ev.RunStarted):
                self.current, self.current_run, self.starting = RunState(), event.run, False
            if self.starting:
                # there is no run yet: this does not belong to the one on show
                if isinstance(event, ev.PhaseChanged):
                    self.preparing, self.preparing_at = f"{event.phase} {event.detail}", event.at
                continue
            if isinstance(event, ev.CheckpointSaved):
                self.requested.pop("save", None)
            if isinstance(event, ev.SamplesGenerated):
                self.requested.pop("sample", None)
            if isinstance(event, _ENDS):
                self.requested.pop("stop", None)
            if isinstance(event, ev.CommandTaken):
                self.requested.pop(_REQUESTED.get(event.command, ""), None)
            self.current.apply(event)

    def watch(self, watched: Watched, events: Sequence[ev.AnyEvent] = ()) -> bool:
        """Apply what is known of a training in another process and its new events; return whether anything changed."""
        starting = watched.starting and not events
        before = self.trained_by, self.starting, self.preparing
        self.trained_by, self.starting, self.preparing = watched.trained_by, starting, watched.preparing
        if self.preparing != before[2]:
            self.preparing_at = time.time()
        changed = bool(events) or before != (self.trained_by, self.starting, self.preparing)
        if watched.streaming is not None and watched.streaming != self.current.streaming:
            self.current.apply(watched.streaming)
            changed = True
        # after the streaming texts: the journal may have the finished ones
        self.apply(events)
        if not starting:
            held, self._held = self._held, []
            for command in held:
                self.request(command)
        return changed

    def drain(self) -> list[ev.AnyEvent]:
        """Apply and return the events of this process's training."""
        events = self.live.queue.drain()
        if events:
            self.trained_by = "mine"
            self.apply(events)
        return events

    def settle(self) -> BaseException | None:
        """Apply the end of this process's training, if it has ended; return what it raised.

        A start that was refused because another process is at work here is no failure: there is no ``trouble`` then.
        """
        outcome = self.live.take_outcome()
        if outcome is None:
            return None
        refused = self.starting and isinstance(outcome, BusyProblem)
        self.starting, self.trained_by = False, "none"
        self.requested.clear()
        if not isinstance(outcome, BaseException):
            return None
        self.trouble = "" if refused else in_words(outcome)
        return outcome

    def start(self, start: StepRequest) -> bool:
        """Begin to train in this process; return False where that is not possible, or another process trains."""
        if self.root is None or self.live.running or self.read_only or self.trained_by == "other":
            return False
        self.trouble, self.preparing, self.starting, self.old = "", "", True, None
        self.started_at = self.preparing_at = time.time()
        self.live.start(self.root, self.loaded, start)
        self.trained_by = "mine"
        return True

    def all_runs(self) -> tuple[RunRow, ...]:
        """Return all runs, newest first, the newest one as it is now: the list on disk was read before."""
        others = tuple(row for row in self.rows if row.run != self.current_run)
        if self.current.started is None:
            return others
        status = status_of(self.current, alive=self._trains_current)
        return (RunRow(self.current_run, self.current, status), *others)

    @property
    def _trains_current(self) -> bool:
        """True where a process trains the newest run; one that is about to resume it does not yet."""
        return self.trained_by != "none" and not self.starting

    def view(self) -> View:
        """Return what the screens show now, with its situation."""
        scan, paths = self.scan or Scan(), self.loaded.settings.paths
        view = View(
            state=self.state,
            run=self.run,
            workspace=str(self.root or Path.cwd()),
            has_workspace=self.has_workspace,
            near=self.near,
            demo=is_demo(self.loaded.settings),
            trained_by=self.trained_by,
            starting=self.starting,
            preparing=self.preparing,
            preparing_at=self.preparing_at,
            folders=(paths.base, paths.holdout, paths.increments),
            example_row=scan.example_row,
            afterwards=self.live.afterwards,
            replay=self.old is not None,
            read_only=self.read_only,
            trouble=self.trouble if self.old is None else "",
            previous=self._previous(),
            batches=inventory(scan.rows, [row.state for row in reversed(self.rows) if row.run != self.current_run]
                              + [self.current], alive=self._trains_current, starting=self.starting,
                              undecided=self.undecided),
            plan=plan_of(self.loaded.settings, self.outlook, first=not any(row.state.finished for row in self.rows),
                         chosen_rate=self.current.next_step.learning_rate if self.current.next_step else None),
            comes_next=whats_next(self.state, self.loaded.settings),
            problems=scan.problems,
            refused=self.refused,
            warnings=(*scan.warnings, *filter(None, [self._other_holdouts()])),
            holdout=scan.holdout,
            scanned=self.scan is not None,
            stall_seconds=self.loaded.settings.ui.stall_seconds,
            smoothing=self.loaded.settings.ui.smoothing,
            grades=(self.loaded.settings.grading.minimum, self.loaded.settings.grading.maximum),
            keymap=self.keymap,
            chosen=self.guard.chosen,
            requested=tuple(self.requested.values()),
            told=self._told[0] if time.monotonic() < self._told[1] else "",
            now=time.time(),
            clock=time.monotonic(),
        )  # fmt: skip
        return replace(view, situation=situation(view))

    def seen(self, view: View) -> None:
        """Keep the view that is drawn: keys are meant for the actions in its bar."""
        self.shown = view
        dropped = self.guard.see(view.situation.question, view.clock)
        if dropped is not None:
            self.tell(f"Not done, because something else is asked now: {dropped.text}")

    def _previous(self) -> tuple[RunState, ...]:
        """Return the newest finished run of every earlier step that was scored on the same hold-out."""
        if not (earlier := self._earlier()):
            return ()
        from opeddev_tui.analysis.learning_curve import comparable

        return tuple(comparable([*earlier, self.state])[:-1])

    def _other_holdouts(self) -> str | None:
        """Return the note about earlier steps that were scored on another hold-out, None where there is none."""
        if not (earlier := self._earlier()):
            return None
        from opeddev_tui.analysis.learning_curve import other_holdouts

        return other_holdouts([*earlier, self.state])

    def _earlier(self) -> list[RunState]:
        started = self.state.started
        if started is None:
            return []
        newest: dict[int, RunState] = {}
        for row in reversed(self.rows):
            other = row.state.started
            if other is not None and other.step < started.step and row.state.epochs and row.state.counts:
                newest[other.step] = row.state
        return [newest[step] for step in sorted(newest)]

    def decide(self, choice: ev.Choice, note: str = "", *, result: ev.StartFrom = "", words: str = "") -> bool:
        """Hold an answer to the open question; return False where the key is not accepted."""
        question, action = self.current.question, f"decide('{choice}')"
        offer = next((offer for offer in self.shown.situation.offers if offer.action == action), None)
        if offer is None or question is None:
            return False
        command = Decide(epoch=question.epoch, choice=choice, note=note, result=result)
        return self.guard.choose(command, words or f"{offer.label}: {offer.effect}", time.monotonic())

    def adjust(self, command: Adjust) -> bool:
        """Hand over a choice for the next step, or hold one that ends the question; return False where none is open."""
        question = self.current.question
        if question is None or not self.shown.situation.offers_action("more"):
            return False
        if command.policy:
            words = f"The rule decides from now on: {question.verdict.choice}"
            return self.guard.choose(command, words, time.monotonic())
        self.request(command)
        return True

    def stop_now(self) -> bool:
        """Hold a stop of the running training; return False where the key is not accepted."""
        if not self.shown.situation.offers_action("stop_now"):
            return False
        return self.guard.choose(Stop(), "Stop: save and end, resumable", time.monotonic())

    def undo(self) -> bool:
        """Drop the choice on its way; return False where there is none."""
        return self.guard.undo(time.monotonic())

    def send_due(self, *, leaving: bool = False) -> AnyCommand | None:
        """Hand over and return the choice that is due, None where none is; whoever is ``leaving`` undoes it no more."""
        chosen = self.guard.chosen
        command = self.guard.take_due(chosen.due if leaving and chosen is not None else time.monotonic())
        if command is not None:
            self.answered = command.epoch if isinstance(command, Decide | Adjust) else self.answered
            if isinstance(command, Stop):
                self.requested["stop"] = STOPPING
            self.request(command)
        return command

    def ask(self, action: str) -> bool:
        """Pause, sample or save now; return False where the key is not accepted."""
        if not self.shown.situation.offers_action(f"ask('{action}')") or not self.guard.accepts(time.monotonic()):
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
        """Hand a command to the process that trains."""
        if self.trained_by == "other" and self.starting:
            self._held.append(command)
        elif self.trained_by == "other":
            self._send(self.current_run, command)
        else:
            self.live.request(command)


# after these no stop is on its way
_ENDS = (ev.Interrupted, ev.RunFailed, ev.RunFinished, ev.Resumed)
# which command a request waits for
_REQUESTED = {"SampleNow": "sample", "SaveNow": "save"}
_ASKED = {"sample": "samples requested", "save": "checkpoint requested"}
