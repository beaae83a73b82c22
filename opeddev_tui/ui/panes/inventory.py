"""Owns the batch inventory: base and increments in order, their rows, tokens, grades and state."""

from __future__ import annotations

from typing import ClassVar

from textual.content import Content

from opeddev_tui.format import histogram, short_count, whole
from opeddev_tui.text import clean_line
from opeddev_tui.ui.columns import Column, table
from opeddev_tui.ui.panes.pane import Pane, lines
from opeddev_tui.ui.view import BatchRow, View

_MARKS = {"next": "▶", "training": "●", "waiting": "·", "problem": "✗"}
_STYLES = {"next": "bold $primary", "training": "bold $primary", "problem": "bold $text-error-own", "waiting": "$muted"}


def _state(row: BatchRow) -> str:
    return f"{_MARKS.get(row.state, '✓')} {row.state}"


def _state_style(row: BatchRow) -> str:
    return _STYLES.get(row.state, "$success")


def _columns(low: int, high: int) -> tuple[Column[BatchRow], ...]:
    def grades(row: BatchRow) -> str:
        counts = dict(row.grades)
        return histogram([counts.get(grade, 0) for grade in range(low, min(high, low + 11) + 1)])

    return (
        Column("batch", lambda row: clean_line(row.name), right=False, widest=28),
        Column("state", _state, right=False, style=_state_style, widest=12),
        Column("rows", lambda row: whole(row.rows)),
        Column("total", lambda row: whole(row.cumulative), rank=2, style="$muted"),
        Column(f"grades {low}–{high}", grades, rank=1, right=False, style="$primary"),
        Column("median", lambda row: whole(row.median), rank=4),
        Column("p95", lambda row: whole(row.percentile_95), rank=5),
        Column("longest", lambda row: whole(row.longest), rank=3),
        Column("tokens", lambda row: short_count(row.tokens), rank=6),
        Column("in loss", lambda row: short_count(row.loss_tokens), rank=7),
    )


class InventoryPane(Pane):
    """The data, in the order it is trained."""

    title: ClassVar[str] = "Batches"
    tab: ClassVar[str] = "Batches"
    about: ClassVar[str] = (
        "Rows of each batch and of all so far; tokens after the chat template: half of the rows are shorter than the "
        "median, 95 % shorter than p95. Only the tokens of the completion carry loss."
    )

    def render_view(self, view: View, width: int) -> Content:
        """Return the table of batches and what is wrong with them."""
        if not view.batches:
            words = "Reading the data." if not view.scanned else "No batches yet."
            return Content.styled(words if view.has_workspace else "No workspace, no data.", "$muted")
        low, high = view.grades
        parts: list[Content | str] = [table(view.batches, _columns(low, high), width)]
        if view.holdout:
            parts += ["", Content.styled(f"hold-out  {clean_line(view.holdout)}", "$muted")]
        for batch in view.batches:
            if batch.problem:
                parts.append(_told("✗", clean_line(f"{batch.name}: {batch.problem}"), "$text-error-own"))
        parts += [_told("✗", clean_line(text), "$text-error-own") for text in view.problems]
        parts += [_told("!", clean_line(text), "$warning") for text in view.warnings]
        return lines(parts)


def _told(mark: str, text: str, style: str) -> Content:
    return Content.styled(f"{mark} {text}", style)
