"""The state of a run, computed from its events alone: the same for a live run, one in another process and an old one.

A state is not safe to share between threads: each thread reduces the events itself.
"""

from collections.abc import Callable, Iterable
from typing import Any, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from opeddev_tui.runs import events as ev
from opeddev_tui.runs.curves import Curves, MachineHistory

Status = Literal["empty", "starting", "training", "paused", "awaiting", "interrupted", "failed", "finished"]


class RunState(Struct):
    """Everything that the events record of one run. Tables are keyed by epoch unless a comment names another key."""

    status: Status = "empty"
    started: ev.RunStarted | None = None
    model: ev.ModelLoaded | None = None
    data: ev.DataPrepared | None = None
    memory: ev.MemoryEstimated | None = None
    # where several processes train; None with one
    ranks: ev.RanksStarted | None = None
    token_stats: tuple[ev.TokenStats, ...] = ()
    phase: str = ""
    phase_detail: str = ""
    curves: Curves = field(default_factory=Curves)
    progress: ev.Progress | None = None
    hardware: ev.HardwareSampled | None = None
    machine: MachineHistory = field(default_factory=MachineHistory)
    holdout: dict[int, ev.HoldoutEvaluated] = field(default_factory=dict)
    grades: dict[int, ev.GradesMeasured] = field(default_factory=dict)
    # grades by every way that was read, and the races at the step's end
    readings: dict[int, ev.GradesRead] = field(default_factory=dict)
    races: dict[int, ev.RaceHeld] = field(default_factory=dict)
    feedbacks: dict[int, ev.FeedbackWritten] = field(default_factory=dict)
    # by "base" or "step", and epoch
    heads: dict[tuple[str, int], ev.HeadFitted] = field(default_factory=dict)
    samples: list[ev.SamplesGenerated] = field(default_factory=list)
    streaming: ev.SamplesStreaming | None = None
    epochs: dict[int, ev.EpochFinished] = field(default_factory=dict)
    # by name (run/checkpoint-75), even if version 0.1 recorded a path
    checkpoints: dict[str, ev.CheckpointSaved] = field(default_factory=dict)
    rejected: list[ev.CheckpointRejected] = field(default_factory=list)
    rows_trained: dict[int, list[int]] = field(default_factory=dict)
    question: ev.DecisionAwaited | None = None
    decisions: list[ev.Decided] = field(default_factory=list)
    # what was chosen for the step after this one, all choices together
    next_step: ev.NextStepChosen | None = None
    policy_changed: ev.PolicyChanged | None = None
    # by epoch and number of the prompt
    ratings: dict[tuple[int, int], ev.Rated] = field(default_factory=dict)
    notes: list[ev.Annotated] = field(default_factory=list)
    retries: list[ev.MemoryRetried] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    # the newest pause, also where it is over
    paused: ev.Paused | None = None
    interrupted: ev.Interrupted | None = None
    failure: ev.RunFailed | None = None
    finished: ev.RunFinished | None = None
    # whether it is the step's run, where the step was trained with several seeds
    chosen: ev.SeedChosen | None = None
    last_event_at: float = 0.0
    events: int = 0
    # what cannot be read of the journal, in words; not an event: whoever reads the journal says it
    damage: str = ""

    def apply(self, event: ev.AnyEvent) -> None:
        """Take one event into account."""
        if isinstance(event, ev.SamplesStreaming):
            # not recorded, so it must not count
            self.streaming = event
            return
        self.events += 1
        self.last_event_at = event.at
        kind = type(event)
        if kind in _NEWEST:
            setattr(self, _NEWEST[kind], event)
        elif kind in _BY_EPOCH:
            # Any: all of these have an epoch
            of_epoch: Any = event
            getattr(self, _BY_EPOCH[kind])[of_epoch.epoch] = event
        elif kind in _LISTS:
            getattr(self, _LISTS[kind]).append(event)
        self.status = _STATUS_AFTER.get(kind, self.status)
        if kind in _HANDLERS:
            _HANDLERS[kind](self, event)

    @property
    def over(self) -> bool:
        """True if nothing more happens unless a person starts it."""
        return self.status in ("interrupted", "failed", "finished", "empty")

    @property
    def begun(self) -> ev.RunStarted:
        """The event that began the run; raises ``ValueError`` without one (``list_runs`` returns no such run)."""
        if self.started is None:
            raise ValueError("the run has not begun")
        return self.started

    @property
    def scored_on(self) -> tuple[str, int]:
        """The hold-out that the run is scored on: fingerprint and number of rows. Others are not compared with it."""
        return (self.started.holdout_fingerprint, self.started.holdout_rows) if self.started is not None else ("", 0)

    @property
    def policy(self) -> str:
        """Who decides after an epoch: ask (a person) or rule."""
        if self.policy_changed is not None:
            return self.policy_changed.policy
        return self.started.policy if self.started is not None else "ask"

    @property
    def repeats(self) -> str:
        """The run that this one repeats, empty if it repeats none."""
        return self.started.repeats if self.started is not None else ""

    @property
    def group(self) -> str:
        """The group of runs with several seeds that this one was trained in, empty if in none."""
        return self.started.group if self.started is not None else ""

    @property
    def counts(self) -> bool:
        """True if the run counts among the steps: it is neither a repetition nor a seed that was not chosen."""
        if self.chosen is not None and not self.chosen.chosen:
            return False
        return not self.repeats and (not self.group or self.chosen is not None)

    @property
    def race(self) -> ev.RaceHeld | None:
        """The race of all ways to a grade on the best epoch's model, None where none was held."""
        best = self.best_epoch()
        found = self.races.get(best) if best is not None else None
        return found if found is not None and found.ways else None

    def decided(self, epoch: int) -> ev.Decided | None:
        """Return the decision taken after ``epoch``, None if there is none."""
        return next((item for item in reversed(self.decisions) if item.epoch == epoch), None)

    def best_epoch(self) -> int | None:
        """Return the best epoch by the run's metric, the earliest among equals; epoch 0 does not count.

        Where the grades of an epoch were not read, the hold-out loss decides.
        """
        trained = {epoch: row.val_loss for epoch, row in self.epochs.items() if epoch > 0}
        if self.started is not None and self.started.metric == "grade":
            trained = self._grade_distances(list(trained)) or trained
        return min(trained, key=lambda epoch: (trained[epoch], epoch)) if trained else None

    def _grade_distances(self, epochs: list[int]) -> dict[int, float]:
        """Return how far the step's model is from the right grades after each of ``epochs``, all read in one way."""
        for way in ("step head", "step tokens"):
            found: dict[int, float] = {}
            for epoch in epochs:
                read = self.readings[epoch].by(way) if epoch in self.readings else None
                figure = read.figures.get("expected_distance") if read is not None else None
                if figure is not None and figure.value is not None:
                    found[epoch] = figure.value
            if len(found) == len(epochs):
                return found
        return {}


