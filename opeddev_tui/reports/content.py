"""Collect the facts of a report from journals and manifests, as plain values cleaned for showing. No markup."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from msgspec import Struct

from opeddev_tui.analysis import learning_curve
from opeddev_tui.analysis.outlook import outlook_of
from opeddev_tui.analysis.seed_figures import step_spread
from opeddev_tui.analysis.word_diff import Piece, word_differences
from opeddev_tui.format import share
from opeddev_tui.reports import plots, races, tables
from opeddev_tui.reports.examples import grade_words
from opeddev_tui.reports.races import RaceFindings
from opeddev_tui.reports.tables import Table
from opeddev_tui.runs import manifest
from opeddev_tui.runs.cheap_ways import to_beat
from opeddev_tui.runs.grade_words import read_by
from opeddev_tui.runs.groups import list_groups
from opeddev_tui.runs.history import RunRecord, status_of
from opeddev_tui.runs.manifest import RunManifest
from opeddev_tui.text import clean, clean_line
from opeddev_tui.workspace.lock import lock_holder
from opeddev_tui.workspace.paths import Workspace

_BLANK = re.compile(r"\s*(?:\n[^\S\n]*){4,}")


class ReportExample(Struct, frozen=True):
    """One probe prompt with its texts from before and after, as pieces that changed or not."""

    prompt: str
    before: list[Piece]
    after: list[Piece]
    reference: str
    before_grade: str
    after_grade: str


class Findings(Struct, frozen=True):
    """Everything in a report, in its order; ``moments`` say when the texts of the examples were generated.

    ``unread``: some of ``grades`` were read from texts, which may have none.
    """

    title: str
    summary: str
    forecast: str
    steps: Table
    epochs: Table
    seeds: Table
    decisions: Table
    notes: list[str]
    moments: tuple[str, str]
    examples: list[ReportExample]
    human: Table
    race: RaceFindings
    grades: Table
    unread: bool
    data: Table
    settings: Table
    environment: Table
    others: Table
    commands: list[str]
    holdout: str = ""
    written: str = ""


def collect(workspace: Workspace, records: Sequence[RunRecord]) -> Findings:
    """Return the findings of ``records``, the runs of ``workspace``; one of them must have trained an epoch."""
    chosen = learning_curve.steps_of(records)
    # a run whose manifest is lost is reported without its settings
    manifests = {item.id: manifest.read(workspace.run_manifest(item.id)) or RunManifest() for item in chosen}
    moments = plots.moments(chosen)
    newest = chosen[-1]
    is_training = lock_holder(workspace) is not None
    # only the newest run can be the one that is trained now
    status = {item.id: status_of(item.state, alive=is_training and item is records[-1]) for item in records}
    return Findings(
        title=clean_line(workspace.root.name),
        summary=summary(chosen),
        forecast=outlook_of([record.state for record in chosen]).words,
        steps=tables.steps(chosen, status),
        epochs=tables.epochs(chosen),
        seeds=tables.seeds([step_spread(group, records) for group in list_groups(workspace)]),
        decisions=tables.decisions(chosen),
        notes=_notes(chosen),
        moments=moments,
        examples=_examples(chosen),
        human=tables.human(chosen),
        race=races.findings(chosen),
        grades=tables.grades(chosen),
        unread=any(item.texts_read is not None for record in chosen for item in record.state.grades.values()),
        data=tables.data(manifests[newest.id]),
        settings=tables.settings(chosen, manifests),
        environment=tables.environment(newest, manifests[newest.id]),
        others=tables.others(records, chosen, status),
        commands=[f"opeddev-tui repeat {record.id}" for record in chosen],
        holdout=newest.state.started.holdout_fingerprint[:16] if newest.state.started else "",
        written=datetime.fromtimestamp(newest.state.last_event_at, UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def summary(chosen: Sequence[RunRecord]) -> str:
    """Return the result in a sentence or two."""
    same = learning_curve.comparable([record.state for record in chosen])
    first, last = same[0], same[-1]
    best = last.best_epoch() or 0
    loss = last.epochs[best].val_loss
    low, high = learning_curve.loss_interval(last.holdout[best]) if best in last.holdout else (loss, loss)
    start = first.epochs.get(0)
    count = "One step" if len(same) == 1 else f"{len(same)} steps"
    others = learning_curve.other_holdouts([record.state for record in chosen])
    epoch = f"epoch {best}, the best by grade" if last.begun.metric == "grade" else f"epoch {best}"
    since = f" from {start.val_loss:.3f}" if start else ""
    text = (
        f"{count} on {last.begun.rows} rows took the hold-out loss{since} to {loss:.3f} nats "
        f"per token (step {last.begun.step}, {epoch}; 95% interval {low:.3f} to {high:.3f}; "
        f"{last.begun.holdout_rows} hold-out rows)."
    )
    grades = last.grades.get(best)
    if others:
        text += f" {others}"
    if grades is None:
        return text
    cheap = to_beat(grades)
    more = "more often than" if grades.exact > cheap.value else "no more often than"
    return (
        f"{text} Grades by {read_by(grades.way)} are exactly right in {share(grades.exact)} of them, {more} those of "
        f"the best cheap way ({cheap.way.words}: {share(cheap.value)})."
    )


def _notes(chosen: Sequence[RunRecord]) -> list[str]:
    return [
        f"Step {record.step}{'' if note.epoch is None else f', epoch {note.epoch}'}: {clean_line(note.note)}"
        for record in chosen
        for note in record.state.notes
    ]


def readable(text: str) -> str:
    """Return ``text`` cleaned, with long runs of blank lines, which untrained models write, replaced by their count."""
    return _BLANK.sub(lambda run: f"\n⏎×{run[0].count(chr(10))}\n", clean(text))


def _examples(chosen: Sequence[RunRecord]) -> list[ReportExample]:
    return [
        ReportExample(
            readable(after.prompt),
            *word_differences(readable(before.text), readable(after.text)),
            readable(after.reference),
            grade_words(before).strip(" ()"),
            grade_words(after).strip(" ()"),
        )
        for before, after in plots.before_and_after(chosen)
    ]
