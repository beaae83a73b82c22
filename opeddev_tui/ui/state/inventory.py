"""Batches of a workspace with what the runs recorded about them: trained or not, token lengths, cumulative size.

Pure: rows come from ``data_scan``, states from the journals, and which step a batch is from ``trained_steps``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from msgspec.structs import replace

from opeddev_tui.analysis.next_step import chosen_in, up_to_chosen
from opeddev_tui.analysis.trained_steps import Step, Steps, match_steps
from opeddev_tui.analysis.whats_next import Known, StepWord, newest_runs, step_words, whats_next
from opeddev_tui.runs.events import TokenStats, TrainedBatch
from opeddev_tui.runs.groups import Undecided
from opeddev_tui.runs.history import status_of
from opeddev_tui.runs.state import RunState
from opeddev_tui.ui.state.view import BatchRow


def inventory(
    rows: Sequence[BatchRow],
    states: Sequence[RunState],
    *,
    alive: bool = True,
    starting: bool = False,
    undecided: Mapping[int, Undecided] = MappingProxyType({}),
) -> tuple[BatchRow, ...]:
    """Return the steps in order, each with its batch, its state, token lengths and cumulative size.

    A batch that a step trained and that is not there any more has a line of its own. ``alive``: a process trains the
    newest of the runs (``states`` are oldest first); ``starting``: its run has not begun. ``undecided`` are seeds
    by step.
    """
    if not rows:
        return ()
    begun = [state for state in states if state.started is not None]
    found = match_steps([_known(row) for row in rows], begun)
    upcoming = _upcoming(found, begun)
    newest = newest_runs(_statuses(begun, alive=alive))
    wrong = {place: row.problems for place, row in enumerate(rows) if row.problem}
    seeds = undecided.get(upcoming.number) if upcoming is not None else None
    words = step_words(found, upcoming, newest, wrong, starting=starting, seeds=seeds)
    coming = whats_next(found, upcoming, newest, wrong, seeds=seeds)
    stats = _Stats(states)
    result, total = list[BatchRow](), 0
    for step in found.steps:
        if step.place is None:
            result.append(_lost(step, words[step.number]))
            continue
        row = rows[step.place]
        total += row.rows or 0
        shown = replace(
            row,
            number=step.number,
            state=words[step.number],
            cumulative=total or None,
            tokens=stats.of(_known(row)),
            change=step.change,
        )
        if step == coming.step:
            shown = replace(shown, following=True, resumes=coming.resumes, seeds=coming.seeds)
        result.append(shown)
    return tuple(result)


def _lost(step: Step, word: StepWord) -> BatchRow:
    """Return the line of a batch that a step trained and that is not there any more."""
    lost = step.was or TrainedBatch(step.name)
    return BatchRow(lost.name, step.number, rows=lost.rows, state=word, change=step.change, there=False)


def _upcoming(found: Steps, states: Sequence[RunState]) -> Step | None:
    """Return the step that a training takes up next, the one that was chosen at the question where that waits."""
    following = found.next
    return up_to_chosen(found, following, chosen_in(following.number, states).batch) if following is not None else None


def _statuses(states: Sequence[RunState], *, alive: bool) -> list[Known]:
    """Return each run with its present status: only the newest can be trained, or several seeds together."""
    last = states[-1] if states else None
    return [(state, status_of(state, alive=alive and (state is last or bool(state.group)))) for state in states]


def _known(row: BatchRow) -> TrainedBatch:
    return row.rows_as or TrainedBatch(row.name, row.rows or 0)


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