def reduce(events: Iterable[ev.AnyEvent]) -> RunState:
    """Return the state after ``events``."""
    state = RunState()
    for event in events:
        state.apply(event)
    return state


# --- what each kind of event changes


def _phase(state: RunState, event: ev.PhaseChanged) -> None:
    state.phase, state.phase_detail = event.phase, event.detail


def _resumed(state: RunState, event: ev.Resumed) -> None:
    """Forget everything after the checkpoint from which the run continues: it will happen again."""
    last = event.epoch + 1e-9
    state.interrupted = state.failure = state.streaming = None
    state.curves.drop_from(event.global_step + 1)
    for epoch, rows in state.rows_trained.items():
        if epoch > last:
            state.rows_trained[epoch] = rows if event.epoch > epoch - 1 else []
    by_epoch: list[dict[int, Any]] = [state.epochs, *(getattr(state, name) for name in _BY_EPOCH.values())]
    for table in by_epoch:
        for epoch in [epoch for epoch in table if epoch > last]:
            del table[epoch]
    state.heads = {key: item for key, item in state.heads.items() if key[1] <= last}
    state.samples = [item for item in state.samples if item.epoch <= last]
    state.ratings = {key: item for key, item in state.ratings.items() if key[0] <= last}
    state.decisions = [item for item in state.decisions if item.epoch <= last]
    if state.question is not None and state.question.epoch > last:
        state.question = None


def _progress(state: RunState, event: ev.Progress) -> None:
    state.curves.append(event)
    if state.phase == "training":
        # the detail named what the first optimizer step was waiting for
        state.phase_detail = ""
    if state.status != "paused":
        state.status = "training"


def _hardware(state: RunState, event: ev.HardwareSampled) -> None:
    state.machine.append(event, state.progress)


def _tokens(state: RunState, event: ev.TokensCounted) -> None:
    state.token_stats = event.batches


def _head(state: RunState, event: ev.HeadFitted) -> None:
    state.heads[event.head, event.epoch] = event


def _samples(state: RunState, event: ev.SamplesGenerated) -> None:
    state.samples.append(event)
    state.streaming = None


