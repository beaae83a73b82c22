"""The token sequences that write each grade, and a grade's probability as that of its whole sequence.

No torch: log-probabilities come as arrays. Where the text before the grade differs from row to row (a grade written
after the feedback) there is no distribution: it would be read off the reference's own feedback.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from opeddev_tui.data.rows import Example
from opeddev_tui.grading.spans import Encoder

Floats = NDArray[np.float64]
# how much of the rows must begin alike for the grade's place to be known before the text
_ALIKE = 0.9


class GradeTokens(Struct, frozen=True):
    """``stem``: ids before every grade; ``tails``: the ids of each grade after it, none the beginning of another.

    ``branches`` are the beginnings after which more is to be asked; empty where one token decides.
    """

    stem: tuple[int, ...]
    tails: tuple[tuple[int, ...], ...]

    @property
    def branches(self) -> tuple[tuple[int, ...], ...]:
        """The longest beginnings of the tails before their last ids, each once."""
        before = {tail[:-1] for tail in self.tails if len(tail) > 1}
        longest = (one for one in before if not any(one != other and other[: len(one)] == one for other in before))
        return tuple(sorted(longest))

    def begins(self, completion: Sequence[int]) -> bool:
        """True where ``completion`` begins with the stem and has more."""
        return len(completion) > len(self.stem) and tuple(completion[: len(self.stem)]) == self.stem

    def normalised(self, log_probabilities: Mapping[tuple[int, ...], Floats]) -> Floats:
        """Return grade probabilities [n, grades].

        ``log_probabilities`` maps each beginning of a tail (the empty one too) to log-probabilities of the next token,
        [n, vocabulary].
        """
        columns = [
            np.sum([log_probabilities[tail[:depth]][:, token] for depth, token in enumerate(tail)], axis=0)
            for tail in self.tails
        ]
        logs = np.stack(columns, axis=1)
        odds = np.exp(logs - logs.max(1, keepdims=True))
        return np.asarray(odds / odds.sum(1, keepdims=True), dtype=np.float64)


def grade_stem(completions: Sequence[str], pattern: str) -> tuple[str, str] | None:
    """Return the text before the grade and what follows it in all ``completions``, None where it differs by row.

    ``pattern`` is ``grading.pattern``: its first group is the grade.
    """
    found = [match for text in completions if (match := re.search(pattern, text)) and match.group(1) is not None]
    if not found:
        return None
    before, count = Counter(match.string[: match.start(1)] for match in found).most_common(1)[0]
    if count < _ALIKE * len(found):
        return None
    after = [match.string[match.end(1) :] for match in found if match.string[: match.start(1)] == before]
    return before, _common(after)


def grade_tokens(encoder: Encoder, stem: tuple[str, str], labels: Sequence[str]) -> GradeTokens | None:
    """Return the token sequences of ``labels`` between the two texts of ``stem``; None if two are written alike."""
    before, after = stem
    written = [_completion_ids(encoder, f"{before}{label}{after}") for label in labels]
    shared = _shared(written)
    trailing = min(_shared([ids[::-1] for ids in written]), min(len(ids) for ids in written) - shared)
    # a grade that begins another (1 and 10) is told from it by what follows
    for extra in range(trailing + 1):
        tails = [tuple(ids[shared : len(ids) - trailing + extra]) for ids in written]
        if all(tails) and not any(a is not b and b[: len(a)] == a for a in tails for b in tails):
            return GradeTokens(tuple(written[0][:shared]), tuple(tails))
    return None


def _completion_ids(encoder: Encoder, text: str) -> list[int]:
    example = Example(prompt=(), completion=text, grade=None, kind="", where="", id="", submission="")
    return encoder.encode(example)[1]


def _shared(sequences: Sequence[Sequence[int]]) -> int:
    """Return how many ids all sequences share at their beginning."""
    count = 0
    for ids in zip(*sequences, strict=False):
        if len(set(ids)) > 1:
            break
        count += 1
    return count


def _common(texts: Sequence[str]) -> str:
    """Return how all ``texts`` begin, up to the end of a word: the first letters of the feedbacks are not the frame."""
    low, high = min(texts, default=""), max(texts, default="")
    pairs = enumerate(zip(low, high, strict=False))
    length = next((place for place, (a, b) in pairs if a != b), min(len(low), len(high)))
    words = re.match(r".*\s", low[:length], re.DOTALL)
    return words.group() if words else ""
