"""The n-gram grader: short pieces of a submission's text in the grade head's kernel. It needs no language model.

Pieces are the two to four characters that stand beside each other in a word, with a blank around the word. The grader
is kept in primal form: a weight per piece, no text. What it reads has no meaning for it: padding moves its grades.
"""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from opeddev_tui.analysis.one_thread import one_thread
from opeddev_tui.errors import DataProblem
from opeddev_tui.grading.conformal import COVERAGE
from opeddev_tui.grading.head import (
    Floats,
    GradeHead,
    Labels,
    LinearScores,
    Singles,
    fit_gram,
    fit_probabilities,
    limit_of,
    require_fit,
)
from opeddev_tui.grading.ordinal import Grades
from opeddev_tui.grading.ridge import KIND_WEIGHT, kind_factor
from opeddev_tui.grading.scale import Scale

_SHORTEST, _LONGEST = 2, 4
_MOST_PIECES = 50_000


class Pieces(Struct, frozen=True):
    """The ``known`` pieces [d] and how much each tells, ``rarity`` [d]."""

    known: tuple[str, ...]
    rarity: Singles

    def features(self, texts: Sequence[str]) -> Floats:
        """Return the features [n, d] of ``texts``: of length 1, or 0 where no piece is known."""
        places = {piece: place for place, piece in enumerate(self.known)}
        found = np.zeros((len(texts), len(self.known)))
        for row, text in enumerate(texts):
            counts = Counter(piece for piece in pieces(text) if piece in places)
            at = [places[piece] for piece in counts]
            found[row, at] = 1.0 + np.log(np.fromiter(counts.values(), np.float64, len(counts)))
        found *= self.rarity
        lengths = np.sqrt((found**2).sum(1, keepdims=True))
        return np.asarray(found / np.where(lengths > 0, lengths, 1.0))


class NGramGrader(Struct, frozen=True):
    """A fitted grader: a ``head`` on the features that ``pieces`` are."""

    pieces: Pieces
    head: GradeHead

    def grades(self, texts: Sequence[str], kinds: Sequence[str] = ()) -> Grades:
        """Return the grades of submissions."""
        parts = [texts[at : at + 64] for at in range(0, len(texts), 64)] or [texts]
        scores = [
            self.head.linear.scores(self.pieces.features(part), kinds[64 * at : 64 * at + len(part)])[:, 0]
            for at, part in enumerate(parts)
        ]
        return Grades(self.head.ordinal.probabilities(np.concatenate(scores)))


class FittedNGrams(Struct, frozen=True):
    """The grader, and grades of its rows by fits without them."""

    grader: NGramGrader
    out_of_fold: Grades


def pieces(text: str) -> list[str]:
    """Return the pieces of ``text``, as often as they stand in it; a whole word that is shorter is one."""
    found: list[str] = []
    for word in re.sub(r"\s\s+", " ", text).split():
        padded = f" {word} "
        for size in range(_SHORTEST, _LONGEST + 1):
            if len(padded) <= size:
                found.append(padded)
                break
            found += [padded[at : at + size] for at in range(len(padded) - size + 1)]
    return found


@one_thread()
def fit_n_grams(texts: Sequence[str], labels: Labels, scale: Scale) -> FittedNGrams:
    """Return the grader fitted on graded ``texts`` [n].

    Raises ``DataProblem`` for too few rows, and where all texts are empty.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    require_fit(labels)
    vectorizer = TfidfVectorizer(
        analyzer=pieces, max_features=_MOST_PIECES, sublinear_tf=True, lowercase=False, token_pattern=None
    )
    rows = np.flatnonzero(labels.used).tolist()
    if not any(texts[row].strip() for row in rows):
        raise DataProblem("no graded row has a submission to read.", cure="Add graded rows with submissions.")
    # most of the time goes into reading the texts, so each is read once
    known, part = vectorizer.fit_transform([texts[row] for row in rows]), labels.chosen(labels.used)
    gram = np.asarray((known @ known.T).toarray(), dtype=np.float64) * kind_factor(part.kinds, part.kinds)
    duals, intercept, fit = fit_gram(gram, part.grades.astype(np.float64)[:, None], part)[0]
    kinds = tuple(sorted({kind for kind in part.kinds if kind}))
    weights = [known.T @ duals]
    for kind in kinds:
        alike = np.flatnonzero(np.asarray(part.kinds, dtype=object) == kind)
        weights.append(KIND_WEIGHT * (known[alike].T @ duals[alike]))
    found = Pieces(tuple(vectorizer.get_feature_names_out().tolist()), vectorizer.idf_.astype(np.float32))
    size = len(found.known)
    linear = LinearScores(
        *(np.zeros(size, np.float32), np.ones(size, np.float32), kinds),
        np.stack(weights).astype(np.float32)[None],
        *((float(intercept),), (float(fit.penalty),)),
    )
    scores = np.zeros(len(texts))
    scores[rows] = fit.out_of_fold
    others = np.flatnonzero(~labels.used).tolist()
    if others:
        new = found.features([texts[row] for row in others])
        scores[others] = linear.scores(new, labels.chosen(~labels.used).kinds)[:, 0]
    ordinal, out_of_fold = fit_probabilities(scores, labels, scale.size)
    head = GradeHead(scale, linear, ordinal, limit_of(out_of_fold, labels), COVERAGE, len(rows))
    return FittedNGrams(NGramGrader(found, head), Grades(out_of_fold))
