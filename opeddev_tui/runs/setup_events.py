"""The events of a run before it trains: what it is, its model, its data, its memory, its phases."""

from msgspec import Struct

from opeddev_tui.runs.event_base import DurableEvent, Event


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
    # the group of runs with several seeds that it belongs to; empty: it was trained by itself
    group: str = ""


class ModelLoaded(Event, frozen=True):
    """The model is in memory; ``reason`` says why this precision, ``parameters`` and ``trainable`` are counts."""

    device: str
    precision: str
    reason: str
    parameters: int
    trainable: int


class DataPrepared(Event, frozen=True):
    """The rows are tokens. ``dropped`` names rows that did not fit ``max_length``, ``shortened`` counts cut prompts.

    ``batch_size`` is that of each of ``processes``.
    """

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
    processes: int = 1

    @property
    def effective_batch(self) -> int:
        """Rows per optimizer step of all processes together."""
        return self.batch_size * self.accumulation * self.processes


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


class RankPlace(Struct, frozen=True):
    """Where one rank of a training runs."""

    rank: int
    host: str
    device: str
    pid: int


class RanksStarted(DurableEvent, frozen=True):
    """Several processes train together; ``backend`` exchanges their gradients."""

    ranks: tuple[RankPlace, ...]
    backend: str = ""


class RankSilent(Event, frozen=True):
    """A rank has given no sign since ``since`` (Unix seconds); the training waits for it."""

    rank: int
    host: str
    since: float


class RankLost(DurableEvent, frozen=True):
    """A rank has ended, for ``reason``, and the attempt with it."""

    rank: int
    host: str
    reason: str


# the phase after the workspace's lock is released: plots are drawn and the last notices sent
AFTERWARDS = "afterwards"


class Resumed(Event, frozen=True):
    """An interrupted run continues from a verified checkpoint (empty: from its beginning)."""

    checkpoint: str
    global_step: int
    epoch: float
    pid: int = 0
