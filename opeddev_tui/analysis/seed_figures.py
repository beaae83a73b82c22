"""Figures of one step over its seeds: each seed's best epoch, their spread, and which seed to choose. Pure.

The spread says how much of a difference is chance: the seeds differ only in the order of rows, in dropout and in new
adapters.
"""

import statistics
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from opeddev_tui.analysis.grade_evidence import common_way, distances_of
from opeddev_tui.format import number
from opeddev_tui.runs.groups import Group, chosen_run
from opeddev_tui.runs.history import RunRecord
from opeddev_tui.runs.state import RunState

Metric = Literal["loss", "grade"]


class Spread(Struct, frozen=True):
    """Mean, least, greatest and standard deviation (of the sample) of ``n`` seeds; ``sd`` is None for one."""

    n: int
    mean: float
    low: float
    high: float
    sd: float | None = None

    def words(self, digits: int = 4) -> str:
        """Return it as a phrase: 2.3100 (2.2900 to 2.3300, sd 0.0200, n 3)."""
        sd = f", sd {number(self.sd, digits)}" if self.sd is not None else ""
        return (
            f"{number(self.mean, digits)} ({number(self.low, digits)} to {number(self.high, digits)}{sd}, n {self.n})"
        )


class SeedFigures(Struct, frozen=True):
    """One seed's figures at its best epoch; None what was not measured.

    ``loss`` is the hold-out loss, ``kappa`` the weighted kappa of the step's model, ``distance`` its mean distance from
    the right grades, read in one way for all seeds.
    """

    seed: int
    run: str
    status: str
    epoch: int | None = None
    loss: float | None = None
    kappa: float | None = None
    distance: float | None = None
    chosen: bool = False


class StepSpread(Struct, frozen=True):
    """All seeds of a step, and the spread of those that finished (None where none has the figure)."""

    group: str
    step: int
    metric: Metric
    seeds: tuple[SeedFigures, ...]
    loss: Spread | None = None
    kappa: Spread | None = None
    distance: Spread | None = None

    @property
    def finished(self) -> list[SeedFigures]:
        """The seeds whose run is finished."""
        return [item for item in self.seeds if item.status == "finished"]

    def value(self, item: SeedFigures) -> float | None:
        """Return what a seed is compared by: less is better."""
        return item.distance if self.metric == "grade" and self.distance is not None else item.loss


def spread_of(values: Sequence[float | None]) -> Spread | None:
    """Return the spread of the values that are known."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    sd = statistics.stdev(known) if len(known) > 1 else None
    return Spread(len(known), statistics.fmean(known), min(known), max(known), sd)


def step_spread(group: Group, records: Sequence[RunRecord]) -> StepSpread:
    """Return the figures of ``group``; ``records`` are all runs."""
    states = {record.id: record.state for record in records}
    chosen = chosen_run(group, records)
    of_grades = _distances([states[item.run] for item in group.members if item.run in states])
    seeds = tuple(
        _figures(item.seed, item.run, states.get(item.run), of_grades.get(item.run), chosen) for item in group.members
    )
    done = [item for item in seeds if item.status == "finished"]
    metrics = {states[item.run].begun.metric for item in done}
    return StepSpread(
        group=group.id,
        step=group.step,
        metric="grade" if metrics == {"grade"} else "loss",
        seeds=seeds,
        loss=spread_of([item.loss for item in done]),
        kappa=spread_of([item.kappa for item in done]),
        distance=spread_of([item.distance for item in done]),
    )


def _figures(
    seed: int, run: str, state: RunState | None, distance: float | None, chosen: RunRecord | None
) -> SeedFigures:
    best = state.best_epoch() if state is not None else None
    if state is None or best is None:
        return SeedFigures(seed, run, state.status if state is not None else "waiting")
    grades = state.grades.get(best)
    return SeedFigures(
        seed=seed,
        run=run,
        status=state.status,
        epoch=best,
        loss=state.epochs[best].val_loss,
        kappa=grades.kappa if grades is not None and not grades.leaves_out else None,
        distance=distance,
        chosen=chosen is not None and chosen.id == run,
    )


def _distances(states: Sequence[RunState]) -> dict[str, float]:
    """Return by run how far its best epoch's model is from the right grades; empty where seeds were read otherwise."""
    done = [state for state in states if state.status == "finished"]
    readings = {
        state.begun.run: state.readings[best]
        for state in done
        if (best := state.best_epoch()) is not None and best in state.readings
    }
    way = common_way(readings.values()) if len(readings) == len(done) and done else ""
    found = {run: distances_of(read, way) for run, read in readings.items()} if way else {}
    return {run: item.mean for run, item in found.items() if item is not None}


def choose(spread: StepSpread, how: str) -> SeedFigures | None:
    """Return the seed that ``how`` (best, median or a seed) chooses, None for ask or where none can be chosen.

    The median of an even number is the better one of the middle two.
    """
    if how.isdecimal():
        return next((item for item in spread.finished if item.seed == int(how)), None)
    ranked = sorted(
        (item for item in spread.finished if spread.value(item) is not None),
        key=lambda item: (spread.value(item), item.seed),
    )
    if not ranked or how == "ask":
        return None
    return ranked[(len(ranked) - 1) // 2] if how == "median" else ranked[0]
