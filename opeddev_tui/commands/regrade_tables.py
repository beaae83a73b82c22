"""Corrections, disputed rows and their effect as tables and sentences that fit 80 columns, and as JSON."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from rich.text import Text

from opeddev_tui.commands.printing import CleanConsole, plain_table
from opeddev_tui.config.settings import Grading
from opeddev_tui.data.corrected_rows import HOLDOUT, Corrected, SetRow
from opeddev_tui.data.corrections import Overlay
from opeddev_tui.data.grade_scale import written
from opeddev_tui.data.regrading import Regraded
from opeddev_tui.format import moment, number, plural, with_interval
from opeddev_tui.runs.grade_words import few_rows
from opeddev_tui.text import clean_line

if TYPE_CHECKING:
    from opeddev_tui.grading.doctor import Disputed, Effect
    from opeddev_tui.grading.intervals import Estimate
    from opeddev_tui.workspace.paths import Workspace

_NAME_WIDTH = 34


def _name(row: SetRow) -> str:
    return clean_line(row.own.id or row.own.where.rpartition("/")[2], max_chars=_NAME_WIDTH)


# --- corrections


def corrections_json(found: Corrected, overlay: Overlay) -> dict[str, Any]:
    """Return all corrections, those that are not applied, and damaged lines as plain values."""
    applied = [row for listed in found.rows.values() for row in listed if row.correction is not None]
    return {
        "corrections": [{"key": row.key, **msgspec.to_builtins(row.correction)} for row in applied],
        "unmatched": list(found.unmatched),
        "damaged": list(overlay.damaged),
    }


def show_corrections(console: CleanConsole, found: Corrected, overlay: Overlay) -> None:
    """Print the corrections, and what of them is not applied."""
    applied = [row for listed in found.rows.values() for row in listed if row.correction is not None]
    if not applied and not found.unmatched and not overlay.damaged:
        console.say("No grade was corrected yet. See the disputed ones: opeddev-tui regrade --list.")
        return
    if applied:
        table = plain_table("key", "row", "set", "grade", "rater", "when", "note")
        for row in applied:
            made = row.correction
            assert made is not None
            grade = f"{made.was} confirmed" if made.was == made.now else f"{made.was} → {made.now}"
            texts = (row.key, _name(row), row.set, grade, made.rater, moment(made.at), made.note)
            table.add_row(*(Text(clean_line(text, max_chars=_NAME_WIDTH)) for text in texts))
        console.print(table)
    for sentence in (*found.unmatched, *overlay.damaged):
        console.say(f"note: {sentence}")


def show_regraded(console: CleanConsole, made: Regraded, workspace: "Workspace") -> None:
    """Print what was recorded, and what follows from it."""
    from opeddev_tui.grading.doctor import cannot_resume

    correction, row = made.correction, made.row
    name = clean_line(correction.id or correction.row[:10])
    if correction.undone:
        console.say(f"{name}: the grade is {correction.was} again." if row else f"{name}: the correction is undone.")
    elif correction.was == correction.now:
        console.say(f"{name}: the grade {correction.now} is confirmed.")
    else:
        console.say(f"{name}: the grade is {correction.now} now (in your file: {correction.was}).")
    before = made.before
    if before is not None and not correction.undone:
        by = f" by {before.rater}" if before.rater else ""
        console.say(f"It was corrected to {before.now} before{by}, {moment(before.at)}.")
    if row is None or correction.was == correction.now:
        return
    if not correction.undone:
        console.say("The feedback is as it was: look whether it fits the new grade.")
    if row.set == HOLDOUT:
        console.say(
            "This is a hold-out row, so the hold-out has another version now: figures of before are not compared with "
            "those that follow. Correcting only what the head disputes flatters the head.",
        )
    console.say(cannot_resume(workspace, row))


# --- one row


def row_json(row: SetRow, grading: Grading) -> dict[str, Any]:
    """Return one row with its grades as plain values."""
    return {
        "key": row.key,
        "id": row.own.id,
        "set": row.set,
        "where": row.own.where,
        "kind": row.own.kind,
        "own": None if row.own.grade is None else written(row.own.grade, grading),
        "grade": None if row.example.grade is None else written(row.example.grade, grading),
        "grades": [written(grade, grading) for grade in row.own.grades],
        "rater": row.example.rater,
        "prompt": [{"role": turn.role, "content": turn.content} for turn in row.own.prompt],
        "completion": row.example.completion,
        "correction": row.correction,
    }


def show_row(console: CleanConsole, row: SetRow, grading: Grading) -> None:
    """Print one row: its prompt, its completion, its grades."""
    console.say(f"{row.own.id or row.key} · {row.set} · {row.own.where} · key {row.key}", style="bold")
    for turn in row.own.prompt:
        console.say(f"\n[{turn.role}]", style="dim")
        console.say(turn.content)
    console.say("\n[answer]", style="dim")
    console.say(row.example.completion)
    console.print()
    own = "none" if row.own.grade is None else written(row.own.grade, grading)
    console.say(f"grade in your file: {own}")
    if row.own.grades:
        console.say(f"all grades of people: {', '.join(written(grade, grading) for grade in row.own.grades)}")
    if (made := row.correction) is not None:
        by = f" by {made.rater}" if made.rater else ""
        note = f": {made.note}" if made.note else ""
        console.say(f"corrected to {made.now}{by}, {moment(made.at)}{note}")


# --- disputed rows


def disputed_json(disputed: "Sequence[Disputed]", disputes: int, found: Corrected, overlay: Overlay) -> dict[str, Any]:
    """Return the first of the ``disputes`` disputed rows and the corrections so far as plain values."""
    listed = [
        {
            "key": item.row.key,
            "id": item.row.own.id,
            "set": item.row.set,
            "where": item.row.own.where,
            "given": item.given,
            "graded": item.graded,
            "surprise": item.surprise,
        }
        for item in disputed
    ]
    return {"disputed": listed, "disputes": disputes, **corrections_json(found, overlay)}


def show_disputed(console: CleanConsole, disputed: "Sequence[Disputed]", disputes: int, rows: int, doubt: str) -> None:
    """Print the first of the ``disputes`` disputed rows, most disputed first, and how to see the others.

    ``doubt`` says why they are little evidence; empty where no race warns.
    """
    if not disputes:
        console.say(f"None of {plural(rows, 'graded training row')} is disputed.")
        return
    if doubt:
        console.say(doubt)
    console.say(
        f"Of {plural(rows, 'graded training row')} the head, fitted without the row itself, disputes {disputes:,}; "
        f"{'all of them' if len(disputed) == disputes else f'the first {len(disputed):,}'}, most disputed first:"
    )
    table = plain_table("key", "row", "set", "given", "graded", "-log p")
    for item in disputed:
        texts = (item.row.key, _name(item.row), item.row.set, item.given, item.graded, number(item.surprise, 2))
        table.add_row(*(Text(clean_line(text, max_chars=_NAME_WIDTH)) for text in texts))
    console.print(table)
    if len(disputed) < disputes:
        console.say("The others are less often wrong; --count all lists them too.")
    console.say(
        "A dispute is a question, not an error. Read a row: opeddev-tui regrade ROW --show. Correct or confirm it: "
        "opeddev-tui regrade ROW GRADE.",
    )


# --- effect


def show_effect(console: CleanConsole, told: "Effect") -> None:
    """Print kappa with and without the corrections, and their difference."""
    console.say(
        f"Corrected: {plural(told.corrected_rows, 'training row')}, {plural(told.corrected_holdout, 'hold-out row')}. "
        "Kappa of the head on the base model, fitted without and with the corrections:",
    )
    table = plain_table("measured on", "rows", "without", "with", "difference")
    parts = [("out of fold", told.out_of_fold), ("hold-out", told.holdout)]
    if told.as_written is not None:
        parts.append(("hold-out, file", told.as_written))
    for name, found in parts:
        kappas = (_told(found.without), _told(found.corrected), _told(found.difference, sign=True))
        table.add_row(name, str(found.rows), *kappas)
    console.print(table)
    console.say(
        "In brackets: 95% intervals. Both heads are measured against the same grades, the corrected ones. Out of fold "
        "these are partly grades that the head proposed; the hold-out judges fairly, unless it was corrected likewise."
        + f" {few_rows(told.holdout.rows)}".rstrip()
        + (" File: against the hold-out as it is in your file." if told.as_written is not None else ""),
    )


def _told(estimate: "Estimate | None", *, sign: bool = False) -> str:
    if estimate is None or math.isnan(estimate.value):
        return "none"
    return with_interval(estimate.value, (estimate.low, estimate.high), sign=sign)
