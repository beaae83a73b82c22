"""Compare training rows with the hold-out: copies, near copies, repeated rows, shared groups.

Text that most rows share (a template, a rubric, boilerplate) is left out of the comparison.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from opeddev_tui.data import rows
from opeddev_tui.data.rows import MOST_SHOWN, Example
from opeddev_tui.errors import DataProblem

_SHINGLE = 4
# scripts without blanks between words: each character is a word (CJK, kana, Thai, Lao, Khmer, Burmese)
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
# words, single signs, and single characters of scripts without blanks, so that a minified file has many words too
_WORD = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}])\w)+|[^\w\s]")
# the frame is what more than this share of all rows have; it is looked for from this many rows on
_FRAME_PART, _FRAME_ROWS = 0.5, 5


class Leaks(Struct, frozen=True):
    """Rows on both sides, or twice; only ``exact`` ones forbid a training."""

    exact: list[DataProblem]
    near: list[str]
    repeated: list[str]
    groups: list[str]


def find(train: Iterable[Example], holdout: Sequence[Example], near_duplicate: float) -> Leaks:
    """Compare every training row with the hold-out, and with the training rows before it."""
    trained = list(train)
    held = {text_key(example): example for example in reversed(holdout)}
    near_copies = _NearCopies(trained, holdout, near_duplicate)
    leaks = Leaks([], [], [], _shared_groups(trained, holdout))
    first: dict[str, Example] = {}
    for number, example in enumerate(trained):
        same = held.get(text_key(example))
        if same is not None:
            cure = "Remove it from one of the two: a row that was trained on measures nothing."
            message = f"the hold-out row {same.where} is trained on here."
            leaks.exact.append(DataProblem(message, where=example.where, cure=cure))
        elif near := near_copies.of(number):
            share, other = near
            # 100% is for equal ones only
            percent = 100 if share == 1 else min(99, round(100 * share))
            leaks.near.append(f"{example.where} is {percent}% like the hold-out row {other.where}.")
        earlier = first.setdefault(_whole_key(example), example)
        if earlier is not example:
            leaks.repeated.append(f"{example.where} is the same training row as {earlier.where}.")
    return Leaks(rows.capped(leaks.exact), _capped(leaks.near), _capped(leaks.repeated), leaks.groups)


def find_sealed(
    train: Sequence[Example], holdout: Sequence[Example], test: Sequence[Example], near_duplicate: float
) -> Leaks:
    """Compare every training and hold-out row with the test set, whose rows are never named."""
    every = [*train, *holdout]
    held = {text_key(example) for example in test}
    near_copies = _NearCopies(every, test, near_duplicate)
    leaks = Leaks([], [], [], _shared_groups(train, test, "test set"))
    for number, example in enumerate(every):
        use = "trained on" if number < len(train) else "in the hold-out"
        if text_key(example) in held:
            cure = "Remove it from one of the two: the test set must be new to everything that is chosen before it."
            leaks.exact.append(DataProblem(f"a row of the test set is {use} here.", where=example.where, cure=cure))
        elif near := near_copies.of(number):
            percent = min(99, round(100 * near[0]))
            leaks.near.append(f"{example.where} ({use}) is {percent}% like a row of the test set.")
    return Leaks(rows.capped(leaks.exact), _capped(leaks.near), [], leaks.groups)


def copies(candidates: Sequence[Example], known: Sequence[Example], near_duplicate: float) -> list[bool]:
    """Return for each candidate whether it is a copy or near copy of a ``known`` row."""
    keys = {text_key(example) for example in known}
    near_copies = _NearCopies(candidates, known, near_duplicate)
    return [text_key(row) in keys or near_copies.of(number) is not None for number, row in enumerate(candidates)]


def alike(examples: Sequence[Example], near_duplicate: float) -> list[tuple[int, int]]:
    """Return pairs of rows of one set that are copies or near copies, or share a group, so that all of them connect."""
    pairs: list[tuple[int, int]] = []
    first: dict[tuple[str, str], int] = {}
    near_copies = _NearCopies(examples, examples, near_duplicate)
    for number, example in enumerate(examples):
        keys = [("text", text_key(example)), *([("group", example.group)] if example.group else [])]
        pairs += [(first.setdefault(key, number), number) for key in keys]
        pairs += [(number, other) for other in near_copies.all_of(number)]
    return [(one, two) for one, two in pairs if one != two]


def _capped(warnings: list[str]) -> list[str]:
    rest = len(warnings) - MOST_SHOWN
    return [*warnings[:MOST_SHOWN], f"and {rest} more like these."] if rest > 0 else warnings


def _normal(text: str) -> str:
    return " ".join(text.split())


def text_key(example: Example) -> str:
    """Return the text that must not be on both sides: the submission, or a chat's turns up to the answer."""
    turns = [message for message in example.prompt if message.role != "system"]
    if len(turns) < 2:
        return _normal(example.submission)
    return "\0".join(f"{message.role} {_normal(message.content)}" for message in turns)


