"""Owns the early-stop rule: history and limits to a verdict with its reasons. Pure functions, no I/O.

The rule: after the planned epochs, go on while the hold-out loss or the human evaluation has improved on the
step's best so far, up to a maximum of extra epochs; otherwise stop.
"""

import math
from collections.abc import Mapping

from msgspec import Struct

from opeddev_tui.events import HoldoutEvaluated, Verdict
from opeddev_tui.intervals import percentile_interval, resampled_sums


class Limits(Struct, frozen=True):
    """What the settings say about stopping."""

    planned_epochs: int
    max_extra_epochs: int
    min_delta: float = 0.0
    significant: bool = False
    confidence: float = 0.95

    @property
    def max_epochs(self) -> int:
        """The most epochs a step can have."""
        return self.planned_epochs + self.max_extra_epochs


class Difference(Struct, frozen=True):
    """Paired difference of hold-out loss, earlier minus later (positive: the later one is better).

    ``interval`` is a bootstrap interval over the examples; ``worst`` are the indices that got worse most.
    """

    mean: float
    interval: tuple[float, float]
    better: int
    worse: int
    worst: tuple[int, ...]

    @property
    def significant(self) -> bool:
        """True when the interval excludes zero on the side of better."""
        return self.interval[0] > 0


def paired_difference(
    earlier: HoldoutEvaluated, later: HoldoutEvaluated, *, confidence: float = 0.95, samples: int = 2000, seed: int = 0
) -> Difference:
    """Compare two evaluations of the same examples.

    The loss is a ratio (summed loss over tokens), so examples are resampled as pairs of both and the interval is
    that of the ratio's difference (percentile bootstrap, Efron and Tibshirani 1993). The seed makes it repeatable.
    """
    gains = [a - b for a, b in zip(earlier.sums, later.sums, strict=True)]
    tokens = later.tokens
    total = sum(tokens)
    mean = sum(gains) / total if total else 0.0
    indices = range(len(gains))
    per_token = [gain / count for gain, count in zip(gains, tokens, strict=True)]
    sums, weights = resampled_sums([gains, tokens], samples, seed)
    worst = sorted((i for i in indices if per_token[i] < 0), key=lambda i: per_token[i])[:5]
    return Difference(
        mean=mean,
        interval=percentile_interval(sums / weights, confidence),
        better=sum(gain > 0 for gain in gains),
        worse=sum(gain < 0 for gain in gains),
        worst=tuple(worst),
    )


def best_before(history: Mapping[int, HoldoutEvaluated], epoch: int) -> int | None:
    """Return the epoch before ``epoch`` with the lowest finite loss (0 included), the earliest among equals."""
    earlier = [(item.loss, number) for number, item in history.items() if number < epoch and not math.isnan(item.loss)]
    return min(earlier)[1] if earlier else None


def judge(
    epoch: int,
    history: Mapping[int, HoldoutEvaluated],
    limits: Limits,
    human_scores: Mapping[int, float] | None = None,
) -> Verdict:
    """Return the verdict after ``epoch``.

    ``history`` maps epochs (0: before the step) to evaluations; ``human_scores`` maps epochs to the share of
    preferred generations (0.5: as good as before the step), empty where nothing was rated.
    """
    scores = human_scores or {}
    compared = best_before(history, epoch)
    difference = _difference(epoch, compared, history, limits)
    loss_better = difference is not None and _loss_improved(difference, limits)
    human_better = _human_improved(epoch, scores)
    reasons = [*_loss_words(epoch, compared, difference, limits), *_human_words(epoch, scores, human_better)]
    if epoch >= limits.max_epochs:
        choice, limit, reasons = "stop", True, [f"epoch {epoch} is the last that the settings allow", *reasons]
    elif epoch < limits.planned_epochs:
        choice, limit, reasons = "continue", False, [f"{limits.planned_epochs} epochs are planned", *reasons]
    else:
        choice, limit = ("continue" if loss_better or human_better else "stop"), False
    return Verdict(
        epoch=epoch,
        choice="continue" if choice == "continue" else "stop",
        limit_reached=limit,
        reasons=tuple(reasons),
        loss_improved=loss_better,
        human_improved=human_better,
        difference=None if difference is None else difference.mean,
        interval=None if difference is None else difference.interval,
        better=0 if difference is None else difference.better,
        worse=0 if difference is None else difference.worse,
        worst=() if difference is None else difference.worst,
        compared_with=compared,
    )


def _difference(
    epoch: int, compared: int | None, history: Mapping[int, HoldoutEvaluated], limits: Limits
) -> Difference | None:
    if compared is None or epoch not in history or math.isnan(history[epoch].loss):
        return None
    return paired_difference(history[compared], history[epoch], confidence=limits.confidence)


def _loss_improved(difference: Difference, limits: Limits) -> bool:
    if limits.significant and not difference.significant:
        return False
    return difference.mean > limits.min_delta


def _human_improved(epoch: int, scores: Mapping[int, float]) -> bool:
    """The score of ``epoch`` beats the best earlier one; before any rating that is 0.5, as good as before."""
    if epoch not in scores:
        return False
    return scores[epoch] > max([0.5, *(score for number, score in scores.items() if number < epoch)])


def _loss_words(epoch: int, compared: int | None, difference: Difference | None, limits: Limits) -> list[str]:
    if difference is None or compared is None:
        return [f"hold-out loss: nothing to compare epoch {epoch} with"]
    # told in the direction of the word: "worse by 0.04 (interval -0.01 to 0.09)"
    low, high = difference.interval if difference.mean >= 0 else (-difference.interval[1], -difference.interval[0])
    word = "better" if difference.mean > 0 else "worse" if difference.mean < 0 else "the same"
    size = "" if difference.mean == 0 else f" by {abs(difference.mean):.4f}"
    before = "before the step" if compared == 0 else f"epoch {compared}, the best so far"
    noise = ", within noise: the interval holds zero" if low <= 0 <= high else ""
    share = f"{limits.confidence:.0%} interval {low:.4f} to {high:.4f}"
    words = [f"hold-out loss {word}{size} than {before} ({share}{noise})" if size else f"hold-out loss as {before}"]
    if limits.min_delta and 0 < difference.mean <= limits.min_delta:
        words.append(f"less than early_stop.min_delta ({limits.min_delta:g})")
    return words


def _human_words(epoch: int, scores: Mapping[int, float], improved: bool) -> list[str]:
    if epoch not in scores:
        return []
    return [f"human evaluation {scores[epoch]:.2f}: {'better than' if improved else 'not better than'} the best so far"]
