"""Owns what a run looks like: ``RunState = reduce(events)``, the same for a live run and one of last month.

The state belongs to whoever applies the events (each thread its own); curves are columns that only grow.
"""

from __future__ import annotations  # array[float] is only subscriptable from Python 3.12

import math
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from opeddev_tui import events as ev

Status = Literal["empty", "starting", "training", "paused", "awaiting", "interrupted", "failed", "finished"]
_NAN = float("nan")


@dataclass
class Curves:
    """Logged points, column by column; a missing number is NaN."""

    global_step: array[float] = field(default_factory=lambda: array("d"))
    epoch: array[float] = field(default_factory=lambda: array("d"))
    loss: array[float] = field(default_factory=lambda: array("d"))
    grad_norm: array[float] = field(default_factory=lambda: array("d"))
    learning_rate: array[float] = field(default_factory=lambda: array("d"))

    def append(self, point: ev.Progress) -> None:
        """Add a point, dropping points of a part that is trained again after a crash."""
        while self.global_step and self.global_step[-1] >= point.global_step:
            for column in self.columns():
                column.pop()
        # written out: a run of 100,000 points is read before it is shown
        self.global_step.append(point.global_step)
        self.epoch.append(point.epoch)
        self.loss.append(_NAN if point.loss is None else point.loss)
        self.grad_norm.append(_NAN if point.grad_norm is None else point.grad_norm)
        self.learning_rate.append(_NAN if point.learning_rate is None else point.learning_rate)

    def columns(self) -> tuple[array[float], ...]:
        """Return all columns, in the order of the fields."""
        return (self.global_step, self.epoch, self.loss, self.grad_norm, self.learning_rate)

    def mean_loss(self, epoch: int) -> float | None:
        """Return the mean train loss of ``epoch`` (1-based), None without a finite point."""
        total, count = 0.0, 0
        for at, loss in zip(reversed(self.epoch), reversed(self.loss), strict=True):
            if at <= epoch - 1 + 1e-9:
                break
            if at <= epoch + 1e-9 and not math.isnan(loss):
                total, count = total + loss, count + 1
        return total / count if count else None


@dataclass
class RunState:
    """Everything known about one run."""

    status: Status = "empty"
    started: ev.RunStarted | None = None
    model: ev.ModelLoaded | None = None
    data: ev.DataPrepared | None = None
    memory: ev.MemoryEstimated | None = None
    token_stats: tuple[ev.TokenStats, ...] = ()
    phase: str = ""
    phase_detail: str = ""
    curves: Curves = field(default_factory=Curves)
    progress: ev.Progress | None = None
    hardware: ev.HardwareSampled | None = None
    holdout: dict[int, ev.HoldoutEvaluated] = field(default_factory=dict)
    grades: dict[int, ev.GradesMeasured] = field(default_factory=dict)
    samples: list[ev.SamplesGenerated] = field(default_factory=list)
    streaming: ev.SamplesStreaming | None = None
    epochs: dict[int, ev.EpochFinished] = field(default_factory=dict)
    # by name (run/checkpoint-75), also where version 0.1 recorded a path
    checkpoints: dict[str, ev.CheckpointSaved] = field(default_factory=dict)
    rejected: list[ev.CheckpointRejected] = field(default_factory=list)
    rows_trained: dict[int, list[int]] = field(default_factory=dict)
    question: ev.DecisionAwaited | None = None
    decisions: list[ev.Decided] = field(default_factory=list)
    ratings: dict[tuple[int, int], ev.Rated] = field(default_factory=dict)
    notes: list[ev.Annotated] = field(default_factory=list)
    retries: list[ev.MemoryRetried] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    interrupted: ev.Interrupted | None = None
    failure: ev.RunFailed | None = None
    finished: ev.RunFinished | None = None
    last_event_at: float = 0.0
    events: int = 0

    def apply(self, event: ev.AnyEvent) -> None:
        """Take one event into account."""
        if isinstance(event, ev.TRANSIENT):
            self.streaming = event
            return
        self.events += 1
        self.last_event_at = event.at
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event)

    @property
    def over(self) -> bool:
        """True when nothing more will happen unless somebody starts it."""
        return self.status in ("interrupted", "failed", "finished", "empty")

    @property
    def begun(self) -> ev.RunStarted:
        """How the run began; raises ``ValueError`` for a state without a beginning, which recorded runs never are."""
        if self.started is None:
            raise ValueError("the run has not begun")
        return self.started

    @property
    def repeats(self) -> str:
        """The run that this one repeats; empty for a run of its own."""
        return self.started.repeats if self.started is not None else ""

    def decided(self, epoch: int) -> ev.Decided | None:
        """Return the decision taken after ``epoch``, if there is one."""
        return next((item for item in reversed(self.decisions) if item.epoch == epoch), None)

    def best_epoch(self) -> int | None:
        """Return the trained epoch with the lowest hold-out loss (epoch 0 does not count)."""
        trained = {epoch: row.val_loss for epoch, row in self.epochs.items() if epoch > 0}
        return min(trained, key=lambda epoch: (trained[epoch], epoch)) if trained else None


def reduce(events: Iterable[ev.AnyEvent]) -> RunState:
    """Return the state after ``events``."""
    state = RunState()
    for event in events:
        state.apply(event)
    return state


def _started(state: RunState, event: ev.RunStarted) -> None:
    state.started = event
    state.status = "starting"


def _phase(state: RunState, event: ev.PhaseChanged) -> None:
    state.phase, state.phase_detail = event.phase, event.detail


