"""Table of a step's epochs: losses, grades, speed and the decision after each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual.content import Content

from opeddev_tui.format import number, share, signed, whole
from opeddev_tui.runs.cheap_ways import fitted_ways
from opeddev_tui.runs.events import EpochFinished, GradesMeasured
from opeddev_tui.runs.grade_words import read_by, way_words
from opeddev_tui.runs.state import RunState
from opeddev_tui.ui.state.view import View
from opeddev_tui.ui.widgets.legend import explained
from opeddev_tui.ui.widgets.pane import Pane, lines
from opeddev_tui.ui.widgets.tables import Column, shown_titles, table

# what titles of columns mean, said in the frame where they are shown
_MEANINGS: Mapping[str, str] = {
    "exact": "grades that are right",
    "±1": "or off by one",
    "Δ 0": "change since before the step",
    "kappa": "agreement beyond chance",
    "parsed": "written texts with a grade",
}


# the figures of a cheap way that have a column
_TO_BEAT = (("exact", "exact"), ("within_one", "within one"))


class EpochsPane(Pane):
    """One line per epoch."""

    title: ClassVar[str] = "Epochs"
    about: ClassVar[str] = (
        "Exact and ±1: grades of the hold-out that are right, or off by one. Below: how they were "
        "read, and where the Grader reads in another way. "
        "Kappa: agreement beyond chance, weighted by distance. ★ marks the best epoch; Δ 0 is the change since epoch 0."
    )

    def name_it(self, view: View) -> None:
        """Explain the columns that the table has room for, where there is a table."""
        state, width = view.state, max(20, self.size.width - 1)
        rows = [state.epochs[epoch] for epoch in sorted(state.epochs)]
        told = explained(_MEANINGS, shown_titles(rows, _columns(state), width), width) if rows else ""
        if told != self.explained:
            self.explained = told
            self.border_subtitle = Content(told if self.has_focus else "")

    def render_view(self, view: View, width: int) -> Content:
        """Return the table, and below it what the grades have to beat."""
        state = view.state
        if not state.epochs:
            return Content.styled("One line appears here after every epoch; epoch 0 is the state before it.", "$muted")
        parts: list[Content | str] = [epoch_table(state, width)]
        if state.grades:
            text = Content.styled(_baselines(state.grades[max(state.grades)], _chosen(state)), "$muted")
            needed = len(state.epochs) + 2 + text.get_height({}, width)
            parts += [text] if needed > self.size.height > 0 else ["", text]
        return lines(parts)


def epoch_table(state: RunState, width: int) -> Content:
    """Return a line per epoch under a heading, in ``width`` cells."""
    return table([state.epochs[epoch] for epoch in sorted(state.epochs)], _columns(state), width)


def _chosen(state: RunState) -> str:
    """Return the way that the newest race chose to grade by, empty before one."""
    return state.races[max(state.races)].chosen if state.races else ""


def _baselines(measured: GradesMeasured, chosen: str) -> str:
    told = [
        f"always the commonest grade {share(measured.majority_exact)} exact",
        f"always the middle grade {share(measured.middle_within_one)} within one",
    ]
    for way in fitted_ways(measured):
        known = [(words, way.figures[name].value) for name, words in _TO_BEAT if name in way.figures]
        told.append(f"{way.words} {' and '.join(f'{share(value)} {words}' for words, value in known)}")
    grader = "" if chosen in ("", measured.way) else f"; the Grader's by {way_words(chosen)}"
    return f"Grades by {read_by(measured.way)}{grader}. To beat: {', '.join(told)}."


def _columns(state: RunState) -> tuple[Column[EpochFinished], ...]:
    best, first = state.best_epoch(), state.epochs.get(0)

    def of_grades(epoch: int, name: str) -> str:
        measured = state.grades.get(epoch)
        return share(getattr(measured, name) if measured is not None else None)

    def kappa(row: EpochFinished) -> str:
        measured = state.grades.get(row.epoch)
        return number(measured.kappa, 2) if measured is not None else "–"

    def decision(row: EpochFinished) -> str:
        decided = state.decided(row.epoch)
        return f"{decided.choice} ({decided.by})" if decided is not None else ""

    def difference(row: EpochFinished) -> str:
        return signed(row.val_loss - first.val_loss) if first is not None and row.epoch > 0 else ""

    parsed: Column[EpochFinished] = Column("parsed", lambda row: of_grades(row.epoch, "texts_read"), rank=6, width=6)
    return (
        Column("epoch", lambda row: f"{row.epoch}{' ★' if row.epoch == best else '  '}", right=False, width=5),
        Column("train", lambda row: number(row.train_loss), style="$plot-train", width=6),
        Column("hold-out", lambda row: number(row.val_loss), style="$plot-holdout", width=8),
        Column("exact", lambda row: of_grades(row.epoch, "exact"), rank=1, width=5),
        Column("±1", lambda row: of_grades(row.epoch, "within_one"), rank=2, width=4),
        Column("kappa", kappa, rank=3, width=5),
        Column("Δ 0", difference, rank=4, width=6),
        *([parsed] if any(measured.texts_read is not None for measured in state.grades.values()) else []),
        Column("samples/s", lambda row: number(row.samples_per_second, 1), rank=7, width=9),
        Column("opt. step", lambda row: whole(row.global_step), rank=8, width=9),
        Column("decision", decision, rank=5, right=False, width=17),
    )
