"""The race as a table that fits the width, its verdict, and what is said where there is no race. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.content import Content

from opeddev_tui.format import duration, number, plural, share, signed
from opeddev_tui.runs.events import RaceHeld
from opeddev_tui.runs.grade_events import steadied_rows
from opeddev_tui.runs.grade_records import Figure, RacedWay
from opeddev_tui.runs.grade_words import base_needed, graded_by, steadied_heads
from opeddev_tui.text import clean, clean_line
from opeddev_tui.ui.screens.grading.steps import GradedRun, read_so_far
from opeddev_tui.ui.widgets.tables import Column, shown_titles, table

Write = Callable[[float | None], str]
# from this width on ways are named in words
_WORDS = 140
HOW = "Hold one on the rows of now: opeddev-tui race --from latest"


def two(value: float | None) -> str:
    """Return a figure with two decimals, without a sign where it rounds to zero."""
    return number(value if value is None else round(value, 2) + 0.0, 2)


def ends(figure: Figure | None, write: Write) -> str:
    """Return the two ends of an interval, empty where there is none."""
    if figure is None or figure.low is None or figure.high is None:
        return ""
    return f"{write(figure.low)} to {write(figure.high)}"


def race_text(run: GradedRun, width: int, how: str = HOW, change: str = "") -> Content:
    """Return the race of ``run``, or why there is none and ``how`` to get one.

    ``change`` is a sentence on whether the step grades better than the one before.
    """
    race = run.race
    if race is not None and race.ways:
        return _lines(
            [
                ways_table(race.ways, race.chosen, width),
                Content(""),
                Content.styled(clean(race.verdict), "bold"),
                *_told(change, style="bold"),
                *_told(graded_by(race.chosen), clean(race.tuning), clean_line(base_needed(race.needs))),
                *_claims(race.ways),
                *_told(steadied_heads(steadied_rows(run.state.heads.values())), style="$muted"),
                Content.styled(_measured_on(race, width), "$muted"),
            ]
        )
    return _lines([*_why_none(run, race), Content.styled(how, "$muted"), *_so_far(run, width)])


# the title of an interval, which stands to the right of its figure
_INTERVAL = "{} 95%"
# what titles of columns mean, said where they are shown
_MEANINGS = (
    ("kappa 95%", "its interval, as for the other figures"),
    ("to cheap", "kappa less that of the best way that needs no language model"),
    ("off by", "how far a grade is from yours on average"),
    ("−log p", "surprise at your grades, less is better"),
)


def _measured_on(race: RaceHeld, width: int) -> str:
    unread = any(way.answered < 1 for way in race.ways)
    missing = " A row without a readable grade counts as the farthest away." if unread else ""
    seconds = f", in {duration(race.seconds)}" if race.seconds >= 1 else ""
    shown = shown_titles(race.ways, columns(race.ways, race.chosen, short=width < _WORDS), width)
    told = ["* the chosen way", *(f"{title}: {meaning}" for title, meaning in _MEANINGS if title in shown)]
    return (
        f"After epoch {race.epoch}: heads and n-grams fitted on {plural(race.rows, 'graded row')}, all compared on the "
        f"same {plural(race.holdout_rows, 'hold-out row')}{seconds}. {'; '.join(told)}.{missing}"
    )


def _told(*sentences: str, style: str = "") -> list[Content]:
    """Return a line for each sentence that says anything."""
    return [Content.styled(sentence, style) for sentence in sentences if sentence]


def _claims(ways: Sequence[RacedWay]) -> list[Content]:
    return [Content.styled(clean(f"{way.way}: {way.claim}"), "$muted") for way in ways if way.claim]


def _why_none(run: GradedRun, race: RaceHeld | None) -> list[Content]:
    state = run.state
    if race is not None:
        reason = f"No race was held: {clean_line(race.problem) or 'there was nothing to compare'}"
    elif not state.readings and state.over:
        reason = "This step has recorded no race and no grades: its rows have none, or it is of an older version."
    elif state.over:
        reason = "This step ended without a race."
    elif not state.readings:
        reason = "No grades are read yet. They are after every epoch, where the rows are graded."
    else:
        reason = "The race is held at the step's end, once you stop. So far, on the hold-out:"
    return [Content.styled(reason, "bold")]


def _so_far(run: GradedRun, width: int) -> list[Content]:
    readings = run.state.readings
    if not readings:
        return []
    newest = readings[max(readings)]
    return [
        Content(""),
        Content.styled(
            f"Grades of {plural(len(newest.reference), 'hold-out row')} after epoch {newest.epoch}", "$muted"
        ),
        ways_table(read_so_far(newest), "", width),
    ]


def ways_table(ways: Sequence[RacedWay], chosen: str, width: int) -> Content:
    """Return one line per way in ``width`` cells; figures of less use, then their intervals, are left out first."""
    return table(ways, columns(ways, chosen, short=width < _WORDS), width)


def columns(ways: Sequence[RacedWay], chosen: str, *, short: bool = False) -> tuple[Column[RacedWay], ...]:
    """Return the columns of a race; each figure has its interval beside it where there is room. ``short``: names."""

    def figure(name: str, write: Write) -> Callable[[RacedWay], str]:
        return lambda way: write(way.figures[name].value) if name in way.figures else "–"

    def bounds(name: str, write: Write) -> Callable[[RacedWay], str]:
        return lambda way: ends(way.figures.get(name), write)

    def style(way: RacedWay) -> str:
        return "bold $text-success" if chosen and way.way == chosen else ""

    plus: Write = lambda value: signed(value if value is None else round(value, 2) + 0.0, 2)  # noqa: E731
    compared = any(way.to_cheap is not None for way in ways)
    found = [
        Column[RacedWay]("way", lambda way: _name(way, chosen, short), right=False, style=style, widest=44),
        Column("kappa", figure("kappa", two), style=style),
        Column(_INTERVAL.format("kappa"), bounds("kappa", two), rank=1, style="$muted"),
    ]
    if compared:
        found += [
            Column("to cheap", lambda way: plus(way.to_cheap.value) if way.to_cheap else "", rank=2),
            Column(_INTERVAL.format("to cheap"), lambda way: ends(way.to_cheap, plus), rank=6, style="$muted"),
        ]
    rest: tuple[tuple[str, str, Write, int], ...] = (
        ("exact", "exact", share, 3),
        ("±1", "within_one", share, 4),
        ("off by", "mae", two, 5),
        ("signed", "signed_error", plus, 8),
        ("−log p", "nll", two, 7),
        ("calib.", "calibration_error", two, 10),
    )
    for title, name, write, rank in rest:
        if any(name in way.figures for way in ways):
            found.append(Column(title, figure(name, write), rank=rank))
            found.append(Column(_INTERVAL.format(title), bounds(name, write), rank=10 + rank, style="$muted"))
    if any(way.answered < 1 for way in ways):
        found.append(Column("answered", lambda way: share(way.answered), rank=5))
    return (*found, Column("seconds", lambda way: number(way.seconds, 1), rank=9))


def _name(way: RacedWay, chosen: str, short: bool) -> str:
    return f"{'*' if chosen and way.way == chosen else ' '} {clean_line(way.way if short else way.words)}"


def _lines(parts: Sequence[Content]) -> Content:
    return Content("\n").join(part for part in parts)
