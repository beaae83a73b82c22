"""The events of a run: immutable facts, their JSON form, and the protocol of what receives them.

Losses are in nats per token, times in Unix seconds, sizes in bytes. A metric is None if it is not a finite number. A
checkpoint is named "run/checkpoint-75" and a model by its path in the workspace, so that journals hold after a move;
version 0.1 wrote absolute paths, and ``Workspace.located`` finds both. Fields are only ever added, with defaults, so
that old journals stay readable.
"""

import math
import time
from pathlib import PurePath
from typing import Literal, Protocol

import msgspec
from msgspec import Struct, field

from opeddev_tui.runs.grade_records import FeedbackText, Figure, RacedWay, WayGrades

Choice = Literal["continue", "stop"]
Preference = Literal["now", "before", "tie", "both bad"]


class Event(Struct, frozen=True, kw_only=True, tag=True, tag_field="type"):
    """A fact that happened at ``at`` (Unix seconds)."""

    at: float = field(default_factory=time.time)


class DurableEvent(Event, frozen=True):
    """A fact that a crash must not lose: the journal syncs it to disk."""


class TrainedBatch(Struct, frozen=True):
    """One batch of a run: SHA-256 of its rows as they were trained (``fingerprint``) and as written (``identity``)."""

    name: str
    rows: int = 0
    fingerprint: str = ""
    identity: str = ""


class RunStarted(DurableEvent, frozen=True):
    """A run of a step begins; ``parent`` is the checkpoint it starts from, empty for the base model."""

    run: str
    step: int
    batch: str
    rows: int
    holdout_rows: int
    holdout_fingerprint: str
    planned_epochs: int
    max_epochs: int
    seed: int
    model: str = ""
    parent: str = ""
    source: str = ""
    data_fingerprint: str = ""
    policy: str = "ask"
    lora: bool = False
    pid: int = 0
    host: str = ""
    # the run that this one repeats, to compare the weights; a repetition does not count among the steps
    repeats: str = ""
    # all batches it trains on, the one it adds last; older journals leave this to the manifest
    batches: tuple[TrainedBatch, ...] = ()
    # with LoRA, which model the adapters are trained on (``checkpoints.base_model``)
    base_identity: str = ""
    # the file name of its metrics table; empty: metrics_step_<batch>.csv
    metrics: str = ""
    # what the early-stop rule and the best epoch go by: loss or grade
    metric: str = "loss"


class ModelLoaded(Event, frozen=True):
    """The model is in memory; ``reason`` says why this precision, ``parameters`` and ``trainable`` are counts."""

    device: str
    precision: str
    reason: str
    parameters: int
    trainable: int


class DataPrepared(Event, frozen=True):
    """The rows are tokens. ``dropped`` names rows that did not fit ``max_length``, ``shortened`` counts cut prompts."""

    rows: int
    tokens: int
    loss_tokens: int
    steps_per_epoch: int
    total_steps: int
    batch_size: int
    accumulation: int
    learning_rate: float
    dropped: tuple[str, ...] = ()
    shortened: int = 0


class TokenStats(Struct, frozen=True):
    """Token lengths of one batch after the chat template."""

    name: str
    rows: int
    tokens: int
    loss_tokens: int
    median: int
    percentile_95: int
    longest: int


class TokensCounted(Event, frozen=True):
    """Token lengths of every batch in the step."""

    batches: tuple[TokenStats, ...]


class MemoryEstimated(Event, frozen=True):
    """Memory that the training needs, in bytes, estimated before loading; ``verdict``: fits, tight or will not fit.

    ``total`` is the need of the largest phase, named by ``peak``: training, evaluation or generation. ``evaluation``
    and ``generation`` are their needs beside weights and optimizer, as gradients and activations are in training.
    """

    total: int
    free: int
    weights: int
    gradients: int
    optimizer: int
    activations: int
    trainable: int
    checkpoint: int
    verdict: str
    advice: tuple[str, ...] = ()
    evaluation: int = 0
    generation: int = 0
    peak: str = ""


