"""The steps of a workspace as one series: size, best epoch and loss interval per step.

Losses are in nats per token, intervals percentile bootstraps over the hold-out examples (Efron and Tibshirani 1993).
numpy is imported on first use, so that the screen starts fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from opeddev_tui.analysis.grade_evidence import common_way, distances_of
from opeddev_tui.intervals import percentile_interval, resampled_sums
from opeddev_tui.runs.events import GradesMeasured, HoldoutEvaluated
from opeddev_tui.runs.history import RunRecord
from opeddev_tui.runs.state import RunState

if TYPE_CHECKING:
    from opeddev_tui.intervals import Numbers

_SAMPLES = 2000


class StepPoint(Struct, frozen=True):
    """The best epoch of one step; ``rows`` counts all rows it was trained on, earlier batches included."""

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
    """Return one run per step, in order: the newest finished one, else the newest that trained an epoch.

    Repetitions and seeds that were not chosen are left out.
    """
    chosen: dict[int, RunRecord] = {}
    for record in records:
        if record.state.best_epoch() is None or not record.state.counts:
            continue
        earlier = chosen.get(record.step)
        if record.state.status == "finished" or earlier is None or earlier.state.status != "finished":
            chosen[record.step] = record
    return [chosen[step] for step in sorted(chosen)]


def points(states: Sequence[RunState]) -> list[StepPoint]:
    """Return the points of the states with the same hold-out as the last one, by size."""
    return [point for point, _ in _pairs(states)]


def grade_points(states: Sequence[RunState]) -> list[StepPoint]:
    """Return ``points`` of the distance from the right grades: ``loss`` is its mean, ``sums`` that of each row.

    Empty where the best epochs of the steps were not read in one way, on the same rows.
    """
    pairs = _pairs(states)
    readings = [state.readings[point.epoch] for point, state in pairs if point.epoch in state.readings]
    way = common_way(readings) if len(readings) == len(pairs) else ""
    found = []
    for (point, _), read in zip(pairs, readings, strict=False):
        known = distances_of(read, way)
        if known is None:
            return []
        ones = (1,) * len(known.distances)
        interval = loss_interval(
            HoldoutEvaluated(epoch=point.epoch, loss=known.mean, sums=known.distances, tokens=ones)
        )
        found.append(replace(point, loss=known.mean, interval=interval, sums=known.distances, tokens=ones))
    return found


def _pairs(states: Sequence[RunState]) -> list[tuple[StepPoint, RunState]]:
    same = comparable([state for state in states if state.started])
    by_step = {point.step: (point, state) for state in same if (point := _point(state)) is not None}
    return sorted(by_step.values(), key=lambda pair: (pair[0].rows, pair[0].step))


def comparable(states: Sequence[RunState]) -> list[RunState]:
    """Return the states that were scored on the same hold-out as the last one: only their losses compare."""
    return [state for state in states if state.scored_on == states[-1].scored_on]


def other_holdouts(states: Sequence[RunState]) -> str:
    """Return a sentence on the steps that were scored on another hold-out than the last one, "" if there are none."""
    others = [state for state in states if state.scored_on != states[-1].scored_on]
    if not others:
        return ""
    numbers = sorted({state.begun.step for state in others})
    which = f"Step {numbers[0]} was" if len(numbers) == 1 else f"Steps {', '.join(map(str, numbers))} were"
    fingerprint, rows = states[-1].scored_on
    return (
        f"{which} scored on another hold-out than step {states[-1].begun.step} ({fingerprint[:12]}, {rows} rows): "
        "their losses and grades are not compared with its."
    )


def _point(state: RunState) -> StepPoint | None:
    best = state.best_epoch()
    started = state.started
    if started is None or best is None or best not in state.holdout:
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
    """Bootstrap the hold-out losses of several models, all on the same resamples: shape [samples, models].

    ``sums`` (summed losses) and ``tokens`` have shape [models, examples].
    """
    import numpy as np

    drawn = resampled_sums(np.concatenate([sums, tokens]), samples, seed)
    result: Numbers = (drawn[: len(sums)] / drawn[len(sums) :]).T
    return result


def loss_interval(evaluated: HoldoutEvaluated) -> tuple[float, float]:
    """Return the 95% interval of the mean loss over other hold-outs of this kind and size."""
    if len(evaluated.sums) < 2:
        return evaluated.loss, evaluated.loss
    sums, tokens = resampled_sums([evaluated.sums, evaluated.tokens], _SAMPLES)
    return percentile_interval(sums / tokens)
