"""The race as tables and sentences that fit 80 columns, and as JSON."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from rich.table import Table
from rich.text import Text

from opeddev_tui.commands.printing import CleanConsole, plain_table
from opeddev_tui.format import duration, number, plural, share, with_interval
from opeddev_tui.grading.intervals import Estimate
from opeddev_tui.grading.race import Race
from opeddev_tui.grading.race_report import AreaFigures, DisputedRow, Plea, Report, SetFigures
from opeddev_tui.grading.steady_rows import NO_COMMENT
from opeddev_tui.runs.grade_words import graded_by, steadied
from opeddev_tui.text import clean_line

if TYPE_CHECKING:
    from opeddev_tui.commands.race import ModelRead


def as_json(report: Report, reads: "Sequence[ModelRead]", batches: Sequence[str]) -> dict[str, Any]:
    """Return everything as plain values; docs/json.md describes them."""
    return {"batches": list(batches), "models": list(reads), **msgspec.to_builtins(report)}


def show(console: CleanConsole, report: Report, reads: "Sequence[ModelRead]", batches: Sequence[str]) -> None:
    """Print the race, the sets, what the heads claim of themselves, the disputed rows and the areas."""
    console.say(
        f"Fitted on {plural(report.rows, 'graded row')} ({', '.join(map(clean_line, batches))}), compared on "
        f"{plural(report.holdout_rows, 'hold-out row')}.{_left_out(report)}",
    )
    console.print(race_table(report.race))
    console.say(
        "In brackets: 95% intervals. The heads' seconds are those of fitting and grading; a text without a grade "
        "counts as wrong.",
    )
    for read in reads:
        console.say(_cost(read))
        console.say(_steadied(read))
    console.print()
    console.say(report.race.verdict, style="bold")
    console.say(graded_by(report.race.chosen))
    console.say(report.race.tuning)
    console.say(report.raters.words if report.raters is not None else "")
    for name, words in report.claims.items():
        console.say(f"{name}: {words}")
    for read in reads:
        console.say(_remembered(read))
    console.say(_sets(report.sets))
    if report.forecast is not None:
        console.say(f"Forecast for the base head: {report.forecast.words}")
    console.print()
    _show_disputed(console, report.disputed, report.disputes)
    _show_areas(console, report.areas)
    _show_pleas(console, report.pleas)


def _sets(sets: SetFigures | None) -> str:
    if sets is None:
        return ""
    return (
        f"Sets that promise to hold the right grade {share(sets.promised)} of the time hold it for "
        f"{share(sets.covered.value)} ({share(sets.covered.low)} to {share(sets.covered.high)}) of the hold-out rows, "
        f"with {number(sets.mean_size, 1)} grades on average (base head)."
    )


def _left_out(report: Report) -> str:
    train, held = report.ungraded
    if not train and not held:
        return ""
    return f" Left out, without a grade: {plural(train, 'training row')}, {plural(held, 'hold-out row')}."


def _cost(read: "ModelRead") -> str:
    cached = read.rows - read.read
    told = f"Features of {clean_line(read.model)}: {plural(read.rows, 'row')}, {cached} from the cache"
    if not read.read:
        return f"{told}."
    return f"{told}, {read.read} read in {duration(read.seconds)} ({number(read.seconds / read.read, 2)} s per row)."


def _steadied(read: "ModelRead") -> str:
    found = read.steady
    if found is None:
        return ""
    if not found.copies:
        return f"Its head is not held steady (grading.steady): {NO_COMMENT}"
    told = f"Its head is {steadied(found.copies)}"
    if not found.read:
        return f"{told}, all from the cache."
    return f"{told}, {found.read} of them read in {duration(found.seconds)}."


def _remembered(read: "ModelRead") -> str:
    if not read.remembered:
        return ""
    return (
        f"{clean_line(read.model)} has trained on {plural(read.remembered, 'row')} of these and partly remembers them. "
        "It has never trained on the hold-out, so the table is honest for it, too."
    )


def race_table(race: Race, *, timed: bool = True) -> Table:
    """Return the figures of all ways; ``timed``: with the seconds that each took."""
    seconds = ["s"] if timed else []
    table = plain_table("method", "kappa", "exact", "within\none", "MAE", *seconds, "kappa less best\ncheap way's")
    for row in race.rows:
        found = row.figures
        table.add_row(
            clean_line(row.name),
            _told(found["kappa"]),
            share(found["exact"].value),
            share(found["within_one"].value),
            number(found["mae"].value, 2),
            *(number(row.seconds, 1 if row.seconds < 10 else 0) for _ in seconds),
            "" if row.to_cheap is None else _told(row.to_cheap, sign=True),
            style="bold" if row.name == race.chosen else "",
        )
    return table


def _told(estimate: Estimate, *, sign: bool = False) -> str:
    return with_interval(estimate.value, (estimate.low, estimate.high), sign=sign)


def _show_disputed(console: CleanConsole, disputed: Sequence[DisputedRow], disputes: int) -> None:
    if not disputed:
        console.say("No training row's grade is disputed.")
        return
    first = f"the first {len(disputed)} of {disputes:,}" if len(disputed) < disputes else "all of them"
    console.say(f"Training rows whose grade is disputed (base head, out of fold), {first}; worth another look:")
    table = plain_table("row", "given", "graded", "-log p")
    for row in disputed:
        name = clean_line(row.id or row.where, max_chars=45)
        table.add_row(Text(name), Text(clean_line(row.given)), Text(clean_line(row.graded)), number(row.surprise, 2))
    console.print(table)


def _show_areas(console: CleanConsole, areas: AreaFigures | None) -> None:
    if areas is None:
        return
    console.print()
    if areas.f1 is None:
        words = "Too few rows tell areas of the rubric to name them."
    else:
        words = (
            f"Areas of the rubric are named with F1 {number(areas.f1, 2)} out of fold (naming all of them: "
            f"{number(areas.f1_all, 2)})."
        )
    if areas.gives_grade:
        words += " Their sum gives the grade."
    console.say(words)
    table = plain_table("area", "rows that fail it")
    for name, count in areas.failed.items():
        table.add_row(Text(clean_line(name, max_chars=60)), str(count))
    console.print(table)


def _show_pleas(console: CleanConsole, pleas: Sequence[Plea]) -> None:
    if not pleas:
        return
    console.print()
    console.say("Can it be talked into a grade? The hold-out's submissions, changed in ways that are no reason:")
    table = plain_table("change", "way", "rows", "grades that\nmove", "mean shift\nin grades")
    for place, row in enumerate(pleas):
        first = not place or pleas[place - 1].change != row.change
        moved = f"{share(row.changed.value)} ({share(row.changed.low)} to {share(row.changed.high)})"
        # a shift whose interval leaves zero out is a fault of the grader
        style = "bold" if row.shift.excludes_zero else ""
        table.add_row(
            row.words if first else "", row.way, str(row.rows), moved, _told(row.shift, sign=True), style=style
        )
    console.print(table)
    console.say("Above zero: to its favour. Bold: the interval of the shift leaves zero out.")
