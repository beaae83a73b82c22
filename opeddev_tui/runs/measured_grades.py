"""What the hold-out measured of the way that grades, in the sentences that stand beside its grades. Pure.

A confidence and a 90% set are what a head claims of itself. Screen, commands, service and exports say beside them what
was measured, and warn where the race does; they take the sentences from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from opeddev_tui.format import capital, plural, share
from opeddev_tui.intervals import CONFIDENCE, wilson
from opeddev_tui.runs.grade_records import Figure
from opeddev_tui.runs.grade_words import CLAIMS_TOO_MUCH, DO_NOT_RELY, near_words, too_few

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opeddev_tui.runs.grade_events import RaceHeld
    from opeddev_tui.runs.grade_records import RacedWay, WayGrades
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


def measured(state: RunState, epoch: int, way: str, labels: Sequence[str], tolerance: int) -> Measured | None:
    """Return what the run of ``state`` recorded of ``way`` after ``epoch``; None where it recorded no such grades."""
    read, race = state.readings.get(epoch), state.races.get(epoch)
    known = read.by(way) if read is not None else None
    raced = next((item for item in race.ways if item.way == way), None) if race is not None else None
    found: WayGrades | RacedWay | None = known or raced
    reference = read.reference if known is not None and read is not None else race.reference if race is not None else ()
    places = {label: place for place, label in enumerate(labels)}
    if found is None or not reference or len(found.grades) != len(reference) or not set(reference) <= set(places):
        return None
    # a text without a grade is as wrong as can be
    given = [places.get(label, -len(labels)) for label in found.grades]
    hits = sum(abs(one - places[label]) <= tolerance for one, label in zip(given, reference, strict=True))
    recorded = found.figures.get(_FIGURES.get(tolerance, ""), Figure(None))
    agreed = recorded if recorded.value is not None else _share(hits, len(reference))
    covered = None
    if known is not None and len(known.sets) == len(reference):
        inside = sum(label in grades for label, grades in zip(reference, known.sets, strict=True))
        covered = _share(inside, len(reference))
    return Measured(len(reference), tolerance, agreed, covered, race_warning(race, way))


def race_warning(race: RaceHeld | None, way: str = "") -> str:
    """Return why ``race`` warns of grades by ``way`` (empty: of the way that it chose), as sentences; else empty."""
    way = way or (race.chosen if race is not None else "")
    raced = next((item for item in race.ways if item.way == way), None) if race is not None else None
    if race is None or raced is None or too_few(race.holdout_rows or len(race.reference)):
        return ""
    told = []
    cheap = next((item for item in race.ways if item.cheap), None)
    if cheap is not None and raced.to_cheap is not None and (raced.to_cheap.high or 0.0) < 0:
        told.append(
            f"{capital(DO_NOT_RELY)}: {raced.words} is worse than {cheap.words}, which needs no language model."
        )
    if raced.claim.startswith(CLAIMS_TOO_MUCH):
        told.append(raced.claim)
    return " ".join(told)


def _share(hits: int, rows: int) -> Figure:
    return Figure(hits / rows, *wilson(hits, rows, CONFIDENCE))


def _told(figure: Figure, rows: int) -> str:
    """Return a share with its interval, which few rows do not have."""
    if figure.low is None or figure.high is None or figure.low != figure.low or too_few(rows):
        return share(figure.value)
    return f"{share(figure.value)} ({share(figure.low)} to {share(figure.high)})"
