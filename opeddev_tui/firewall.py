"""Owns the firewall between what is trained on and what is scored on: copies, near copies, repeated rows."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from opeddev_tui import rows
from opeddev_tui.errors import DataProblem
from opeddev_tui.rows import MOST_SHOWN, Example

_SHINGLE = 4


class Leaks(Struct, frozen=True):
    """Rows that are where they should not be; only ``exact`` ones forbid a training."""

    exact: list[DataProblem]
    near: list[str]
    repeated: list[str]


def find(train: Iterable[Example], holdout: Sequence[Example], near_duplicate: float) -> Leaks:
    """Compare every training row with the hold-out, and with the training rows before it."""
    held = {_key(example): example for example in reversed(holdout)}
    held_shingles = [(example, _shingles(example.submission)) for example in holdout]
    leaks = Leaks([], [], [])
    first: dict[str, Example] = {}
    for example in train:
        same = held.get(_key(example))
        if same is not None:
            cure = "Remove it from one of the two: a row that was trained on measures nothing."
            message = f"the hold-out row {same.where} is trained on here."
            leaks.exact.append(DataProblem(message, where=example.where, cure=cure))
        else:
            share, other = _nearest(_shingles(example.submission), held_shingles)
            # a share equal to the threshold counts, whatever its last binary digit
            if other is not None and share >= near_duplicate - 1e-9:
                leaks.near.append(f"{example.where} is {share:.0%} like the hold-out row {other.where}.")
        earlier = first.setdefault(_whole_key(example), example)
        if earlier is not example:
            leaks.repeated.append(f"{example.where} is the same training row as {earlier.where}.")
    return Leaks(rows.capped(leaks.exact), _capped(leaks.near), _capped(leaks.repeated))


def _capped(warnings: list[str]) -> list[str]:
    rest = len(warnings) - MOST_SHOWN
    return [*warnings[:MOST_SHOWN], f"and {rest} more like these."] if rest > 0 else warnings


def _normal(text: str) -> str:
    return " ".join(text.split())


def _key(example: Example) -> str:
    """Return what must not be on both sides: the submission, or a conversation's turns up to the answer."""
    turns = [message for message in example.prompt if message.role != "system"]
    if len(turns) < 2:
        return _normal(example.submission)
    return "\0".join(f"{message.role} {_normal(message.content)}" for message in turns)


def _whole_key(example: Example) -> str:
    turns = [f"{message.role} {_normal(message.content)}" for message in example.prompt]
    return "\0".join([*turns, _normal(example.completion)])


def _nearest(own: frozenset[str], holdout: Sequence[tuple[Example, frozenset[str]]]) -> tuple[float, Example | None]:
    """Return the largest share of 4-word shingles in common with a hold-out row, and that row."""
    best: tuple[float, Example | None] = (0.0, None)
    for other, shingles in holdout:
        common = len(own & shingles)
        share = common / (len(own) + len(shingles) - common) if common else 0.0
        if share > best[0]:
            best = share, other
    return best


def _shingles(text: str) -> frozenset[str]:
    words = text.split()
    last = max(1, len(words) - _SHINGLE + 1)
    return frozenset(" ".join(words[start : start + _SHINGLE]) for start in range(last)) if words else frozenset()
