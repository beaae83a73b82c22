"""The race of all ways to a grade, for the report: tables and sentences from the newest run that held one. No markup.

Reads the run's records and its race file as data; fits nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, field

from opeddev_tui.analysis.step_grades import step_change
from opeddev_tui.files import read_record
from opeddev_tui.format import interval, number, plural, share, signed, with_interval
from opeddev_tui.reports.tables import Table
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.grade_events import steadied_rows
from opeddev_tui.runs.grade_records import FeedbackText, Figure
from opeddev_tui.runs.grade_words import base_needed, graded_by, steadied_heads, worth_reading
from opeddev_tui.runs.history import RunRecord
from opeddev_tui.text import clean, clean_line

_NOTHING = Figure(None)


class Sets(Struct, frozen=True):
    """Sets of grades on the hold-out: what they promise, how often they hold the right grade, how large they are."""

    promised: float
    covered: Figure
    mean_size: float


class Part(Struct, frozen=True):
    """Figures of the rows of one kind, grade or length."""

    by: str
    value: str
    rows: int
    figures: dict[str, Figure]


class Bin(Struct, frozen=True):
    """Rows of similar confidence, and the share of them that was right."""

    confidence: float
    right: Figure
    rows: int


class Forecast(Struct, frozen=True):
    """What more rows should bring to kappa; ``gain`` has an 80% interval."""

    rows: int
    added: int
    now: float
    then: float
    gain: Figure


class AreaNames(Struct, frozen=True):
    """How well the rubric's areas are named out of fold; ``f1_all`` is naming all of them."""

    f1: float | None = None
    f1_all: float | None = None


class Details(Struct, frozen=True):
    """What the race file tells beside the event; a run of an older version has none."""

    sets: Sets | None = None
    disputes: int = 0
    areas: AreaNames | None = None
    parts: tuple[Part, ...] = ()
    calibration: tuple[Bin, ...] = ()
    forecast: Forecast | None = None


class _File(Struct, frozen=True):
    epoch: int
    report: Details


class RaceFindings(Struct, frozen=True):
    """The report's section on grades: sentences, the race, figures per part, and feedback forced beside free."""

    verdict: str = ""
    where: str = ""
    notes: list[str] = field(default_factory=list)
    ways: Table = Table((), ())
    parts: Table = Table((), ())
    feedback: list[FeedbackText] = field(default_factory=list)


def raced(chosen: Sequence[RunRecord]) -> RunRecord | None:
    """Return the newest of the runs ``chosen`` that held a race, None where none did."""
    return next((record for record in reversed(chosen) if record.state.race is not None), None)


def details_of(record: RunRecord) -> Details:
    """Return what the race file of ``record`` tells; nothing where it is not there, damaged or of another epoch."""
    race = record.state.race
    try:
        found = read_record(record.folder / "race.json", _File)
    except (OSError, ValueError):
        return Details()
    return found.report if race is not None and found.epoch == race.epoch else Details()


def findings(chosen: Sequence[RunRecord]) -> RaceFindings:
    """Return the section on grades; empty where no run held a race."""
    record = raced(chosen)
    race = record.state.race if record is not None else None
    if record is None or race is None:
        return RaceFindings()
    details = details_of(record)
    change = step_change([item.state for item in chosen if item.step <= record.step])
    written = record.state.feedbacks.get(race.epoch)
    return RaceFindings(
        clean_line(race.verdict),
        f"Step {record.step}, epoch {race.epoch}: fitted on {plural(race.rows, 'graded row')}, compared on "
        f"{plural(race.holdout_rows, 'hold-out row')}. A text without a grade counts as wrong in the shares, and as "
        "the grade farthest from the right one in distances and kappa.",
        [clean(note) for note in (change, *_what_grades(record, race), *_notes(race, details, written)) if note],
        _ways(race),
        _parts(details),
        [_cleaned(text) for text in written.texts] if written is not None else [],
    )


def _what_grades(record: RunRecord, race: ev.RaceHeld) -> list[str]:
    """Return what grades from now on and what it costs, in the words that screen and commands use."""
    heads = steadied_heads(steadied_rows(record.state.heads.values()))
    return [graded_by(race.chosen), base_needed(race.needs), heads]


