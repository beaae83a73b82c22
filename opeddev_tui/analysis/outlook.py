"""Whether more rows are worth it, in words: what the forecast is worth comes first, then the forecast, then the grades.

Screen, plots and report take these sentences from here. Nothing is promised where the last rows brought no gain beyond
noise; where the steps differ in more than their rows, the forecast is a mere continuation of the trend and says so
first. Pure functions; numpy is imported on first use.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from msgspec import Struct

from opeddev_tui.analysis.early_stopping import Difference, paired_difference
from opeddev_tui.analysis.forecast import Forecast, forecast_of
from opeddev_tui.analysis.learning_curve import StepPoint, grade_points, points
from opeddev_tui.analysis.step_grades import grade_series
from opeddev_tui.format import number
from opeddev_tui.runs.events import HoldoutEvaluated
from opeddev_tui.runs.state import RunState

_NAMES = {"loss": "hold-out loss", "grade": "distance from the right grades"}


class Outlook(Struct, frozen=True):
    """``reservation`` keeps the forecast from being a promise ("" for none), ``forecast`` is what there is to draw.

    ``promise`` is the forecast in words, ``grades`` the kappa per step; both "" where there is nothing to say.
    """

    reservation: str = ""
    promise: str = ""
    grades: str = ""
    forecast: Forecast | None = None

    @property
    def words(self) -> str:
        """All of it; "" where nothing is known."""
        return " ".join(filter(None, (self.reservation, self.promise, self.grades)))

    def lines(self, width: int, most: int) -> list[str]:
        """Return what ``most`` lines of ``width`` cells hold uncut; a promise never without what is said against it.

        Where not even the reservation fits, it is what is cut.
        """
        parts = (
            (self.reservation, self.promise, self.grades),
            (self.reservation, self.grades),
            (self.reservation, self.promise),
            (self.reservation,),
        )
        wrapped = [textwrap.wrap(" ".join(filter(None, part)), width) for part in parts]
        return next((lines for lines in wrapped if len(lines) <= most), wrapped[-1][:most])


def outlook_of(states: Sequence[RunState]) -> Outlook:
    """Return the outlook from the steps in ``states`` (one per step, in order)."""
    grades = grade_series(states)
    started = [state for state in states if state.started is not None]
    metric = "grade" if started and started[-1].begun.metric == "grade" else "loss"
    series = grade_points(started) if metric == "grade" else points(started)
    if idle := _within_noise(series, metric):
        return Outlook(idle, grades=grades)
    found = forecast_of(states)
    if found is None:
        return Outlook(grades=grades)
    differing = _differing(started, series)
    if not differing:
        return Outlook(promise=found.words, grades=grades, forecast=found)
    reservation = f"Not from rows alone: the steps also differ in {' and '.join(differing)}."
    return Outlook(reservation, found.words_if, grades, found)


def last_gain(series: Sequence[StepPoint]) -> Difference | None:
    """Return what the last step changed, paired over the hold-out; None below two steps or without their rows."""
    if len(series) < 2:
        return None
    before, last = series[-2:]
    if before.rows >= last.rows or len(before.sums) != len(last.sums) or len(last.sums) < 2:
        return None
    one, other = (
        HoldoutEvaluated(epoch=item.epoch, loss=item.loss, sums=item.sums, tokens=item.tokens)
        for item in (before, last)
    )
    return paired_difference(one, other)


def _within_noise(series: Sequence[StepPoint], metric: str) -> str:
    """Return that the last rows brought no gain beyond noise, as a sentence; "" where they did, or nobody knows."""
    gain = last_gain(series)
    if gain is None or gain.significant:
        return ""
    before, last = series[-2:]
    what = _NAMES[metric]
    low, high = (f"{round(end, 3) + 0.0:+.3f}" for end in gain.interval)
    brought = "made it worse" if gain.interval[1] < 0 else "brought no gain beyond noise"
    return (
        f"No forecast: the last {last.rows - before.rows:,} rows {brought} ({what} "
        f"{number(before.loss)} to {number(last.loss)}, 95% interval of the fall {low} to {high})."
    )


def _differing(states: Sequence[RunState], series: Sequence[StepPoint]) -> list[str]:
    """Return in what beside their rows the steps of ``series`` differ, as far as their runs recorded it."""
    steps = {point.step for point in series}
    same = [state for state in states if state.begun.step in steps]
    data = [state.data for state in same if state.data is not None]
    found: dict[str, set[object]] = {
        "learning rate": {item.learning_rate for item in data},
        "epochs trained": {point.epoch for point in series},
        "effective batch": {item.effective_batch for item in data},
        "model": {state.begun.model for state in same},
        "full training or LoRA": {state.begun.lora for state in same},
    }
    return [name for name, values in found.items() if len(values) > 1]
