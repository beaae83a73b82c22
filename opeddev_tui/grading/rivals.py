"""Cheap ways to a grade that a model has to beat: the commonest grade, the middle one, character n-grams.

The n-grams are the strong form: TF-IDF in the grade head's kernel, with the same ordinal fit, not a classifier that
knows no order of grades.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from opeddev_tui.analysis.one_thread import one_thread
from opeddev_tui.errors import DataProblem
from opeddev_tui.grading.head import Floats, Labels, fit_gram, fit_probabilities, require_fit
from opeddev_tui.grading.ordinal import Grades
from opeddev_tui.grading.ridge import kind_factor
from opeddev_tui.grading.scale import Positions, Scale
from opeddev_tui.grading.scores import Predictions

_LONGEST = 4
_FEATURES = 50_000


def commonest(grades: Positions, scale: Scale, count: int) -> Predictions:
    """Return the commonest of the training ``grades`` for ``count`` rows, with the training rows' frequencies."""
    frequencies = np.bincount(grades, minlength=scale.size) + 0.5
    chances = np.tile(frequencies / frequencies.sum(), (count, 1))
    return Predictions(np.full(count, int(frequencies.argmax()), np.int64), chances)


def middle(scale: Scale, count: int) -> Predictions:
    """Return the middle grade for ``count`` rows."""
    return Predictions(np.full(count, scale.middle, np.int64))


class RivalGrades(Struct, frozen=True):
    """Grades of new rows, and out-of-fold grades of the rows fitted on."""

    grades: Grades
    out_of_fold: Grades


@one_thread()
def n_grams(
    texts: Sequence[str], labels: Labels, scale: Scale, new_texts: Sequence[str], new_kinds: Sequence[str] = ()
) -> RivalGrades:
    """Return the grades of ``new_texts`` by character n-grams of graded ``texts`` [n].

    Raises ``DataProblem`` for too few rows, and where all texts are empty.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    require_fit(labels)
    vectorizer = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(2, _LONGEST), max_features=_FEATURES, sublinear_tf=True, lowercase=False
    )
    rows = np.flatnonzero(labels.used).tolist()
    if not any(texts[row].strip() for row in rows):
        raise DataProblem("no graded row has a submission to read.", cure="Add graded rows with submissions.")
    # most of the time goes into reading the texts, so each is read once
    known, part = vectorizer.fit_transform([texts[row] for row in rows]), labels.chosen(labels.used)
    gram = _gram(known, known) * kind_factor(part.kinds, part.kinds)
    duals, intercept, fit = fit_gram(gram, part.grades.astype(np.float64)[:, None], part)[0]

    def score(unknown: Sequence[str], kinds: Sequence[str]) -> Floats:
        kernel = _gram(vectorizer.transform(unknown), known) * kind_factor(kinds, part.kinds)
        return np.asarray(kernel @ duals + intercept, dtype=np.float64)

    scores = np.zeros(len(texts))
    scores[rows] = fit.out_of_fold
    others = np.flatnonzero(~labels.used).tolist()
    if others:
        scores[others] = score([texts[row] for row in others], labels.chosen(~labels.used).kinds)
    ordinal, out_of_fold = fit_probabilities(scores, labels, scale.size)
    return RivalGrades(Grades(ordinal.probabilities(score(new_texts, new_kinds))), Grades(out_of_fold))


def _gram(one: object, other: object) -> NDArray[np.float64]:
    return np.asarray((one @ other.T).toarray(), dtype=np.float64)  # type: ignore[attr-defined]
