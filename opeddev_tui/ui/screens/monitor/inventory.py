"""Table of the batches: base set and increments in order, their rows, tokens, grades and state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.content import Content

from opeddev_tui.format import histogram, short_count, whole
from opeddev_tui.text import clean_line
from opeddev_tui.ui.state.situation import MARKS
from opeddev_tui.ui.state.view import BatchRow, View
from opeddev_tui.ui.widgets.bars import KIND_STYLES
from opeddev_tui.ui.widgets.pane import Pane, lines
from opeddev_tui.ui.widgets.tables import Column, table

# those of a run are the marks that it has in the bar and in the list of runs
_MARKS = {
    **MARKS, "next": "▶", "training": "●", "waiting": "·", "undecided": "?", "problem": "✗", "trained": "✓",
    "unknown": "!",
}  # fmt: skip
_STYLES = {
    **KIND_STYLES, "next": "bold $primary", "waiting": "$muted", "undecided": "bold $accent", "trained": "$success",
}  # fmt: skip


def _columns(low: int, high: int) -> tuple[Column[BatchRow], ...]:
    def grades(row: BatchRow) -> str:
        counts = dict(row.grades)
        return histogram([counts.get(grade, 0) for grade in range(low, min(high, low + 11) + 1)])

    title = f"grades {low}–{high}"

    def tokens(write: Callable[[int | None], str], figure: str) -> Callable[[BatchRow], str]:
        return lambda row: write(getattr(row.tokens, figure, None))

    return (
        Column("batch", lambda row: clean_line(row.name), right=False, widest=28),
        Column(
            "state",
            lambda row: f"{_MARKS.get(row.state, '·')} {row.state}",
            right=False,
            style=lambda row: _STYLES.get(row.state, "$foreground"),
            width=13,
        ),
        Column("step", lambda row: whole(row.number), rank=4, style="$muted", width=4),
        Column("rows", lambda row: whole(row.rows), width=6),
        Column("total", lambda row: whole(row.cumulative), rank=2, style="$muted", width=6),
        Column(title, grades, rank=1, right=False, style="$primary", width=max(len(title), min(high - low, 11) + 1)),
        Column("median", tokens(whole, "median"), rank=5, width=6),
        Column("p95", tokens(whole, "percentile_95"), rank=6, width=6),
        Column("longest", tokens(whole, "longest"), rank=3, width=7),
        Column("tokens", tokens(short_count, "tokens"), rank=7, width=6),
        Column("in loss", tokens(short_count, "loss_tokens"), rank=8, width=7),
    )


def first_of(problems: Sequence[str]) -> str:
    """Return the first problem, and how many more there are: a key shows all."""
    first, *others = problems
    return f"{first} And {len(others):,} more: {{monitor.in-full}} shows all." if others else first


class InventoryPane(Pane):
    """The data, in the order it is trained."""

    title: ClassVar[str] = "Batches"
    brief: ClassVar[str] = "Each batch adds a step. Only tokens of completions are trained on."
    about: ClassVar[str] = (
        "Rows of each batch and of all so far; tokens after the chat template: half of the rows are shorter than the "
        "median, 95% shorter than p95. Only the tokens of the completion carry loss."
    )

    def render_view(self, view: View, width: int) -> Content:
        """Return the table of batches, and below it what is wrong with the data."""
        if not view.batches:
            base = clean_line(view.folders[0])
            none = "No batches yet." if view.state.started is None else f"No rows: {base} is missing or empty."
            text = none if view.scanned else "Reading the data."
            return Content.styled(text if view.has_workspace else "No workspace, no data.", "$muted")
        parts: list[Content | str] = [table(view.batches, _columns(*view.grades), width)]
        if view.holdout:
            parts += ["", Content.styled(f"hold-out  {clean_line(view.holdout)}", "$muted")]
        problems = [f"{batch.name}: {first_of(batch.problems)}" for batch in view.batches if batch.problem]
        problems = [view.keymap.text(problem) for problem in problems] + list(view.problems)
        parts += [Content.styled(f"✗ {clean_line(view.typed(text))}", "$text-error-own") for text in problems]
        changes = [f"batch {batch.name} is {batch.change}" for batch in view.batches if batch.change]
        parts += [
            Content.styled(f"! {clean_line(view.typed(text))}", "$warning") for text in (*changes, *view.warnings)
        ]
        return lines(parts)
