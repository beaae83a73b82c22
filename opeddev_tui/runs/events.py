"""The events of a run: immutable facts, their JSON form, and the protocol of what receives them.

Losses are in nats per token, times in Unix seconds, sizes in bytes. A metric is None if it is not a finite number. A
checkpoint is named "run/checkpoint-75" and a model by its path in the workspace, so that journals hold after a move;
version 0.1 wrote absolute paths, and ``Workspace.located`` finds both. Fields are only ever added, with defaults, so
that old journals stay readable.
"""

import math
from pathlib import PurePath
from typing import Protocol

import msgspec
from msgspec import Struct

from opeddev_tui.runs.choice_events import Choice as Choice
from opeddev_tui.runs.choice_events import Decided as Decided
from opeddev_tui.runs.choice_events import DecisionAwaited as DecisionAwaited
from opeddev_tui.runs.choice_events import NextStepChosen as NextStepChosen
from opeddev_tui.runs.choice_events import Policy as Policy
from opeddev_tui.runs.choice_events import PolicyChanged as PolicyChanged
from opeddev_tui.runs.choice_events import SeedChosen as SeedChosen
from opeddev_tui.runs.choice_events import StartFrom as StartFrom
from opeddev_tui.runs.choice_events import Verdict as Verdict
from opeddev_tui.runs.event_base import DurableEvent as DurableEvent
from opeddev_tui.runs.event_base import Event as Event
from opeddev_tui.runs.grade_events import FeedbackWritten as FeedbackWritten
from opeddev_tui.runs.grade_events import GradesMeasured as GradesMeasured
from opeddev_tui.runs.grade_events import GradesRead as GradesRead
from opeddev_tui.runs.grade_events import HeadFitted as HeadFitted
from opeddev_tui.runs.grade_events import RaceHeld as RaceHeld
from opeddev_tui.runs.setup_events import AFTERWARDS as AFTERWARDS
from opeddev_tui.runs.setup_events import DataPrepared as DataPrepared
from opeddev_tui.runs.setup_events import MemoryEstimated as MemoryEstimated
from opeddev_tui.runs.setup_events import ModelLoaded as ModelLoaded
from opeddev_tui.runs.setup_events import PhaseChanged as PhaseChanged
from opeddev_tui.runs.setup_events import RankLost as RankLost
from opeddev_tui.runs.setup_events import RankPlace as RankPlace
from opeddev_tui.runs.setup_events import RankSilent as RankSilent
from opeddev_tui.runs.setup_events import RanksStarted as RanksStarted
from opeddev_tui.runs.setup_events import Resumed as Resumed
from opeddev_tui.runs.setup_events import RunStarted as RunStarted
from opeddev_tui.runs.setup_events import TokensCounted as TokensCounted
from opeddev_tui.runs.setup_events import TokenStats as TokenStats
from opeddev_tui.runs.setup_events import TrainedBatch as TrainedBatch
from opeddev_tui.runs.text_events import Preference as Preference
from opeddev_tui.runs.text_events import Rated as Rated
from opeddev_tui.runs.text_events import RatingUndone as RatingUndone
from opeddev_tui.runs.text_events import Sample as Sample
from opeddev_tui.runs.text_events import SamplesGenerated as SamplesGenerated
from opeddev_tui.runs.text_events import SamplesStreaming as SamplesStreaming


class Progress(Event, frozen=True):
    """A logged point; ``loss`` is the mean cross-entropy since the last one.

    ``grade_loss`` is the loss of ``grading.loss`` (1 is an even guess), None where it is not trained.
    """

    global_step: int
    epoch: float
    loss: float | None
    grad_norm: float | None = None
    learning_rate: float | None = None
    samples_per_second: float | None = None
    tokens_per_second: float | None = None
    grade_loss: float | None = None


class GpuReading(Struct, frozen=True):
    """Load of one GPU: CUDA's ``index``, sizes in bytes, shares in percent; None for what this GPU does not report.

    ``host`` names its machine where that is not the one of rank 0. ``others`` is how many processes beside the training
    hold memory of it, ``others_memory`` how much.
    """

    index: int = 0
    uuid: str = ""
    name: str = ""
    memory_used: int | None = None
    memory_total: int | None = None
    percent: float | None = None
    celsius: float | None = None
    watts: float | None = None
    host: str = ""
    others: int = 0
    others_memory: int | None = None


class HardwareSampled(Event, frozen=True):
    """Load of the machine; GPU fields are None without an NVIDIA GPU.

    The fields of one GPU are those of the first; ``gpus`` are all that the training uses.
    """

    cpu_percent: float
    ram_used: int
    ram_total: int
    gpu_memory_used: int | None = None
    gpu_memory_total: int | None = None
    gpu_percent: float | None = None
    gpu_celsius: float | None = None
    gpus: tuple[GpuReading, ...] = ()


