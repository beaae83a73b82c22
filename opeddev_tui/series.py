"""Owns the steps of a workspace as one series: for each step its size, its best epoch and how sure that is.

Intervals are percentile bootstraps over the hold-out examples (Efron and Tibshirani 1993), losses in nats a token.
numpy is imported when numbers are asked for, so that a screen can know this module and still start fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from opeddev_tui.events import GradesMeasured, HoldoutEvaluated
from opeddev_tui.history import RunRecord
from opeddev_tui.intervals import CONFIDENCE, percentile_interval, resampled_sums
from opeddev_tui.state import RunState

if TYPE_CHECKING:
    from opeddev_tui.intervals import Numbers

_SAMPLES = 2000


class StepPoint(Struct, frozen=True):
    """The best trained epoch of one step. ``rows`` counts all rows it was trained on, earlier batches included."""

    step: int
    batch: str
    rows: int
    epoch: int
    loss: float
    interval: tuple[float, float]
    sums: tuple[float, ...]
    tokens: tuple[int, ...]
    grades: GradesMeasured | None = None


def steps_of(records: Sequence[RunRecord]) -> list[RunRecord]:
    """Return one run a step, in order: the newest finished one, or the newest that trained an epoch.

    Repetitions are left out: they are there to be compared.
    """
    chosen: dict[int, RunRecord] = {}
    for record in records:
        known = chosen.get(record.step)
        finished = record.state.status == "finished"
        if record.state.best_epoch() is None or record.state.repeats:
            continue
        if finished or known is None or known.state.status != "finished":
            chosen[record.step] = record
    return [chosen[step] for step in sorted(chosen)]


def points(states: Sequence[RunState]) -> list[StepPoint]:
    """Return the point of each state that was scored on the same hold-out as the last one, smallest first."""
    found: dict[int, StepPoint] = {}
    started = [state.started for state in states if state.started]
    holdout = started[-1].holdout_fingerprint if started else ""
    for state in states:
        point = _point(state, holdout)
        if point is not None:
            found[point.step] = point
    return sorted(found.values(), key=lambda point: (point.rows, point.step))


def _point(state: RunState, holdout: str) -> StepPoint | None:
    best = state.best_epoch()
    started = state.started
    if started is None or best is None or best not in state.holdout or started.holdout_fingerprint != holdout:
        return None
    evaluated = state.holdout[best]
    return StepPoint(
        step=started.step,
        batch=started.batch,
        rows=started.rows,
        epoch=best,
        loss=evaluated.loss,
        interval=loss_interval(evaluated),
        sums=evaluated.sums,
        tokens=evaluated.tokens,
        grades=state.grades.get(best),
    )


def resampled_losses(sums: Numbers, tokens: Numbers, samples: int, seed: int) -> Numbers:
    """Return losses on ``samples`` hold-outs drawn from this one, one row a draw.

    ``sums`` and ``tokens`` have one row a model and one column an example: all models are scored on the same draw.
    """
    import numpy as np

    drawn = resampled_sums(np.concatenate([sums, tokens]), samples, seed)
    result: Numbers = (drawn[: len(sums)] / drawn[len(sums) :]).T
    return result


def loss_interval(
    evaluated: HoldoutEvaluated, *, confidence: float = CONFIDENCE, samples: int = _SAMPLES, seed: int = 0
) -> tuple[float, float]:
    """Return the interval of the mean loss: what other hold-outs of this kind and size would show."""
    if len(evaluated.sums) < 2:
        return evaluated.loss, evaluated.loss
    sums, tokens = resampled_sums([evaluated.sums, evaluated.tokens], samples, seed)
    return percentile_interval(sums / tokens, confidence)
