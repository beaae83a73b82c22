"""The batches of a workspace with what the runs tell about them: trained or not, token lengths, cumulative size.

Pure: rows come from ``scan``, states from the journals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from opeddev_tui.runs.events import RunStarted, TokenStats
from opeddev_tui.runs.state import RunState
from opeddev_tui.ui.state.view import BatchRow


def inventory(rows: Sequence[BatchRow], states: Sequence[RunState]) -> tuple[BatchRow, ...]:
    """Return the batches in order with their state, token lengths and cumulative size."""
    trained = trained_steps(states)
    stats: dict[str, TokenStats] = {}
    for state in states:
        stats.update({item.name: item for item in state.token_stats})
    busy = {state.started.batch for state in states if state.started is not None and not state.over}
    result: list[BatchRow] = []
    total, next_seen = 0, False
    for row in rows:
        total += row.rows or 0
        word = _word(row, trained, busy, next_seen)
        next_seen = next_seen or word in ("next", "problem")
        result.append(_with_stats(replace(row, state=word, cumulative=total or None), stats.get(row.name)))
    return tuple(result)


def trained_steps(states: Sequence[RunState]) -> dict[str, int]:
    """Return the step in which each batch was trained, by the batch's name."""
    starts: list[RunStarted] = [
        state.started for state in states if state.finished and state.started and not state.repeats
    ]
    return {started.batch: started.step for started in starts}


def _word(row: BatchRow, trained: Mapping[str, int], busy: set[str], next_seen: bool) -> str:
    if row.problem:
        return "problem"
    if row.name in trained:
        return f"step {trained[row.name]}"
    if row.name in busy:
        return "training"
    return "waiting" if next_seen else "next"


def _with_stats(row: BatchRow, stats: TokenStats | None) -> BatchRow:
    if stats is None:
        return row
    return replace(
        row,
        rows=row.rows if row.rows is not None else stats.rows,
        tokens=stats.tokens,
        loss_tokens=stats.loss_tokens,
        median=stats.median,
        percentile_95=stats.percentile_95,
        longest=stats.longest,
    )
