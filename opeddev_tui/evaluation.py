"""Owns scoring on the hold-out: per-example losses, grades read from text, agreement with the reference.

Agreement alone misleads on a small hold-out, so the majority class, the middle grade and a cheap text classifier
always stand beside it.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
from msgspec import Struct
from torch.nn.functional import cross_entropy

from opeddev_tui.token_rows import IGNORED, LeftPadCollator, TokenRow


def example_losses(
    model: Any,
    rows: Sequence[TokenRow],
    collate: LeftPadCollator,
    *,
    batch_size: int,
    on_batch: Callable[[int, int], None] | None = None,
) -> tuple[list[float], list[int]]:
    """Return (summed loss in nats, number of completion tokens) of each row, in the order of ``rows``.

    Rows of like length go together; ``on_batch(done, total)`` is told after each batch. The caller chooses
    autocast and protects the random state.
    """
    sums, counts = [0.0] * len(rows), [0] * len(rows)
    order = sorted(range(len(rows)), key=lambda index: rows[index].length, reverse=True)
    was_training = model.training
    model.eval()
    try:
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            totals, tokens = _batch_losses(model, collate([rows[index] for index in chosen]))
            for place, index in enumerate(chosen):
                sums[index], counts[index] = totals[place], tokens[place]
            if on_batch is not None:
                on_batch(min(start + batch_size, len(order)), len(order))
    finally:
        model.train(was_training)
    return sums, counts


@torch.no_grad()
def _batch_losses(model: Any, batch: dict[str, Any]) -> tuple[list[float], list[int]]:
    device = next(model.parameters()).device
    labels = batch.pop("labels").to(device)
    batch.pop("rows", None)
    batch.pop("weights", None)
    inputs = {key: value.to(device) if torch.is_tensor(value) else value for key, value in batch.items()}
    logits = model(**inputs).logits[:, :-1].float()
    targets = labels[:, 1:]
    losses = cross_entropy(logits.transpose(1, 2), targets, ignore_index=IGNORED, reduction="none")
    return losses.double().sum(1).tolist(), (targets != IGNORED).sum(1).tolist()


class Agreement(Struct, frozen=True):
    """How predicted grades agree with the reference; shares between 0 and 1, an unparsed grade counts as wrong."""

    parsed: float
    exact: float
    within_one: float
    mean_absolute_error: float | None
    kappa: float | None
    kappa_interval: tuple[float, float] | None
    majority_exact: float
    middle_within_one: float


def agreement(
    predicted: Sequence[int | None], reference: Sequence[int], grades: Sequence[int], *, confidence: float = 0.95
) -> Agreement:
    """Compare ``predicted`` with ``reference`` (same order); ``grades`` are all possible grades."""
    total = len(reference)
    pairs = [(p, r) for p, r in zip(predicted, reference, strict=True) if p is not None]
    middle = grades[len(grades) // 2]
    commonest = Counter(reference).most_common(1)[0][1] if reference else 0
    share = 1 / total if total else 0.0
    return Agreement(
        parsed=len(pairs) * share,
        exact=sum(p == r for p, r in pairs) * share,
        within_one=sum(abs(p - r) <= 1 for p, r in pairs) * share,
        mean_absolute_error=sum(abs(p - r) for p, r in pairs) / len(pairs) if pairs else None,
        kappa=_kappa(pairs, grades),
        kappa_interval=_kappa_interval(pairs, confidence),
        majority_exact=commonest * share,
        middle_within_one=sum(abs(middle - r) <= 1 for r in reference) * share,
    )


def _kappa(pairs: Sequence[tuple[int, int]], grades: Sequence[int]) -> float | None:
    """Return the quadratic weighted kappa (Cohen 1968), None where it is not defined."""
    from sklearn.metrics import cohen_kappa_score

    if len(pairs) < 2 or len({r for _, r in pairs}) < 2:
        return None
    value = float(
        cohen_kappa_score([p for p, _ in pairs], [r for _, r in pairs], labels=list(grades), weights="quadratic")
    )
    return value if value == value else None


def _kappa_interval(
    pairs: Sequence[tuple[int, int]], confidence: float, samples: int = 1000
) -> tuple[float, float] | None:
    """Return a percentile bootstrap interval of the quadratic weighted kappa over the examples.

    Vectorised: kappa is 1 - sum of squared differences / the same expected from the margins.
    """
    import numpy as np

    if len(pairs) < 5:
        return None
    generator = np.random.default_rng(0)
    data = np.array(pairs, dtype=float)
    chosen = data[generator.integers(0, len(data), size=(samples, len(data)))]
    p, r = chosen[:, :, 0], chosen[:, :, 1]
    observed = ((p - r) ** 2).mean(1)
    expected = p.var(1) + r.var(1) + (p.mean(1) - r.mean(1)) ** 2
    kappas = 1 - observed[expected > 0] / expected[expected > 0]
    if not len(kappas):
        return None
    tail = (1 - confidence) / 2
    return float(np.quantile(kappas, tail)), float(np.quantile(kappas, 1 - tail))


def classifier_exact(
    texts: Sequence[str], grades: Sequence[int], holdout_texts: Sequence[str], holdout_grades: Sequence[int]
) -> float | None:
    """Return the exact accuracy of a character n-gram logistic regression trained on the same rows.

    A language model that does not beat this has not learnt to grade. None where there is nothing to train on.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    if len(set(grades)) < 2 or not holdout_grades:
        return None
    model = make_pipeline(
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), max_features=50_000),
        LogisticRegression(max_iter=1000),
    )
    model.fit(list(texts), list(grades))
    return float(model.score(list(holdout_texts), list(holdout_grades)))
