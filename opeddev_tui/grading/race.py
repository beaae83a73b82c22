"""Compare all ways to a grade on the same rows: figures, paired differences, cost, and what to make of it.

A way is better than another only where the interval of their paired difference excludes zero. Which rows may be
compared is the caller's: rows that no way was fitted on, or out-of-fold predictions of all of them.
"""

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from opeddev_tui.format import capital
from opeddev_tui.grading.intervals import Estimate
from opeddev_tui.grading.scores import Predictions, Reference, answered, figures, paired_difference
from opeddev_tui.runs.grade_words import DO_NOT_RELY, few_rows, too_few

# parts with fewer rows tell nothing
_FEWEST = 5
# the mode in which the race itself chooses
AUTO = "auto"


class Way(Struct, frozen=True):
    """One way to a grade; ``cheap``: needs no language model; ``tuned``: needs the fine-tuned one.

    ``mode`` is the setting that chooses it (head, text, tokens, n-grams), empty where none does. ``seconds`` is what
    grading the rows took, and fitting where there is something to fit.
    """

    name: str
    words: str
    predictions: Predictions
    seconds: float
    mode: str = ""
    cheap: bool = False
    tuned: bool = False


class RaceRow(Struct, frozen=True):
    """A way's figures, and its kappa less that of the best cheap way (None for that one)."""

    name: str
    words: str
    figures: dict[str, Estimate]
    answered: float
    seconds: float
    to_cheap: Estimate | None


class Part(Struct, frozen=True):
    """The figures of one way on rows of one kind, reference grade or length."""

    by: str
    value: str
    rows: int
    figures: dict[str, Estimate]


class Race(Struct, frozen=True):
    """The race: rows from best kappa to worst, the chosen way, and one sentence each on it and on fine-tuning."""

    rows: tuple[RaceRow, ...]
    chosen: str
    verdict: str
    tuning: str


def run_race(ways: Sequence[Way], reference: Reference, *, mode: str = AUTO) -> Race:
    """Return the race of ``ways`` on the rows of ``reference``; there is at least one way.

    ``mode`` as in ``grading.mode``: only ways of that mode may be chosen, with "auto" all that read a model. A cheap
    way is chosen by a person alone.
    """
    found = {way.name: figures(way.predictions, reference) for way in ways}
    ordered = sorted(ways, key=lambda way: _rank(found[way.name]["kappa"]), reverse=True)
    cheap = next((way for way in ordered if way.cheap), None)
    rows = tuple(
        RaceRow(
            *(way.name, way.words, found[way.name], answered(way.predictions), way.seconds),
            _difference(way, cheap, reference),
        )
        for way in ordered
    )
    usable = [way for way in ordered if mode == way.mode or (mode == AUTO and _reads_model(way))]
    chosen = _choice(usable, reference)
    verdict = _verdict(chosen or ordered[0], cheap, reference, found)
    told = [verdict, _passed_over(chosen, usable, reference), few_rows(len(reference.grades))]
    verdict = " ".join(filter(None, told))
    if mode != AUTO:
        auto = _choice([way for way in ordered if _reads_model(way)], reference)
        verdict += _set_by_hand(mode, chosen, auto)
    return Race(
        rows,
        chosen.name if chosen else "",
        verdict,
        _tuning(ordered, reference),
    )


def _reads_model(way: Way) -> bool:
    return bool(way.mode) and not way.cheap


def best_cheap(race: Race, ways: Sequence[Way]) -> tuple[str, bool]:
    """Return the name of the best cheap way of ``race``, and whether it is better than the way that grades, surely."""
    cheap = {way.name for way in ways if way.cheap}
    best = next((row.name for row in race.rows if row.name in cheap), "")
    chosen = next((row for row in race.rows if row.name == race.chosen), None)
    return best, chosen is not None and chosen.to_cheap is not None and chosen.to_cheap.high < 0


def parts(
    predictions: Predictions, reference: Reference, kinds: Sequence[str], lengths: Sequence[int], labels: Sequence[str]
) -> list[Part]:
    """Return figures per kind, reference grade (``labels``: the scale's) and third of ``lengths`` (submissions)."""
    found: list[Part] = []
    cuts = np.quantile(lengths, [1 / 3, 2 / 3]) if lengths else [0, 0]
    thirds = np.searchsorted(cuts, np.asarray(lengths), side="left").tolist()
    groups = {
        "kind": [*kinds] if any(kinds) else [],
        "grade": [labels[grade] for grade in reference.grades],
        "length": [("short", "middle", "long")[place] for place in thirds],
    }
    for by, values in groups.items():
        for value in sorted(set(values), key=lambda item: values.index(item) if by == "kind" else _order(item, labels)):
            places = np.flatnonzero(np.asarray(values, dtype=object) == value)
            if len(places) >= _FEWEST:
                part = figures(predictions.rows(places), reference.rows(places))
                if by == "grade":
                    # rows of one grade have nothing to agree on but that grade
                    del part["kappa"]
                found.append(Part(by, value, len(places), part))
    return found


def _order(value: str, labels: Sequence[str]) -> int:
    known = (*labels, "short", "middle", "long")
    return known.index(value)


