"""Cheap ways to a grade that a model has to beat: the commonest grade, the middle one, character n-grams.

The n-grams (``n_grams``) are the strong form: TF-IDF in the grade head's kernel, with the same ordinal fit, not a
classifier that knows no order of grades.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from opeddev_tui.grading.head import Labels
from opeddev_tui.grading.n_grams import fit_n_grams
from opeddev_tui.grading.ordinal import Grades
from opeddev_tui.grading.scale import Positions, Scale
from opeddev_tui.grading.scores import Predictions


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


def n_grams(
    texts: Sequence[str], labels: Labels, scale: Scale, new_texts: Sequence[str], new_kinds: Sequence[str] = ()
) -> RivalGrades:
    """Return the grades of ``new_texts`` by character n-grams of graded ``texts`` [n].

    Raises ``DataProblem`` for too few rows, and where all texts are empty.
    """
    fitted = fit_n_grams(texts, labels, scale)
    return RivalGrades(fitted.grader.grades(new_texts, new_kinds), fitted.out_of_fold)