class HoldoutEvaluated(DurableEvent, frozen=True):
    """Hold-out loss after ``epoch`` (0: before the step), with the summed loss and tokens of each example."""

    epoch: int
    loss: float
    sums: tuple[float, ...]
    tokens: tuple[int, ...]
    seconds: float = 0.0


class CheckpointSaved(DurableEvent, frozen=True):
    """A checkpoint was published and verified."""

    path: str
    global_step: int
    epoch: float
    size: int
    digest: str


class CheckpointRejected(Event, frozen=True):
    """A checkpoint was found damaged; ``problem`` says in what way."""

    path: str
    problem: str


class CheckpointRemoved(Event, frozen=True):
    """A checkpoint was deleted."""

    path: str
    reason: str


class RowsTrained(Event, frozen=True):
    """Indices of the rows that the epoch trained on, in order, since optimizer step ``from_step``."""

    epoch: int
    rows: tuple[int, ...]
    from_step: int = 0


class EpochFinished(DurableEvent, frozen=True):
    """One row of the metrics table; epoch 0, before the step, has no train loss."""

    epoch: int
    train_loss: float | None
    val_loss: float
    samples_per_second: float | None
    global_step: int
    checkpoint: str = ""


class Annotated(DurableEvent, frozen=True):
    """A person's note on the run."""

    epoch: int | None
    note: str


class Paused(Event, frozen=True):
    """Training waits at an optimizer-step boundary."""

    global_step: int


class Unpaused(Event, frozen=True):
    """Training continues after a pause."""

    global_step: int


class CommandTaken(Event, frozen=True):
    """A person's command was carried out, or was not (``done`` is False) for ``reason``.

    ``id`` names its file in the run's mailbox; it is empty for a command of the process that trains.
    """

    command: str
    id: str = ""
    done: bool = True
    reason: str = ""


class MemoryRetried(Event, frozen=True):
    """Out of memory: training continues from the last verified checkpoint with half the batch."""

    batch_size: int
    accumulation: int
    checkpoint: str
    message: str


class Warned(Event, frozen=True):
    """A warning; the run continues. ``routine``: a person should know of it, but nothing is wrong."""

    message: str
    routine: bool = False


class Interrupted(DurableEvent, frozen=True):
    """The run was stopped on request and can be resumed."""

    reason: str
    checkpoint: str
    global_step: int


class RunFailed(DurableEvent, frozen=True):
    """The run failed; ``resumable`` says whether ``train`` can resume it.

    ``again`` is False where the same failure would come again as long as settings, data and code are the same.
    """

    kind: str
    message: str
    resumable: bool = True
    again: bool = True


class RunFinished(DurableEvent, frozen=True):
    """The step is trained."""

    epochs: int
    last_checkpoint: str
    best_checkpoint: str
    best_epoch: int
    val_loss: float
    # what the best epoch is best by: loss or grade
    metric: str = "loss"


AnyEvent = (
    RunStarted | ModelLoaded | DataPrepared | TokensCounted | MemoryEstimated | PhaseChanged | Resumed | Progress
    | HardwareSampled | HoldoutEvaluated | SamplesGenerated | SamplesStreaming | GradesMeasured | HeadFitted
    | GradesRead | RaceHeld | FeedbackWritten | CheckpointSaved | CheckpointRejected | CheckpointRemoved
    | RowsTrained | EpochFinished | DecisionAwaited | Decided
    | NextStepChosen | PolicyChanged | Rated | RatingUndone | Annotated | Paused | Unpaused
    | MemoryRetried | Warned | Interrupted | RunFailed | RunFinished | CommandTaken
    | RanksStarted | RankSilent | RankLost | SeedChosen
)  # fmt: skip


class Sink(Protocol):
    """Receives events. ``emit`` must return at once: training never waits for a view."""

    def emit(self, event: AnyEvent) -> None:
        """Take one event."""


_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


def encode(event: AnyEvent) -> bytes:
    """Return ``event`` as one JSON line without the line break."""
    return _ENCODER.encode(event)


def decode(line: bytes | memoryview) -> AnyEvent:
    """Return the event of a JSON line; raises ``ValueError`` or ``RecursionError`` if it is none."""
    return _DECODER.decode(line)


def decode_lines(lines: bytes) -> list[AnyEvent]:
    """Return the events of many JSON lines at once; raises ``ValueError`` or ``RecursionError`` if any is none."""
    return _DECODER.decode_lines(lines)


def checkpoint_name(place: str | PurePath) -> str:
    """Return "run/checkpoint-75" for a checkpoint's folder, or for what is recorded of it."""
    return "/".join(PurePath(place).parts[-2:])


def finite(value: float | None) -> float | None:
    """Return ``value``, or None where it is not a finite number."""
    return value if value is not None and math.isfinite(value) else None
