"""Owns what a report says: facts from journals and manifests as plain values, cleaned for showing. No markup here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from msgspec import Struct

from opeddev_tui.analysis import forecast, learning_curve
from opeddev_tui.analysis.word_diff import Piece, word_differences
from opeddev_tui.reports import plots, tables
from opeddev_tui.reports.examples import grade_words
from opeddev_tui.reports.tables import Table
from opeddev_tui.runs import manifest
from opeddev_tui.runs.history import RunRecord
from opeddev_tui.runs.manifest import RunManifest
from opeddev_tui.text import clean, clean_line
from opeddev_tui.workspace.paths import Workspace

_BLANK = re.compile(r"\s*(?:\n[^\S\n]*){4,}")


class Example(Struct, frozen=True):
    """One probe prompt before and after, with what changed."""

    prompt: str
    before: list[Piece]
    after: list[Piece]
    reference: str
    before_grade: str
    after_grade: str


class Findings(Struct, frozen=True):
    """Everything in a report, in its order."""

    title: str
    summary: str
    forecast: str
    steps: Table
    epochs: Table
    decisions: Table
    notes: list[str]
    moments: tuple[str, str]
    examples: list[Example]
    human: Table
    grades: Table
    data: Table
    settings: Table
    environment: Table
    others: Table
    commands: list[str]
    holdout: str = ""
    written: str = ""


def collect(workspace: Workspace, records: Sequence[RunRecord]) -> Findings:
    """Return the findings of the runs ``records`` of ``workspace``; there must be a trained epoch in one of them."""
    chosen = learning_curve.steps_of(records)
    # a report of what is there is better than none
    manifests = {item.id: manifest.read(workspace.run_manifest(item.id)) or RunManifest() for item in chosen}
    ahead = forecast.forecast_of([record.state for record in chosen])
    moments = plots.moments(chosen)
    newest = chosen[-1]
    return Findings(
        title=clean_line(workspace.root.name),
        summary=summary(chosen),
        forecast=ahead.words if ahead else "",
        steps=tables.steps(chosen),
        epochs=tables.epochs(chosen),
        decisions=tables.decisions(chosen),
        notes=_notes(chosen),
        moments=moments,
        examples=_examples(chosen),
        human=tables.human(chosen),
        grades=tables.grades(chosen),
        data=tables.data(manifests[newest.id]),
        settings=tables.settings(chosen, manifests),
        environment=tables.environment(newest, manifests[newest.id]),
        others=tables.others(records, chosen),
        commands=[f"opeddev-tui repeat {record.id}" for record in chosen],
        holdout=newest.state.started.holdout_fingerprint[:16] if newest.state.started else "",
        written=datetime.fromtimestamp(newest.state.last_event_at, UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def summary(chosen: Sequence[RunRecord]) -> str:
    """Return what came out, in a sentence or two."""
    first, last = chosen[0].state, chosen[-1].state
    best = last.best_epoch()
    assert best is not None
    low = high = last.epochs[best].val_loss
    if best in last.holdout:
        low, high = learning_curve.loss_interval(last.holdout[best])
    start = first.epochs.get(0)
    count = "One step" if len(chosen) == 1 else f"{len(chosen)} steps"
    since = f" from {start.val_loss:.3f}" if start else ""
    text = (
        f"{count} on {last.begun.rows} rows took the hold-out loss{since} to {last.epochs[best].val_loss:.3f} nats "
        f"a token (step {last.begun.step}, epoch {best}; 95% interval {low:.3f} to {high:.3f}; "
        f"{last.begun.holdout_rows} hold-out rows)."
    )
    grades = last.grades.get(best)
    if grades is None:
        return text
    more = "more often than" if grades.exact > grades.majority_exact else "no more often than"
    return (
        f"{text} Grades are exactly right in {grades.exact:.0%} of them, {more} by always saying the "
        f"majority class ({grades.majority_exact:.0%})."
    )


def _notes(chosen: Sequence[RunRecord]) -> list[str]:
    return [
        f"Step {record.step}{'' if note.epoch is None else f', epoch {note.epoch}'}: {clean_line(note.note)}"
        for record in chosen
        for note in record.state.notes
    ]


def readable(text: str) -> str:
    """Return ``text`` fit to be shown; long runs of blank lines, which untrained models like, are told, not shown."""
    return _BLANK.sub(lambda run: f"\n⏎×{run[0].count(chr(10))}\n", clean(text))


def _examples(chosen: Sequence[RunRecord]) -> list[Example]:
    found = []
    for before, after in plots.before_and_after(chosen):
        left, right = word_differences(readable(before.text), readable(after.text))
        found.append(
            Example(
                prompt=readable(after.prompt),
                before=left,
                after=right,
                reference=readable(after.reference),
                before_grade=grade_words(before).strip(" ()"),
                after_grade=grade_words(after).strip(" ()"),
            )
        )
    return found
