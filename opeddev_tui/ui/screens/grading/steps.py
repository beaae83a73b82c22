"""Choose the step whose grades are shown, and the way and the epoch of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from opeddev_tui.runs.events import GradesRead, RaceHeld
from opeddev_tui.runs.grade_records import BASE_HEAD, STEP_HEAD, STEP_TOKENS, RacedWay, WayGrades
from opeddev_tui.runs.state import RunState

# which way is shown first where no race has chosen one: the one that grades then (``serving.choice``)
_PREFERRED = (BASE_HEAD, STEP_HEAD, STEP_TOKENS)


class GradedRun(Struct, frozen=True):
    """One run with its state; newest first in lists."""

    run: str
    state: RunState

    @property
    def title(self) -> str:
        """The run as a heading names it."""
        started = self.state.started
        return f"step {started.step}, {started.batch}" if started is not None else self.run

    @property
    def race(self) -> RaceHeld | None:
        """The race on the best epoch's model, else on another one; else the one that says why there is none."""
        if self.state.race is not None:
            return self.state.race
        races = [self.state.races[epoch] for epoch in sorted(self.state.races)]
        return next((race for race in reversed(races) if race.ways), races[-1] if races else None)


def graded_runs(rows: Sequence[tuple[str, RunState]], current: str, state: RunState) -> list[GradedRun]:
    """Return all runs that have begun, newest first; ``state`` is the newest of the run ``current``."""
    found = [GradedRun(run, state if run == current else known) for run, known in rows]
    if current and current not in {run for run, _ in rows}:
        found.insert(0, GradedRun(current, state))
    return [item for item in found if item.state.started is not None and not item.state.repeats]


def steps_up_to(runs: Sequence[GradedRun], place: int) -> list[RunState]:
    """Return the run at ``place`` behind the newest run of each step before its own, in the order of the steps."""
    state = runs[place].state
    earlier = {
        run.state.begun.step: run.state
        for run in reversed(runs)
        if run.state.counts and run.state.epochs and run.state.begun.step < state.begun.step
    }
    return [*(earlier[step] for step in sorted(earlier)), state]


def first_shown(runs: Sequence[GradedRun]) -> int:
    """Return the place of the newest run with a race, else of the newest with grades, else of the newest."""
    raced = [place for place, item in enumerate(runs) if item.race is not None and item.race.ways]
    read = [place for place, item in enumerate(runs) if item.state.readings]
    return next(iter((*raced, *read)), 0)


def reading_at(state: RunState, race: RaceHeld | None, later: int) -> tuple[GradesRead | None, int]:
    """Return what was read ``later`` epochs after the race's, or after the newest where there is no race.

    Negative ``later`` is before it; it is returned as it is kept inside what there is.
    """
    epochs = sorted(state.readings)
    if not epochs:
        return None, 0
    start = epochs.index(race.epoch) if race is not None and race.epoch in epochs else len(epochs) - 1
    place = max(0, min(start + later, len(epochs) - 1))
    return state.readings[epochs[place]], place - start


def trusted_ways(read: GradesRead, race: RaceHeld | None) -> list[WayGrades]:
    """Return the ways with probabilities, the one that grades first."""
    chosen = race.chosen if race is not None else ""
    order = (chosen, *_PREFERRED)
    ways = [way for way in read.ways if way.probabilities]
    return sorted(ways, key=lambda way: order.index(way.way) if way.way in order else len(order))


def read_so_far(read: GradesRead) -> tuple[RacedWay, ...]:
    """Return the ways of a reading as rows of a race: nothing is compared with the cheap ways yet."""
    ways = [
        RacedWay(way=way.way, words=way.words, figures=way.figures, seconds=way.seconds, grades=way.grades)
        for way in read.ways
    ]
    return tuple(sorted(ways, key=_kappa, reverse=True))


def _kappa(way: RacedWay) -> float:
    figure = way.figures.get("kappa")
    return figure.value if figure is not None and figure.value is not None else float("-inf")
