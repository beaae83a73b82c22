"""Export recorded numbers for other viewers: one JSON line per number, or TensorBoard event files."""

import importlib
import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from opeddev_tui.errors import SettingsProblem
from opeddev_tui.files import storage_errors, write_atomic
from opeddev_tui.runs.events import (
    AnyEvent,
    EpochFinished,
    GradesMeasured,
    GradesRead,
    HardwareSampled,
    Progress,
    RunStarted,
)


class Scalar(Struct, frozen=True):
    """One measured number; ``at`` in Unix seconds, ``global_step`` in optimizer steps of its run."""

    run: str
    step: int
    name: str
    value: float
    global_step: int
    epoch: float | None
    at: float


_FIELDS: dict[type, tuple[str, tuple[str, ...]]] = {
    Progress: (
        "train",
        ("loss", "grade_loss", "grad_norm", "learning_rate", "samples_per_second", "tokens_per_second"),
    ),
    EpochFinished: ("epoch", ("train_loss", "val_loss", "samples_per_second")),
    GradesMeasured: ("grades", ("parsed", "exact", "within_one", "mean_absolute_error", "kappa")),
    HardwareSampled: ("hardware", ("cpu_percent", "ram_used", "gpu_memory_used", "gpu_percent", "gpu_celsius")),
}


class ScalarReader:
    """Reads the numbers of one run's events, in the order of its journal."""

    def __init__(self) -> None:
        self._run, self._step, self.global_step = "", -1, 0

    def of(self, event: AnyEvent) -> Iterator[Scalar]:
        """Yield the numbers of the next event."""
        if isinstance(event, RunStarted):
            self._run, self._step = event.run, event.step
        self.global_step = getattr(event, "global_step", self.global_step)
        epoch = getattr(event, "epoch", None)
        for name, value in _numbers(event):
            if value is not None:
                yield Scalar(self._run, self._step, name, float(value), self.global_step, epoch, event.at)


def _numbers(event: AnyEvent) -> Iterator[tuple[str, float | None]]:
    if isinstance(event, GradesRead):
        for way in event.ways:
            for name, figure in way.figures.items():
                yield f"{way.way.replace(' ', '_')}/{name}", figure.value
    group, names = _FIELDS.get(type(event), ("", ()))
    for name in names:
        # the share of texts with a grade keeps the name that it always had
        yield f"{group}/{name}", getattr(event, "texts_read" if name == "parsed" else name)


def scalars(events: Sequence[AnyEvent]) -> Iterator[Scalar]:
    """Yield every number in the journal of one run, in order."""
    reader = ScalarReader()
    for event in events:
        yield from reader.of(event)


def write_jsonl(path: Path, runs: Sequence[Sequence[AnyEvent]]) -> int:
    """Write the numbers of all ``runs`` to ``path`` and return their count; raises ``StorageProblem``."""
    lines = [msgspec.json.encode(item) for events in runs for item in scalars(events)]
    write_atomic(path, b"".join(line + b"\n" for line in lines))
    return len(lines)


def write_tensorboard(folder: Path, runs: Sequence[Sequence[AnyEvent]]) -> int:
    """Write event files, one folder per run, into ``folder``; return the count of numbers.

    Raises ``SettingsProblem`` if TensorBoard is not installed, ``StorageProblem`` if a file cannot be written.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise SettingsProblem("TensorBoard is not installed.", cure="Install it: pip install tensorboard.")
    # optional and without types: imported by name
    writer_of: Any = importlib.import_module("tensorboard.summary").Writer
    count = 0
    with storage_errors(folder):
        for events in runs:
            writer: Any = None
            for item in scalars(events):
                writer = writer or writer_of(str(folder / item.run))
                writer.add_scalar(item.name, item.value, item.global_step, wall_time=item.at)
                count += 1
            if writer is not None:
                writer.close()
    return count
