"""The logged points of a run as arrays."""

from __future__ import annotations  # array[float] is only subscriptable from Python 3.12

import math
from array import array
from dataclasses import dataclass, field

from opeddev_tui.runs import events as ev

_NAN = float("nan")


@dataclass
class Curves:
    """Logged points, one array per field; a missing number is NaN."""

    global_step: array[float] = field(default_factory=lambda: array("d"))
    epoch: array[float] = field(default_factory=lambda: array("d"))
    loss: array[float] = field(default_factory=lambda: array("d"))
    grad_norm: array[float] = field(default_factory=lambda: array("d"))
    learning_rate: array[float] = field(default_factory=lambda: array("d"))

    def append(self, point: ev.Progress) -> None:
        """Add a point; points of optimizer steps that are trained again after a crash are dropped."""
        self.drop_from(point.global_step)
        # without a loop over the fields: a run of 100,000 points is read before it is shown
        self.global_step.append(point.global_step)
        self.epoch.append(point.epoch)
        self.loss.append(_NAN if point.loss is None else point.loss)
        self.grad_norm.append(_NAN if point.grad_norm is None else point.grad_norm)
        self.learning_rate.append(_NAN if point.learning_rate is None else point.learning_rate)

    def drop_from(self, global_step: int) -> None:
        """Remove the points of ``global_step`` and later optimizer steps."""
        while self.global_step and self.global_step[-1] >= global_step:
            for column in (self.global_step, self.epoch, self.loss, self.grad_norm, self.learning_rate):
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
