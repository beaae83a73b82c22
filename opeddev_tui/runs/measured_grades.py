"""What the hold-out measured of the way that grades, in the sentences that stand beside its grades. Pure.

A confidence and a 90% set are what a head claims of itself. Screen, commands, service and exports say beside them what
was measured, and warn where the race does; they take the sentences from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from opeddev_tui.format import capital, plural, share
from opeddev_tui.intervals import CONFIDENCE, wilson
from opeddev_tui.runs.grade_records import BASE_HEAD, Figure, RacedWay, WayGrades
from opeddev_tui.runs.grade_words import CLAIMS_TOO_MUCH, DO_NOT_RELY, near_words, too_few

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opeddev_tui.runs.grade_events import GradesRead, RaceHeld
    from opeddev_tui.runs.state import RunState

# what a set promises
_PROMISED = 0.9
_FIGURES = {0: "exact", 1: "within_one"}


class Measured(Struct, frozen=True):
    """What was measured of one way on ``rows`` hold-out rows with a person's grade.

    ``agreed`` is the share of its grades at most ``tolerance`` grades off, ``covered`` that of its 90% sets that hold
    the right grade (None for a way that promises none); ``warning`` says why not to rely on it, empty where no race
    warns.
    """

    rows: int
    tolerance: int
    agreed: Figure
    covered: Figure | None = None
    warning: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        """Everything that is told, a sentence each, the warning first."""
        return tuple(filter(None, (self.warning, self.agreement, self.coverage)))

    @property
    def agreement(self) -> str:
        """How many of its grades agreed with people."""
        agreed = _told(self.agreed, self.rows)
        return f"On {plural(self.rows, 'hold-out row')} {agreed} of its grades were {near_words(self.tolerance)}."

    @property
    def coverage(self) -> str:
        """How often the sets hold the right grade, where that is less than they promise; else empty."""
        covered = self.covered
        if covered is None or covered.value is None or round(covered.value, 2) >= _PROMISED:
            return ""
        return f"Its 90% sets held the right grade in {_told(covered, self.rows)} of these rows."


class Recorded(Struct, frozen=True):
    """The grades of the graded hold-out rows by one way: ``way`` as it was read, else as it was raced.

    ``reference`` are the right grades, ``right`` and ``given`` their places on the scale and those of the way's grades;
    all have an entry per row, and so has ``groups``, empty where no row has one.
    """

    way: WayGrades | RacedWay
    reference: tuple[str, ...]
    right: tuple[int, ...]
    given: tuple[int, ...]
    groups: tuple[str, ...]


def recorded(state: RunState, epoch: int, way: str, labels: Sequence[str]) -> Recorded | None:
    """Return what the run of ``state`` recorded of ``way`` after ``epoch``; None where it recorded no such grades."""
    read, race = state.readings.get(epoch), state.races.get(epoch)
    held: GradesRead | RaceHeld | None = read if read is not None and read.by(way) is not None else race
    found = next((item for item in held.ways if item.way == way), None) if held is not None else None
    places = {label: place for place, label in enumerate(labels)}
    if held is None or found is None or not held.reference or len(found.grades) != len(held.reference):
        return None
    if not set(held.reference) <= set(places):
        return None
    right = tuple(places[label] for label in held.reference)
    # a text without a grade is as wrong as can be
    given = tuple(places.get(label, -len(labels)) for label in found.grades)
    return Recorded(found, held.reference, right, given, held.groups)


def measured(state: RunState, epoch: int, way: str, labels: Sequence[str], tolerance: int) -> Measured | None:
    """Return what the run of ``state`` measured of ``way`` after ``epoch``; None where it recorded no such grades."""
    found = recorded(state, epoch, way, labels)
    if found is None:
        return None
    rows = len(found.reference)
    hits = sum(abs(one - right) <= tolerance for one, right in zip(found.given, found.right, strict=True))
    figure = found.way.figures.get(_FIGURES.get(tolerance, ""), Figure(None))
    agreed = figure if figure.value is not None else _share(hits, rows)
    covered = None
    if isinstance(found.way, WayGrades) and len(found.way.sets) == rows:
        inside = sum(label in grades for label, grades in zip(found.reference, found.way.sets, strict=True))
        covered = _share(inside, rows)
    return Measured(rows, tolerance, agreed, covered, race_warning(state.races.get(epoch), way))


def race_warning(race: RaceHeld | None, way: str = "") -> str:
    """Return why ``race`` warns of grades by ``way`` (empty: of the way that it chose), as sentences; else empty."""
    way = way or (race.chosen if race is not None else "")
    raced = next((item for item in race.ways if item.way == way), None) if race is not None else None
    if race is None or raced is None or too_few(race.holdout_rows or len(race.reference)):
        return ""
    told = []
    if better := _better_cheap_way(race, raced):
        told.append(f"{capital(DO_NOT_RELY)}: {raced.words} is worse than {better}, which needs no language model.")
    if raced.claim.startswith(CLAIMS_TOO_MUCH):
        told.append(raced.claim)
    return " ".join(told)


def disputes_doubt(race: RaceHeld | None) -> str:
    """Return why what the head on the base model disputes is little evidence after ``race``, a sentence; else empty."""
    head = next((item for item in race.ways if item.way == BASE_HEAD), None) if race is not None else None
    better = _better_cheap_way(race, head) if race is not None and head is not None else ""
    return f"This head grades worse than {better}: its disputes say little of your grades." if better else ""


def _better_cheap_way(race: RaceHeld, raced: RacedWay) -> str:
    """Return the words of the cheap way that is shown to beat ``raced``; empty where none is, or the rows are few."""
    cheap = next((item for item in race.ways if item.cheap), None)
    few = too_few(race.holdout_rows or len(race.reference))
    if few or cheap is None or raced.to_cheap is None or (raced.to_cheap.high or 0.0) >= 0:
        return ""
    return cheap.words


def _share(hits: int, rows: int) -> Figure:
    return Figure(hits / rows, *wilson(hits, rows, CONFIDENCE))


def _told(figure: Figure, rows: int) -> str:
    """Return a share with its interval, which few rows do not have."""
    if figure.low is None or figure.high is None or figure.low != figure.low or too_few(rows):
        return share(figure.value)
    return f"{share(figure.value)} ({share(figure.low)} to {share(figure.high)})"