def _rank(kappa: Estimate) -> float:
    return -2.0 if np.isnan(kappa.value) else kappa.value


def _difference(way: Way, other: Way | None, reference: Reference) -> Estimate | None:
    if other is None or other is way:
        return None
    return paired_difference(way.predictions, other.predictions, reference)


def _choice(usable: Sequence[Way], reference: Reference) -> Way | None:
    """Return the way that grades: the head on the base model, unless the interval shows that another is better.

    That head is never trained on by a step, costs one pass, and has probabilities; the others must earn their place,
    which they cannot on a few rows.
    """
    chosen = _first_choice(usable)
    if chosen is None:
        return usable[0] if usable else None
    for way in usable if not too_few(len(reference.grades)) else ():
        difference = _difference(way, chosen, reference)
        if difference is not None and difference.low > 0:
            return way
    return chosen


def _first_choice(usable: Sequence[Way]) -> Way | None:
    heads = [way for way in usable if way.mode == "head"]
    return next((way for way in heads if not way.tuned), heads[0] if heads else None)


def _passed_over(chosen: Way | None, usable: Sequence[Way], reference: Reference) -> str:
    """Return why the way of the highest kappa does not grade, as a sentence; empty where it does."""
    first = _first_choice(usable)
    if first is None or chosen is usable[0]:
        return ""
    difference = _difference(usable[0], first, reference)
    if difference is None or round(difference.value, 2) <= 0:
        return ""
    size = f"{difference.value:+.2f}" if too_few(len(reference.grades)) else _told(difference, signed=True)
    return (
        f"{capital(usable[0].words)} has a higher kappa ({size}), but is not shown to be better, so it does not grade."
    )


def _set_by_hand(mode: str, chosen: Way | None, auto: Way | None) -> str:
    """Return the verdict's sentence for a way that the settings chose."""
    if chosen is None:
        return f' No way of grading.mode = "{mode}" could be read.'
    if auto is None or auto is chosen:
        return f' grading.mode = "{mode}" and the race choose the same.'
    return f' grading.mode = "{mode}" says so; the race would choose {auto.words}.'


def _verdict(
    shown: Way,
    cheap: Way | None,
    reference: Reference,
    found: dict[str, dict[str, Estimate]],
) -> str:
    kappa = found[shown.name]["kappa"]
    if math.isnan(kappa.value):
        return f"{capital(shown.words)} grades, but the hold-out has too few different grades for a kappa."
    if too_few(len(reference.grades)):
        # neither what is better nor an interval: both would look surer than they are
        beside = [cheap] if cheap is not None and cheap is not shown else []
        values = [(way.words, found[way.name]["kappa"].value) for way in (shown, *beside)]
        told = [f"{words} {round(value, 2) + 0.0:.2f}" for words, value in values if not math.isnan(value)]
        return f"{capital(shown.words)} grades. Kappa: {', '.join(told)}."
    begin = f"{capital(shown.words)} grades. Its kappa is {_told(kappa)}"
    if shown.cheap and shown.mode:
        return f"{begin}. It reads no meaning: padding can move its grades."
    if cheap is None or cheap is shown:
        return f"{begin}."
    difference = _difference(shown, cheap, reference)
    if difference is None:
        return f"{begin}. {capital(cheap.words)} has no kappa to compare with."
    size = f"kappa {_told(difference, signed=True)}"
    if difference.low > 0:
        return f"{begin}. It is better than {cheap.words}, the best cheap way ({size})."
    if difference.high < 0:
        other = f' grading.mode = "{cheap.mode}" grades by {cheap.words}, which padding moves.' if cheap.mode else ""
        return (
            f"{begin}. It is worse than {cheap.words} ({size}): {DO_NOT_RELY}. "
            f"More graded rows or another model may help.{other}"
        )
    perhaps = " and may be worse" if difference.value < 0 else ""
    return f"{begin}. On {len(reference.grades)} rows it is not shown to beat {cheap.words}{perhaps} ({size})."


def _tuning(ordered: Sequence[Way], reference: Reference) -> str:
    """Return whether fine-tuning was worth it for the grade, in one sentence; empty where nothing was tuned."""
    tuned = next((way for way in ordered if way.tuned), None)
    other = next((way for way in ordered if _reads_model(way) and not way.tuned), None) or next(
        (way for way in ordered if way.cheap), None
    )
    if tuned is None or other is None or too_few(len(reference.grades)):
        return ""
    difference = _difference(tuned, other, reference)
    if difference is None:
        return ""
    size = f"{tuned.words} less {other.words}: kappa {_told(difference, signed=True)}"
    if difference.low > 0:
        return f"Fine-tuning was worth it for the grade ({size})."
    if difference.high < 0:
        return f"Fine-tuning made the grade worse ({size})."
    return f"Fine-tuning is not shown to be worth it for the grade ({size})."


def _told(estimate: Estimate, *, signed: bool = False) -> str:
    form = "+.2f" if signed else ".2f"
    # adding 0.0 turns a negative zero into zero
    value, low, high = (f"{round(found, 2) + 0.0:{form}}" for found in (estimate.value, estimate.low, estimate.high))
    unknown = math.isnan(estimate.low) or math.isnan(estimate.high)
    return value if unknown else f"{value}, {low} to {high}"
