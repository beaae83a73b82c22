"""Orders of the list of runs: by what it shows, what is not known or not comparable last. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from opeddev_tui.ui.state.view import RunRow

_STATES = ("training", "awaiting", "paused", "starting", "failed", "interrupted", "finished")
_LAST = math.inf


def _loss(row: RunRow) -> float:
    """Return the hold-out loss after the newest epoch."""
    losses = row.state.holdout
    loss = losses[max(losses)].loss if losses else math.nan
    return _LAST if math.isnan(loss) else loss


def _change(row: RunRow) -> float:
    """Return how far the hold-out loss is from that before the step."""
    losses = row.state.holdout
    change = losses[max(losses)].loss - losses[0].loss if 0 in losses and max(losses) else math.nan
    return _LAST if math.isnan(change) else change


def _kappa(row: RunRow) -> float:
    """Return the kappa after the newest epoch, the best lowest."""
    grades = row.state.grades
    kappa = grades[max(grades)].kappa if grades else None
    return _LAST if kappa is None or math.isnan(kappa) else -kappa


def _state(row: RunRow) -> float:
    return _STATES.index(row.status) if row.status in _STATES else _LAST


def _step(row: RunRow) -> float:
    return row.state.started.step if row.state.started is not None else _LAST


# name: what comes first, and whether it can be told only of runs that were scored on one hold-out
ORDERS: Mapping[str, tuple[Callable[[RunRow], float], bool]] = {
    "newest first": (lambda _row: 0.0, False),
    "lowest hold-out loss first": (_loss, True),
    "largest fall first": (_change, True),
    "best kappa first": (_kappa, True),
    "by step": (_step, False),
    "by state": (_state, False),
}


def ordered(rows: Sequence[RunRow], order: str) -> list[RunRow]:
    """Return runs, given from newest to oldest, in an order; runs scored on another hold-out than the newest last."""
    value, compared = ORDERS[order]
    newest = next((row.state.scored_on for row in rows if row.state.holdout), None)
    return sorted(rows, key=lambda row: (compared and row.state.scored_on != newest, value(row)))


def possible(rows: Sequence[RunRow]) -> list[str]:
    """Return the names of the orders for which some run has a value; that of the list as it is stands first."""
    return [name for name, (value, _) in ORDERS.items() if not rows or any(value(row) != _LAST for row in rows)]