def _rows(state: RunState, event: ev.RowsTrained) -> None:
    """Add the rows since ``from_step``; rows that an earlier attempt trained on after that step were lost with it."""
    before = 0
    if event.from_step and state.data is not None:
        before = event.from_step % state.data.steps_per_epoch * state.data.effective_batch
    state.rows_trained[event.epoch] = [*state.rows_trained.get(event.epoch, [])[:before], *event.rows]


def _epoch(state: RunState, event: ev.EpochFinished) -> None:
    state.epochs[event.epoch] = event
    for later in [epoch for epoch in state.epochs if epoch > event.epoch]:
        del state.epochs[later]


def _decided(state: RunState, event: ev.Decided) -> None:
    state.decisions = [item for item in state.decisions if item.epoch < event.epoch] + [event]
    state.question = None
    if state.status == "awaiting":
        state.status = "training"


def _saved(state: RunState, event: ev.CheckpointSaved) -> None:
    state.checkpoints[ev.checkpoint_name(event.path)] = event


def _gone(state: RunState, event: ev.CheckpointRemoved | ev.CheckpointRejected) -> None:
    state.checkpoints.pop(ev.checkpoint_name(event.path), None)


def _chosen(state: RunState, event: ev.NextStepChosen) -> None:
    """Lay a choice over those before it."""
    before = state.next_step or event
    state.next_step = replace(
        event,
        learning_rate=before.learning_rate if event.learning_rate is None else event.learning_rate,
        batch=event.batch or before.batch,
        start_from=event.start_from or before.start_from,
    )


def _rated(state: RunState, event: ev.Rated) -> None:
    state.ratings[event.epoch, event.prompt] = event


def _unrated(state: RunState, event: ev.RatingUndone) -> None:
    state.ratings.pop((event.epoch, event.prompt), None)


def _silent(state: RunState, event: ev.RankSilent) -> None:
    state.warnings.append(f"rank {event.rank} on {event.host} gives no sign; the training waits for it.")


def _warned(state: RunState, event: ev.Warned) -> None:
    if not event.routine:
        state.warnings.append(event.message)


# the field that keeps the newest event of its kind
_NEWEST: dict[type, str] = {
    ev.RunStarted: "started",
    ev.ModelLoaded: "model",
    ev.DataPrepared: "data",
    ev.MemoryEstimated: "memory",
    ev.RanksStarted: "ranks",
    ev.Progress: "progress",
    ev.HardwareSampled: "hardware",
    ev.DecisionAwaited: "question",
    ev.Paused: "paused",
    ev.PolicyChanged: "policy_changed",
    ev.Interrupted: "interrupted",
    ev.RunFailed: "failure",
    ev.RunFinished: "finished",
    ev.SeedChosen: "chosen",
}
# the table that keeps the newest event of its kind per epoch
_BY_EPOCH: dict[type, str] = {
    ev.HoldoutEvaluated: "holdout",
    ev.GradesMeasured: "grades",
    ev.GradesRead: "readings",
    ev.RaceHeld: "races",
    ev.FeedbackWritten: "feedbacks",
}
# the list that keeps all events of its kind
_LISTS: dict[type, str] = {ev.CheckpointRejected: "rejected", ev.Annotated: "notes", ev.MemoryRetried: "retries"}
_STATUS_AFTER: dict[type, Status] = {
    ev.RunStarted: "starting",
    ev.Resumed: "starting",
    ev.DecisionAwaited: "awaiting",
    ev.Paused: "paused",
    ev.Unpaused: "training",
    ev.Interrupted: "interrupted",
    ev.RunFailed: "failed",
    ev.RunFinished: "finished",
}
# Any: each handler takes its own kind of event
_HANDLERS: dict[type, Callable[[RunState, Any], None]] = {
    ev.RankSilent: _silent,
    ev.NextStepChosen: _chosen,
    ev.TokensCounted: _tokens,
    ev.PhaseChanged: _phase,
    ev.Resumed: _resumed,
    ev.Progress: _progress,
    ev.HeadFitted: _head,
    ev.HardwareSampled: _hardware,
    ev.SamplesGenerated: _samples,
    ev.CheckpointSaved: _saved,
    ev.CheckpointRejected: _gone,
    ev.CheckpointRemoved: _gone,
    ev.RowsTrained: _rows,
    ev.EpochFinished: _epoch,
    ev.Decided: _decided,
    ev.Rated: _rated,
    ev.RatingUndone: _unrated,
    ev.Warned: _warned,
}
