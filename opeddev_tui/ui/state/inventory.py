"""Batches of a workspace with what the runs recorded about them: trained or not, token lengths, cumulative size.

Pure: rows come from ``data_scan``, states from the journals, and which step a batch is from ``trained_steps``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from opeddev_tui.analysis.trained_steps import Step, Steps, match_steps
from opeddev_tui.runs.events import TokenStats, TrainedBatch
from opeddev_tui.runs.state import RunState
from opeddev_tui.ui.state.view import BatchRow


def inventory(rows: Sequence[BatchRow], states: Sequence[RunState]) -> tuple[BatchRow, ...]:
    """Return the steps in order, each with its batch, its state, token lengths and cumulative size.

    A batch that a step trained and that is not there any more has a line of its own.
    """
    if not rows:
        return ()
    found = match_steps([_known(row) for row in rows], states)
    stats = _Stats(states)
    busy = {state.started.step for state in states if state.started is not None and not state.over}
    words = _words(found, rows, busy)
    result: list[BatchRow] = []
    total = 0
    for step in found.steps:
        if step.place is None:
            lost = step.was or TrainedBatch(step.name)
            word = words[step.number]
            result.append(BatchRow(lost.name, step.number, rows=lost.rows, state=word, change=step.change, there=False))
            continue
        row = rows[step.place]
        total += row.rows or 0
        result.append(
            replace(
                row,
                number=step.number,
                state=words[step.number],
                cumulative=total or None,
                tokens=stats.of(_known(row)),
                change=step.change,
            )
        )
    return tuple(result)


def _known(row: BatchRow) -> TrainedBatch:
    return row.rows_as or TrainedBatch(row.name, row.rows or 0)


def _words(found: Steps, rows: Sequence[BatchRow], busy: set[int]) -> dict[int, str]:
    """Return the state of each step in a word or two; exactly one is next, unless nothing is left to train."""
    words: dict[int, str] = {}
    branch = found.branch if found.branch not in busy else None
    next_seen = branch is not None
    for step in found.steps:
        word = _word(step, rows, busy, next_seen, branch)
        next_seen = next_seen or word in ("next", "problem")
        words[step.number] = word
    return words


def _word(step: Step, rows: Sequence[BatchRow], busy: set[int], next_seen: bool, branch: int | None) -> str:
    if step.place is not None and rows[step.place].problem:
        return "problem"
    if step.number == branch:
        return "next"
    if step.word != "open":
        return f"step {step.number}" if step.word == "trained" else "trained"
    if step.number in busy:
        return "training"
    return "waiting" if next_seen else "next"


class _Stats:
    """Token lengths as the runs counted them, the newest ones of each batch."""

    def __init__(self, states: Iterable[RunState]) -> None:
        self._by_rows: dict[str, TokenStats] = {}
        self._by_name: dict[str, TokenStats] = {}
        for state in states:
            batches = state.started.batches if state.started is not None else ()
            self._by_name.update({item.name: item for item in state.token_stats})
            if len(batches) == len(state.token_stats):
                self._by_rows.update(
                    {batch.fingerprint: item for batch, item in zip(batches, state.token_stats, strict=True)}
                )

    def of(self, batch: TrainedBatch) -> TokenStats | None:
        """Return those of ``batch``, None if no run counted them."""
        if batch.fingerprint and self._by_rows:
            return self._by_rows.get(batch.fingerprint)
        return self._by_name.get(batch.name)
