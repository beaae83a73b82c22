"""The cheap ways to a grade beside recorded grades: what needs no language model, and so has to be beaten. Pure.

Screen, commands, reports and the model card take names and figures of them from here. A journal tells what the version
that wrote it measured: a text classifier where it is older, which is never called the n-gram grader.
"""

from typing import TYPE_CHECKING

from msgspec import Struct

from opeddev_tui.runs.grade_events import GradesMeasured
from opeddev_tui.runs.grade_records import Figure

if TYPE_CHECKING:
    from opeddev_tui.runs.state import RunState


class CheapWay(Struct, frozen=True):
    """A cheap way: ``words`` name it, ``short`` in a table; ``figures`` are by name, as far as they are known."""

    words: str
    short: str
    figures: dict[str, Figure]


class ToBeat(Struct, frozen=True):
    """The best that a cheap way reaches in one figure."""

    way: CheapWay
    value: float


def cheap_ways(measured: GradesMeasured) -> list[CheapWay]:
    """Return the cheap ways that were scored on the rows of ``measured``."""
    # one answer for all rows agrees with nothing beyond chance
    chance = Figure(0.0)
    return [
        CheapWay("the commonest grade", "commonest", {"exact": Figure(measured.majority_exact), "kappa": chance}),
        CheapWay("the middle grade", "middle", {"within_one": Figure(measured.middle_within_one), "kappa": chance}),
        *fitted_ways(measured),
    ]


def fitted_ways(measured: GradesMeasured) -> list[CheapWay]:
    """Return those of the cheap ways that are fitted on the training rows: one, or none where that was not possible."""
    found = []
    if measured.n_grams:
        found.append(CheapWay("the n-gram grader", "n-grams", measured.n_grams))
    if measured.classifier_exact is not None:
        found.append(CheapWay("a text classifier", "classifier", {"exact": Figure(measured.classifier_exact)}))
    return found


def cheap_of(state: "RunState", epoch: int) -> list[CheapWay]:
    """Return the cheap ways of a run: as its race has them, with all figures, else as they stand beside ``epoch``."""
    race, measured = state.race, state.grades.get(epoch)
    raced = [CheapWay(way.words, way.way, way.figures) for way in race.ways if way.cheap] if race is not None else []
    return raced or (cheap_ways(measured) if measured is not None else [])


def to_beat(measured: GradesMeasured, figure: str = "exact") -> ToBeat:
    """Return the best cheap way by ``figure``: exact, within_one or kappa, of which more is better."""
    found = [(way, way.figures[figure].value) for way in cheap_ways(measured) if figure in way.figures]
    known = [ToBeat(way, value) for way, value in found if value is not None]
    return max(known, key=lambda item: item.value)