def _resumed(state: RunState, event: ev.Resumed) -> None:
    """Forget what lies after the point the run goes on from: it will happen again."""
    state.interrupted, state.failure = None, None
    state.status = "starting"
    while state.curves.global_step and state.curves.global_step[-1] > event.global_step:
        for column in state.curves.columns():
            column.pop()
    for epoch in [epoch for epoch in state.rows_trained if epoch > event.epoch + 1e-9]:
        kept = state.rows_trained[epoch] if event.epoch > epoch - 1 else []
        state.rows_trained[epoch] = kept
    by_epoch: tuple[dict[int, Any], ...] = (state.holdout, state.grades, state.epochs)
    for table in by_epoch:
        for epoch in [epoch for epoch in table if epoch > event.epoch + 1e-9]:
            del table[epoch]
    state.samples = [item for item in state.samples if item.epoch <= event.epoch + 1e-9]
    state.ratings = {key: item for key, item in state.ratings.items() if key[0] <= event.epoch + 1e-9}
    state.streaming = None
    state.decisions = [item for item in state.decisions if item.epoch <= event.epoch + 1e-9]
    state.question = state.question if state.question and state.question.epoch <= event.epoch + 1e-9 else None


def _samples(state: RunState, event: ev.SamplesGenerated) -> None:
    state.streaming = None
    state.samples.append(event)


def _progress(state: RunState, event: ev.Progress) -> None:
    state.progress = event
    state.curves.append(event)
    if state.phase == "training":
        state.phase_detail = ""  # told what was waited for: the first optimizer step is done
    if state.status != "paused":
        state.status = "training"


def _rows(state: RunState, event: ev.RowsTrained) -> None:
    """Add what an epoch saw since ``from_step``; what an earlier attempt saw after it was lost with it."""
    before = 0
    if event.from_step and state.data is not None:
        before = event.from_step % state.data.steps_per_epoch * state.data.batch_size * state.data.accumulation
    state.rows_trained[event.epoch] = [*state.rows_trained.get(event.epoch, [])[:before], *event.rows]


def _epoch(state: RunState, event: ev.EpochFinished) -> None:
    state.epochs[event.epoch] = event
    for later in [epoch for epoch in state.epochs if epoch > event.epoch]:
        del state.epochs[later]


def _question(state: RunState, event: ev.DecisionAwaited) -> None:
    state.question, state.status = event, "awaiting"


def _decided(state: RunState, event: ev.Decided) -> None:
    state.decisions = [item for item in state.decisions if item.epoch < event.epoch] + [event]
    state.question = None
    if state.status == "awaiting":
        state.status = "training"


def _saved(state: RunState, event: ev.CheckpointSaved) -> None:
    state.checkpoints[ev.checkpoint_name(event.path)] = event


def _removed(state: RunState, event: ev.CheckpointRemoved) -> None:
    state.checkpoints.pop(ev.checkpoint_name(event.path), None)


def _rejected(state: RunState, event: ev.CheckpointRejected) -> None:
    state.rejected.append(event)
    state.checkpoints.pop(ev.checkpoint_name(event.path), None)


def _rated(state: RunState, event: ev.Rated) -> None:
    state.ratings[event.epoch, event.prompt] = event


def _unrated(state: RunState, event: ev.RatingUndone) -> None:
    state.ratings.pop((event.epoch, event.prompt), None)


def _ended(status: Status, name: str) -> Callable[[RunState, Any], None]:
    def apply(state: RunState, event: Any) -> None:
        setattr(state, name, event)
        state.status = status

    return apply


def _status(status: Status) -> Callable[[RunState, Any], None]:
    def apply(state: RunState, event: Any) -> None:  # noqa: ARG001 - same shape as the other handlers
        state.status = status

    return apply


def _set(name: str, attribute: str = "") -> Callable[[RunState, Any], None]:
    def apply(state: RunState, event: Any) -> None:
        setattr(state, name, getattr(event, attribute) if attribute else event)

    return apply


def _keep(name: str, key: str) -> Callable[[RunState, Any], None]:
    def apply(state: RunState, event: Any) -> None:
        getattr(state, name)[getattr(event, key)] = event

    return apply


def _add(name: str, attribute: str = "") -> Callable[[RunState, Any], None]:
    def apply(state: RunState, event: Any) -> None:
        getattr(state, name).append(getattr(event, attribute) if attribute else event)

    return apply


_HANDLERS: dict[type, Callable[[RunState, Any], None]] = {
    ev.RunStarted: _started,
    ev.ModelLoaded: _set("model"),
    ev.DataPrepared: _set("data"),
    ev.MemoryEstimated: _set("memory"),
    ev.TokensCounted: _set("token_stats", "batches"),
    ev.PhaseChanged: _phase,
    ev.Resumed: _resumed,
    ev.Progress: _progress,
    ev.HardwareSampled: _set("hardware"),
    ev.HoldoutEvaluated: _keep("holdout", "epoch"),
    ev.GradesMeasured: _keep("grades", "epoch"),
    ev.SamplesGenerated: _samples,
    ev.CheckpointSaved: _saved,
    ev.CheckpointRejected: _rejected,
    ev.CheckpointRemoved: _removed,
    ev.RowsTrained: _rows,
    ev.EpochFinished: _epoch,
    ev.DecisionAwaited: _question,
    ev.Decided: _decided,
    ev.Rated: _rated,
    ev.RatingUndone: _unrated,
    ev.Annotated: _add("notes"),
    ev.Paused: _status("paused"),
    ev.Unpaused: _status("training"),
    ev.MemoryRetried: _add("retries"),
    ev.Warned: _add("warnings", "message"),
    ev.Interrupted: _ended("interrupted", "interrupted"),
    ev.RunFailed: _ended("failed", "failure"),
    ev.RunFinished: _ended("finished", "finished"),
}
