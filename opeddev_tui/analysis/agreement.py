"""Agreement of predicted grades with the reference: shares, quadratic weighted kappa, and simple baselines.

Agreement alone misleads on a small hold-out, so the majority class, the middle grade and a text classifier are always
shown beside it. A text without a grade counts in every figure: as wrong in the shares, and as the grade farthest from
the reference in mean error and kappa, so that no model looks better by answering less. No model is loaded here.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from opeddev_tui.analysis.one_thread import one_thread
from opeddev_tui.intervals import percentile_interval, resampled_sums


class Agreement(Struct, frozen=True):
    """Agreement with the reference, all over the same rows; shares from 0 to 1. ``unread`` names the rule above."""

    parsed: float
    exact: float
    within_one: float
    mean_absolute_error: float | None
    kappa: float | None
    kappa_interval: tuple[float, float] | None
    majority_exact: float
    middle_within_one: float
    unread: Literal["farthest"] = "farthest"


def agreement(
    predicted: Sequence[int | None], reference: Sequence[int], grades: Sequence[int], *, confidence: float = 0.95
) -> Agreement:
    """Compare ``predicted`` (None: no grade was read) with ``reference``, row by row; ``grades`` is the whole scale."""
    total = len(reference)
    read = [(p, r) for p, r in zip(predicted, reference, strict=True) if p is not None]
    pairs = [(_farthest(r, grades) if p is None else p, r) for p, r in zip(predicted, reference, strict=True)]
    middle = grades[len(grades) // 2]
    commonest = Counter(reference).most_common(1)[0][1] if reference else 0
    share = 1 / total if total else 0.0
    return Agreement(
        parsed=len(read) * share,
        exact=sum(p == r for p, r in read) * share,
        within_one=sum(abs(p - r) <= 1 for p, r in read) * share,
        mean_absolute_error=sum(abs(p - r) for p, r in pairs) / len(pairs) if pairs else None,
        kappa=_kappa(pairs, grades),
        kappa_interval=_kappa_interval(pairs, confidence),
        majority_exact=commonest * share,
        middle_within_one=sum(abs(middle - r) <= 1 for r in reference) * share,
    )


def _farthest(reference: int, grades: Sequence[int]) -> int:
    """Return the grade of the scale that is farthest from ``reference``, the lower one of two."""
    return grades[0] if 2 * reference >= grades[0] + grades[-1] else grades[-1]


def _kappa(pairs: Sequence[tuple[int, int]], grades: Sequence[int]) -> float | None:
    """Return the quadratic weighted kappa (Cohen 1968), None if it is not defined."""
    from sklearn.metrics import cohen_kappa_score

    if len(pairs) < 2 or len({r for _, r in pairs}) < 2:
        return None
    value = float(
        cohen_kappa_score([p for p, _ in pairs], [r for _, r in pairs], labels=list(grades), weights="quadratic")
    )
    return None if math.isnan(value) else value


def _kappa_interval(pairs: Sequence[tuple[int, int]], confidence: float) -> tuple[float, float] | None:
    """Return a percentile bootstrap interval of the quadratic weighted kappa over the examples.

    Kappa is 1 - (mean squared difference) / (its expectation from the margins), so sums over examples are enough.
    """
    if len(pairs) < 5:
        return None
    sums = [(p, r, p * p, r * r, (p - r) ** 2) for p, r in pairs]
    means = resampled_sums(list(zip(*sums, strict=True)), samples=1000) / len(pairs)
    p, r, p_squared, r_squared, observed = means
    expected = (p_squared - p * p) + (r_squared - r * r) + (p - r) ** 2
    # kappa is not defined for a resample of one grade only, and a rounding error must not define it
    defined = expected > 1e-9
    return percentile_interval(1 - observed[defined] / expected[defined], confidence) if defined.any() else None


@one_thread()
def classifier_exact(
    texts: Sequence[str], grades: Sequence[int], holdout_texts: Sequence[str], holdout_grades: Sequence[int]
) -> float | None:
    """Return the accuracy on the hold-out of a character n-gram logistic regression trained on the same rows.

    A language model that is no better has not learnt to grade. None if there are fewer than two grades to learn.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    if len(set(grades)) < 2 or not holdout_grades:
        return None
    model = make_pipeline(
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), max_features=50_000), LogisticRegression(max_iter=1000)
    )
    model.fit(list(texts), list(grades))
    return float(model.score(list(holdout_texts), list(holdout_grades)))