def _whole_key(example: Example) -> str:
    turns = [f"{message.role} {_normal(message.content)}" for message in example.prompt]
    return "\0".join([*turns, _normal(example.completion)])


def _shared_groups(train: Sequence[Example], holdout: Sequence[Example], name: str = "hold-out") -> list[str]:
    trained, held = (Counter(row.group for row in side if row.group) for side in (train, holdout))
    both = sorted(trained.keys() & held.keys())
    if not both:
        return []
    named = ", ".join(f"{group} ({trained[group]} and {held[group]})" for group in both[:10])
    more = f" and {len(both) - 10} more" if len(both) > 10 else ""
    return [
        f"groups with rows in training and in the {name}: {named}{more}. "
        "Grades of such rows are easier than those of new groups; keep whole groups on one side."
    ]


class _NearCopies:
    """Finds the hold-out row that shares most 4-word sequences with a training row, without the frame.

    ``threshold`` is a Jaccard similarity (Broder 1997), 0 to 1.
    """

    def __init__(self, train: Sequence[Example], holdout: Sequence[Example], threshold: float) -> None:
        # a share equal to the threshold counts, in spite of rounding errors
        self._threshold = threshold - 1e-9
        self._holdout = holdout
        every = [_shingles(example.submission) for example in (*train, *holdout)]
        frame = _frame(every)
        every = [shingles - frame for shingles in every]
        self._train, self._held = every[: len(train)], every[len(train) :]
        self._holders: dict[str, list[int]] = defaultdict(list)
        for number, shingles in enumerate(self._held):
            for shingle in shingles:
                self._holders[shingle].append(number)

    def of(self, number: int) -> tuple[float, Example] | None:
        """Return similarity and row of the most similar one, None if it is below the threshold."""
        share, place = max(((share, -holder) for share, holder in self._shares(number)), default=(0.0, 0))
        return (share, self._holdout[-place]) if share >= self._threshold else None

    def all_of(self, number: int) -> list[int]:
        """Return the places of all that are similar enough."""
        return [holder for share, holder in self._shares(number) if share >= self._threshold]

    def _shares(self, number: int) -> Iterator[tuple[float, int]]:
        """Yield (similarity, place) of all that have something in common with row ``number``."""
        own = self._train[number]
        common = Counter(holder for shingle in own for holder in self._holders.get(shingle, ()))
        for holder, count in common.items():
            yield count / (len(own) + len(self._held[holder]) - count), holder


def _frame(every: Sequence[frozenset[str]]) -> frozenset[str]:
    """Return the word sequences that most rows have."""
    if len(every) < _FRAME_ROWS:
        return frozenset()
    counts = Counter(shingle for shingles in every for shingle in shingles)
    return frozenset(shingle for shingle, count in counts.items() if count > _FRAME_PART * len(every))


def _shingles(text: str) -> frozenset[str]:
    words = _WORD.findall(text)
    if 0 < len(words) < _SHINGLE:
        return frozenset([" ".join(words)])
    return frozenset(map(" ".join, zip(*(words[start:] for start in range(_SHINGLE)), strict=False)))
