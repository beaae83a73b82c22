"""Blind human evaluation: which text is shown on which side, how far a round is, its score with an interval. No I/O.

A round shows one epoch's generations beside those from before the step, in random order per prompt. It counts only when
every prompt of it is rated: stopping as soon as the score looks good would bias it. Until then the sides stay hidden.
"""

import random
from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec import Struct

from opeddev_tui.intervals import wilson
from opeddev_tui.runs.events import Preference, Rated, SamplesGenerated
from opeddev_tui.runs.state import RunState

Side = Literal["now", "before"]
Answer = Literal["left", "right", "tie", "both bad"]
VALUES: Mapping[Preference, float] = {"now": 1.0, "before": 0.0, "tie": 0.5, "both bad": 0.5}


class Score(Struct, frozen=True):
    """``value`` = (wins + half the ties) / rated, with its Wilson interval; "both bad" counts as a tie."""

    rated: int
    wins: int
    losses: int
    ties: int
    both_bad: int
    value: float
    interval: tuple[float, float]


class Pair(Struct, frozen=True):
    """One prompt of a round as it is shown, with its number, its two texts and what they are."""

    prompt: int
    asked: str
    reference: str
    left: Side
    right: Side
    left_text: str
    right_text: str


def sides(seed: int, prompt: int) -> tuple[Side, Side]:
    """Return what is shown left and right for ``prompt`` in the round of ``seed``; both orders are equally likely."""
    return ("now", "before") if random.Random(f"{seed}/{prompt}").random() < 0.5 else ("before", "now")


def preferred(left: Side, right: Side, answer: Answer) -> Preference:
    """Return the preference that ``answer`` states."""
    return left if answer == "left" else right if answer == "right" else answer


def score(preferences: Iterable[Preference], confidence: float = 0.95) -> Score | None:
    """Return the score of ``preferences``, None if there are none."""
    given = list(preferences)
    if not given:
        return None
    total = sum(VALUES[item] for item in given)
    return Score(
        rated=len(given),
        wins=given.count("now"),
        losses=given.count("before"),
        ties=given.count("tie"),
        both_bad=given.count("both bad"),
        value=total / len(given),
        interval=wilson(total, len(given), confidence),
    )


def generation_of(state: RunState, epoch: int) -> SamplesGenerated | None:
    """Return the newest generations of the end of ``epoch``, None if there are none."""
    return next((item for item in reversed(state.samples) if item.epoch == epoch and not item.on_demand), None)


def pairs(state: RunState, epoch: int, seed: int) -> list[Pair]:
    """Return the prompts of the round of ``epoch`` in order: those that were also generated before the step."""
    before, now = generation_of(state, 0), generation_of(state, epoch)
    if before is None or now is None or epoch <= 0:
        return []
    old = {(sample.id, sample.prompt): sample.text for sample in before.samples}
    round_pairs: list[Pair] = []
    for number, sample in enumerate(now.samples):
        text = old.get((sample.id, sample.prompt))
        if text is None:
            continue
        left, right = sides(seed, number)
        texts: dict[Side, str] = {"now": sample.text, "before": text}
        round_pairs.append(Pair(number, sample.prompt, sample.reference, left, right, texts[left], texts[right]))
    return round_pairs


def ratings_of(state: RunState, epoch: int) -> dict[int, Rated]:
    """Return the ratings of ``epoch`` by prompt, in the order they were given."""
    return {prompt: rated for (at, prompt), rated in state.ratings.items() if at == epoch}


def seed_of(state: RunState, epoch: int) -> int | None:
    """Return the seed of the round of ``epoch``, None if none was begun."""
    return next((rated.round_seed for rated in ratings_of(state, epoch).values()), None)


def complete(state: RunState, epoch: int) -> bool:
    """True if every prompt of the round of ``epoch`` is rated."""
    given = ratings_of(state, epoch)
    asked = [pair.prompt for pair in pairs(state, epoch, 0)]
    return bool(given) and given.keys() >= set(asked)


def counted(state: RunState) -> dict[int, list[Preference]]:
    """Return the preferences of all complete rounds by epoch. Only these are shown and used by the early-stop rule."""
    epochs = sorted({epoch for epoch, _ in state.ratings})
    return {
        epoch: [rated.preferred for rated in ratings_of(state, epoch).values()]
        for epoch in epochs
        if complete(state, epoch)
    }


def scores(state: RunState) -> dict[int, Score]:
    """Return the score of each complete round by epoch."""
    rounds = counted(state).items()
    return {epoch: found for epoch, given in rounds if (found := score(given)) is not None}


def shares(state: RunState) -> dict[int, float]:
    """Return the value of each score, 0 to 1, by epoch."""
    return {epoch: item.value for epoch, item in scores(state).items()}
