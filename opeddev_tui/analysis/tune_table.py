"""Compare settings by their folds: mean and spread of each, and whether the best differs by more than the noise. Pure.

Every row is held out once, so two settings are compared row by row, with a bootstrap over the rows.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from opeddev_tui.analysis.early_stopping import Difference, paired_difference
from opeddev_tui.analysis.grade_evidence import common_way, distances_of
from opeddev_tui.analysis.seed_figures import Spread, spread_of
from opeddev_tui.runs.events import HoldoutEvaluated
from opeddev_tui.runs.state import RunState
from opeddev_tui.runs.tunings import Cell, Tuning


class SettingFigures(Struct, frozen=True):
    """One setting: its overrides, the metric of each fold at its best epoch (None: not trained), and their spread."""

    setting: tuple[str, ...]
    folds: tuple[float | None, ...]
    spread: Spread | None
    epochs: tuple[int | None, ...] = ()

    @property
    def complete(self) -> bool:
        """True if every fold is trained."""
        return None not in self.folds


class TuneTable(Struct, frozen=True):
    """All settings, the number of the best, the difference to the next best, and the result in a sentence or two.

    ``metric`` is loss (nats per token) or grade (distance from the right grades). ``difference`` is None where two
    settings cannot be compared row by row.
    """

    metric: str
    settings: tuple[SettingFigures, ...]
    best: int | None = None
    second: int | None = None
    difference: float | None = None
    interval: tuple[float, float] | None = None
    sure: bool = False
    words: str = ""


def tune_table(tuning: Tuning, results: Mapping[Cell, RunState]) -> TuneTable:
    """Return the table of what is trained; the best is named once every fold of two settings is."""
    metric = "grade" if tuning.metric == "grade" else "loss"
    scored = {cell: _evaluated(state, metric) for cell, state in results.items()}
    rows = tuple(_figures(tuning, number, scored, results) for number in range(len(tuning.grid)))
    means = [(row.spread.mean, number) for number, row in enumerate(rows) if row.complete and row.spread is not None]
    if len(means) < 2:
        return TuneTable(metric, rows)
    best, second = (number for _, number in sorted(means)[:2])
    found = _difference(tuning, best, second, scored)
    return TuneTable(
        metric=metric,
        settings=rows,
        best=best,
        second=second,
        difference=found.mean if found is not None else None,
        interval=found.interval if found is not None else None,
        sure=found is not None and found.significant,
        words=_words(metric, rows[best], rows[second], found, len(means)),
    )


def _evaluated(state: RunState, metric: str) -> HoldoutEvaluated | None:
    """Return the figures of a fold's best epoch on its held-out rows, row by row."""
    best = state.best_epoch()
    if best is None:
        return None
    if metric == "loss":
        return state.holdout.get(best)
    read = state.readings.get(best)
    way = common_way([read]) if read is not None else ""
    known = distances_of(read, way) if read is not None and way else None
    if known is None:
        return None
    return HoldoutEvaluated(epoch=best, loss=known.mean, sums=known.distances, tokens=(1,) * len(known.distances))


def _figures(
    tuning: Tuning, number: int, scored: Mapping[Cell, HoldoutEvaluated | None], results: Mapping[Cell, RunState]
) -> SettingFigures:
    cells = [Cell(number, fold) for fold in range(tuning.folds)]
    found = [scored.get(cell) for cell in cells]
    values = tuple(item.loss if item is not None else None for item in found)
    epochs = tuple(results[cell].best_epoch() if cell in results else None for cell in cells)
    return SettingFigures(tuning.grid[number], values, spread_of(values), epochs)


def _difference(
    tuning: Tuning, best: int, second: int, scored: Mapping[Cell, HoldoutEvaluated | None]
) -> Difference | None:
    """Return by how much ``best`` is better than ``second``; None where their rows are not the same."""
    pooled = [_pooled([scored[Cell(number, fold)] for fold in range(tuning.folds)]) for number in (second, best)]
    return paired_difference(*pooled) if pooled[0].tokens == pooled[1].tokens else None


def _pooled(found: Sequence[HoldoutEvaluated | None]) -> HoldoutEvaluated:
    sums = tuple(value for item in found if item is not None for value in item.sums)
    tokens = tuple(count for item in found if item is not None for count in item.tokens)
    return HoldoutEvaluated(epoch=0, loss=sum(sums) / sum(tokens), sums=sums, tokens=tokens)


def _words(metric: str, best: SettingFigures, second: SettingFigures, found: Difference | None, compared: int) -> str:
    what = "loss" if metric == "loss" else "distance from the right grades"
    assert best.spread is not None
    text = f"{' '.join(best.setting)} has the least {what}, {best.spread.mean:.4f} on average over the folds."
    if found is None:
        return f"{text} The settings encode rows differently, so the next best cannot be compared row by row."
    low, high = found.interval
    noise = "more than the noise" if found.significant else "within the noise: the interval holds zero"
    text += (
        f" That is {found.mean:.4f} less than the next best, {' '.join(second.setting)} "
        f"(95% interval {low:.4f} to {high:.4f}, {noise})."
    )
    if compared > 2:
        text += f" It is the best of {compared}, so its own figure is a little too good."
    return text