class PhaseChanged(Event, frozen=True):
    """The present phase: loading, reading, evaluating, training, generating, saving or waiting."""

    phase: str
    detail: str = ""


# the phase after the workspace's lock is released: plots are drawn and the last notices sent
AFTERWARDS = "afterwards"


class Resumed(Event, frozen=True):
    """An interrupted run continues from a verified checkpoint (empty: from its beginning)."""

    checkpoint: str
    global_step: int
    epoch: float
    pid: int = 0


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
    """Load of one GPU: CUDA's ``index``, sizes in bytes, shares in percent; None what this GPU does not tell."""

    index: int = 0
    uuid: str = ""
    name: str = ""
    memory_used: int | None = None
    memory_total: int | None = None
    percent: float | None = None
    celsius: float | None = None
    watts: float | None = None


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


class Sample(Struct, frozen=True):
    """One probe prompt and what the model wrote."""

    prompt: str
    reference: str
    text: str
    id: str = ""
    kind: str = ""
    grade: int | None = None
    reference_grade: int | None = None
    tokens: int = 0
    own: bool = False  # written by the person: no reference


class SamplesGenerated(Event, frozen=True):
    """Texts for the probe prompts from the weights with ``fingerprint``."""

    epoch: float
    global_step: int
    fingerprint: str
    samples: tuple[Sample, ...]
    seconds: float = 0.0
    on_demand: bool = False


class SamplesStreaming(Event, frozen=True):
    """Texts while they grow, one per probe prompt. Shown, never recorded."""

    epoch: float
    global_step: int
    prompts: tuple[str, ...]
    texts: tuple[str, ...]
    finished: int


class GradesMeasured(Event, frozen=True):
    """Grades of the step's model on the whole hold-out; ``predicted[i]`` is None where a text had no grade.

    ``ids[i]`` names the row (empty in journals of older versions). ``way`` is how they were read: "step text" from
    generated texts (all journals of version 0.1), "step tokens" from the probabilities of the grades' tokens, "step
    head" by the head on the step's model.
    """

    epoch: int
    predicted: tuple[int | None, ...]
    reference: tuple[int, ...]
    parsed: float
    exact: float
    within_one: float
    mean_absolute_error: float | None
    kappa: float | None
    kappa_interval: tuple[float, float] | None = None
    majority_exact: float = 0.0
    middle_within_one: float = 0.0
    classifier_exact: float | None = None
    seconds: float = 0.0
    ids: tuple[str, ...] = ()
    # how rows without a grade count in mean error and kappa; version 0.1 left them out
    unread: Literal["left out", "farthest"] = "left out"
    way: str = "step text"

    @property
    def leaves_out(self) -> bool:
        """True if mean error and kappa are not over all rows, so that they say nothing beside those of other runs."""
        return self.unread == "left out" and self.parsed < 1


class HeadFitted(DurableEvent, frozen=True):
    """A grade head was fitted on the step's graded rows: ``head`` is "base" or "step", after ``epoch`` (base: 0).

    Features of ``rows`` training rows were needed, ``read`` rows were read in ``read_seconds``, the others were known;
    the fit took ``fit_seconds``. ``model`` names the weights. ``out_of_fold`` are figures of the rows by fits without
    them, ``claim`` says whether the hold-out bears them out. Without a head ``problem`` says why.
    """

    head: str
    epoch: int
    rows: int = 0
    read: int = 0
    read_seconds: float = 0.0
    fit_seconds: float = 0.0
    model: str = ""
    out_of_fold: dict[str, Figure] = field(default_factory=dict)
    claim: str = ""
    problem: str = ""