def _notes(race: ev.RaceHeld, details: Details, written: ev.FeedbackWritten | None) -> list[str]:
    notes = [race.tuning]
    notes += [f"{way.way}: {way.claim}" for way in race.ways if way.claim]
    if (sets := details.sets) is not None:
        low_high = interval((sets.covered.low or 0.0, sets.covered.high or 0.0), 2)
        notes.append(
            f"Sets that promise to hold the right grade {share(sets.promised)} of the time hold it in "
            f"{share(sets.covered.value)} of the hold-out rows ({low_high}), with {number(sets.mean_size, 1)} grades "
            "on average (base head)."
        )
    if details.disputes:
        rows = plural(details.disputes, "training row")
        some = worth_reading(race.rows)
        most = f"; the {some:,} most disputed are worth reading" if some < details.disputes else ""
        notes.append(f"The base head would give {rows} another grade{most}: opeddev-tui regrade --list.")
    if details.areas is not None and details.areas.f1 is not None:
        notes.append(
            f"The heads name areas of the rubric with F1 {number(details.areas.f1, 2)} out of fold (naming all: "
            f"{number(details.areas.f1_all, 2)})."
        )
    if (ahead := details.forecast) is not None:
        gain = f"{signed(ahead.gain.low, 2)} to {signed(ahead.gain.high, 2)}"
        also = " may also bring nothing; if not" if (ahead.gain.low or 0.0) <= 0 else ""
        notes.append(
            f"{ahead.added} more rows{also}: kappa {ahead.now:.2f} → {ahead.then:.2f} (base head; 80% interval of the "
            f"gain {gain})."
        )
    if written is not None and written.f1:
        told = ", ".join(f"{name} {value:.2f}" for name, value in written.f1.items())
        notes.append(f"F1 of the areas named in the feedback of {plural(len(written.texts), 'probe prompt')}: {told}.")
    return notes


def _ways(race: ev.RaceHeld) -> Table:
    shown = (
        ("kappa", 2), ("exact", 0), ("within_one", 0), ("mae", 2), ("signed_error", 2), ("nll", 2),
        ("calibration_error", 2),
    )  # fmt: skip
    rows = [
        (
            clean_line(f"{way.words}{' (chosen)' if way.way == race.chosen else ''}"),
            *(_told(way.figures.get(name, _NOTHING), digits) for name, digits in shown),
            "" if way.to_cheap is None else _told(way.to_cheap, 2, sign=True),
            share(way.answered if way.mode == "text" else None),
            number(way.seconds, 1),
        )
        for way in race.ways
    ]
    head = (
        "way to a grade", "weighted kappa", "exactly right", "within one", "mean error", "signed error", "−log p",
        "calibration error", "kappa less best cheap way's", "texts with a grade", "seconds",
    )  # fmt: skip
    return Table(head, rows)


def _parts(details: Details) -> Table:
    rows = [
        (
            part.by,
            clean_line(part.value),
            str(part.rows),
            _told(part.figures.get("kappa", _NOTHING), 2),
            _told(part.figures.get("exact", _NOTHING), 0),
            _told(part.figures.get("within_one", _NOTHING), 0),
            _told(part.figures.get("signed_error", _NOTHING), 2),
        )
        for part in details.parts
    ]
    head = ("by", "hold-out rows of", "rows", "weighted kappa", "exactly right", "within one", "signed error")
    return Table(head, rows, words=2)


def _told(figure: Figure, digits: int, *, sign: bool = False) -> str:
    """Return a figure with its interval; with no digits it is a share."""
    if figure.value is None:
        return ""
    ends = (figure.low, figure.high)
    if not digits:
        known = "" if ends[0] is None or ends[1] is None else f" ({share(ends[0])} to {share(ends[1])})"
        return f"{share(figure.value)}{known}"
    return with_interval(figure.value, ends, digits, sign=sign)


def _cleaned(text: FeedbackText) -> FeedbackText:
    return FeedbackText(
        clean_line(text.id),
        clean_line(text.kind),
        clean(text.reference),
        clean_line(text.reference_grade),
        None if text.failed is None else tuple(map(clean_line, text.failed)),
        clean_line(text.grade),
        tuple(map(clean_line, text.named)),
        clean(text.forced),
        clean(text.free),
        tuple(map(clean_line, text.free_named)),
    )
