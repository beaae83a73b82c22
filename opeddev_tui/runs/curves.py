"""The logged points of a run as arrays."""

from __future__ import annotations  # array[float] is only subscriptable from Python 3.12

import math
from array import array

from msgspec import Struct, field

from opeddev_tui.runs import events as ev

_NAN = float("nan")


class Curves(Struct):
    """Logged points, one array per field; a missing number is NaN."""

    global_step: array[float] = field(default_factory=lambda: array("d"))
    epoch: array[float] = field(default_factory=lambda: array("d"))
    loss: array[float] = field(default_factory=lambda: array("d"))
    grad_norm: array[float] = field(default_factory=lambda: array("d"))
    learning_rate: array[float] = field(default_factory=lambda: array("d"))
    samples_per_second: array[float] = field(default_factory=lambda: array("d"))

    def append(self, point: ev.Progress) -> None:
        """Add a point; points of optimizer steps that are trained again after a crash are dropped."""
        self.drop_from(point.global_step)
        # without a loop over the fields: a run of 100,000 points is read before it is shown
        self.global_step.append(point.global_step)
        self.epoch.append(point.epoch)
        self.loss.append(_NAN if point.loss is None else point.loss)
        self.grad_norm.append(_NAN if point.grad_norm is None else point.grad_norm)
        self.learning_rate.append(_NAN if point.learning_rate is None else point.learning_rate)
        self.samples_per_second.append(_NAN if point.samples_per_second is None else point.samples_per_second)

    def drop_from(self, global_step: int) -> None:
        """Remove the points of ``global_step`` and later optimizer steps."""
        while self.global_step and self.global_step[-1] >= global_step:
            for column in (self.global_step, self.epoch, self.loss, self.grad_norm, self.learning_rate,
                           self.samples_per_second):  # fmt: skip
                column.pop()

    def mean_loss(self, epoch: int) -> float | None:
        """Return the mean train loss of ``epoch`` (1 and up), None without a finite point."""
        total, count = 0.0, 0
        for at, loss in zip(reversed(self.epoch), reversed(self.loss), strict=True):
            if at <= epoch - 1 + 1e-9:
                break
            if at <= epoch + 1e-9 and not math.isnan(loss):
                total, count = total + loss, count + 1
        return total / count if count else None


class GpuHistory(Struct):
    """Readings of one GPU, one array per field: percent, bytes, NaN where there was none. ``newest`` is the last."""

    newest: ev.GpuReading
    at: array[float] = field(default_factory=lambda: array("d"))
    percent: array[float] = field(default_factory=lambda: array("d"))
    memory: array[float] = field(default_factory=lambda: array("d"))

    def append(self, at: float, reading: ev.GpuReading) -> None:
        """Add a reading of the time ``at`` (Unix seconds)."""
        self.newest = reading
        self.at.append(at)
        self.percent.append(_NAN if reading.percent is None else reading.percent)
        self.memory.append(_NAN if reading.memory_used is None else reading.memory_used)


def gpus_of(sample: ev.HardwareSampled) -> tuple[ev.GpuReading, ...]:
    """Return the GPUs of a sample; one recorded before there were several has the fields of the first alone."""
    if sample.gpus or not (sample.gpu_memory_total or sample.gpu_percent is not None):
        return sample.gpus
    return (
        ev.GpuReading(
            memory_used=sample.gpu_memory_used,
            memory_total=sample.gpu_memory_total,
            percent=sample.gpu_percent,
            celsius=sample.gpu_celsius,
        ),
    )


def _name_of(gpu: ev.GpuReading) -> str:
    return gpu.uuid or f"{gpu.host} GPU {gpu.index}".strip()


class MachineHistory(Struct):
    """Readings of the machine, one array per field: bytes and percent, NaN where there is no such reading."""

    at: array[float] = field(default_factory=lambda: array("d"))
    global_step: array[float] = field(default_factory=lambda: array("d"))
    epoch: array[float] = field(default_factory=lambda: array("d"))
    cpu: array[float] = field(default_factory=lambda: array("d"))
    ram: array[float] = field(default_factory=lambda: array("d"))
    gpu: array[float] = field(default_factory=lambda: array("d"))
    gpu_memory: array[float] = field(default_factory=lambda: array("d"))
    # every GPU that was used, by UUID; by its index where it has none
    gpus: dict[str, GpuHistory] = field(default_factory=dict)

    def append(self, reading: ev.HardwareSampled, point: ev.Progress | None) -> None:
        """Add a reading, at the place of the newest logged ``point``."""
        self.at.append(reading.at)
        self.global_step.append(point.global_step if point is not None else 0)
        self.epoch.append(point.epoch if point is not None else 0.0)
        self.cpu.append(reading.cpu_percent)
        self.ram.append(reading.ram_used)
        self.gpu.append(_NAN if reading.gpu_percent is None else reading.gpu_percent)
        self.gpu_memory.append(_NAN if reading.gpu_memory_used is None else reading.gpu_memory_used)
        for gpu in gpus_of(reading):
            self._history(gpu).append(reading.at, gpu)

    def _history(self, gpu: ev.GpuReading) -> GpuHistory:
        """Return the history of a GPU, a new one where it has none."""
        nameless, name = f"GPU {gpu.index}", _name_of(gpu)
        if name not in self.gpus:
            # version 0.1 named no UUID: a run that was resumed since goes on with the same GPU
            self.gpus[name] = self.gpus.pop(nameless) if nameless in self.gpus and not gpu.host else GpuHistory(gpu)
        return self.gpus[name]

    def of(self, gpu: ev.GpuReading) -> GpuHistory | None:
        """Return the history of the GPU of a reading, None where there is none."""
        return self.gpus.get(_name_of(gpu))