class GradesRead(DurableEvent, frozen=True):
    """Grades of the hold-out after ``epoch``, by every way that was read: see ``WayGrades``.

    ``ids`` and ``reference`` have an entry per graded hold-out row, ``labels`` are the scale, the lowest first.
    ``ungraded`` counts hold-out rows without a grade. ``seconds`` is what all of it took beside the hold-out loss.
    """

    epoch: int
    labels: tuple[str, ...]
    ids: tuple[str, ...]
    reference: tuple[str, ...]
    ways: tuple[WayGrades, ...]
    ungraded: int = 0
    seconds: float = 0.0

    def by(self, way: str) -> WayGrades | None:
        """Return the grades by ``way``, None where it was not read."""
        return next((item for item in self.ways if item.way == way), None)


class RaceHeld(DurableEvent, frozen=True):
    """The race of all ways to a grade at a step's end, after ``epoch``: ``ways`` from best kappa to worst.

    ``rows`` graded training rows were fitted on, ``holdout_rows`` compared on. ``chosen`` is the way that grades from
    now on, ``verdict`` and ``tuning`` say in a sentence each what came out and whether fine-tuning was worth it for the
    grade. ``seconds`` is the whole race. ``checkpoint`` names the step's model, ``needs`` the base model where it
    grades instead of that one. Without a race ``problem`` says why.
    """

    epoch: int
    rows: int = 0
    holdout_rows: int = 0
    ways: tuple[RacedWay, ...] = ()
    chosen: str = ""
    verdict: str = ""
    tuning: str = ""
    labels: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    reference: tuple[str, ...] = ()
    checkpoint: str = ""
    needs: str = ""
    seconds: float = 0.0
    problem: str = ""


class FeedbackWritten(DurableEvent, frozen=True):
    """Feedback of graded probe prompts by the model of ``epoch``, with the structure that heads decided.

    ``head`` gave grades and areas. ``f1`` is that of the areas named against those that failed, over the probes that
    tell: "forced", "heads", "free" (the texts without force) and "all" (naming all). Without texts ``problem`` says
    why.
    """

    epoch: int
    head: str = ""
    texts: tuple[FeedbackText, ...] = ()
    f1: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    problem: str = ""


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


class Verdict(Struct, frozen=True):
    """What the early-stop rule recommends after ``epoch``, with its reasons in words."""

    epoch: int
    choice: Choice
    limit_reached: bool
    reasons: tuple[str, ...]
    loss_improved: bool = False
    human_improved: bool = False
    difference: float | None = None
    interval: tuple[float, float] | None = None
    better: int = 0
    worse: int = 0
    worst: tuple[int, ...] = ()
    compared_with: int | None = None
    # "loss" or "grade": what decides; the evidence of the other is there too where it was measured
    metric: str = "loss"
    # fall of the mean expected distance from the right grade, in grades, of the step's model read in ``grade_way``
    grade_difference: float | None = None
    grade_interval: tuple[float, float] | None = None
    grade_improved: bool = False
    grade_compared_with: int | None = None
    grade_way: str = ""


class DecisionAwaited(DurableEvent, frozen=True):
    """Training waits for a decision; after ``deadline`` (Unix seconds) the rule decides."""

    epoch: int
    verdict: Verdict
    max_epochs: int
    deadline: float | None = None


class Decided(DurableEvent, frozen=True):
    """The decision after an epoch, who took it (person, rule, timeout or limit), and the verdict at that time."""

    epoch: int
    choice: Choice
    by: str
    verdict: Verdict
    note: str = ""


class Rated(DurableEvent, frozen=True):
    """A blind rating of one prompt: the text shown left, the one shown right, and the preferred one."""

    epoch: int
    prompt: int
    left: str
    right: str
    preferred: Preference
    round_seed: int


class RatingUndone(DurableEvent, frozen=True):
    """The last rating of a prompt was undone."""

    epoch: int
    prompt: int


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
    """A warning; the run continues."""

    message: str


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
    | RowsTrained | EpochFinished | DecisionAwaited | Decided | Rated | RatingUndone | Annotated | Paused | Unpaused
    | MemoryRetried | Warned | Interrupted | RunFailed | RunFinished | CommandTaken
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
