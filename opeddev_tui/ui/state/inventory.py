"""Batches of a workspace with what the runs recorded about them: trained or not, token lengths, cumulative size.

Pure: rows come from ``data_scan``, states from the journals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from opeddev_tui.runs.state import RunState
from opeddev_tui.ui.state.view import BatchRow


def inventory(rows: Sequence[BatchRow], states: Sequence[RunState]) -> tuple[BatchRow, ...]:
    """Return the batches in order with their state, token lengths and cumulative size."""
    trained = _trained_steps(states)
    stats = {item.name: item for state in states for item in state.token_stats}
    busy = {state.started.batch for state in states if state.started is not None and not state.over}
    result: list[BatchRow] = []
    total, next_seen = 0, False
    for row in rows:
        total += row.rows or 0
        word = _word(row, trained, busy, next_seen)
        next_seen = next_seen or word in ("next", "problem")
        result.append(replace(row, state=word, cumulative=total or None, tokens=stats.get(row.name)))
    return tuple(result)


def _trained_steps(states: Sequence[RunState]) -> dict[str, int]:
    """Return the step in which each batch was trained, by the batch's name."""
    return {
        state.started.batch: state.started.step
        for state in states
        if state.finished and state.started is not None and not state.repeats
    }


def _word(row: BatchRow, trained: Mapping[str, int], busy: set[str], next_seen: bool) -> str:
    if row.problem:
        return "problem"
    if row.name in trained:
        return f"step {trained[row.name]}"
    if row.name in busy:
        return "training"
    return "waiting" if next_seen else "next"
