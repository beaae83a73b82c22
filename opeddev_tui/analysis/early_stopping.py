"""The early-stop rule: a verdict, with its reasons, from the recorded evaluations and the limits. Pure functions.

The rule: after the planned epochs, continue while the hold-out loss or the human evaluation improves on the step's best
so far, for at most the allowed extra epochs; else stop.
"""

import math
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from opeddev_tui.intervals import percentile_interval, resampled_sums
from opeddev_tui.runs.events import Choice, HoldoutEvaluated, Verdict


class Limits(Struct, frozen=True):
    """The settings of the rule (``early_stop`` and the planned epochs)."""

    planned_epochs: int
    max_extra_epochs: int
    min_delta: float = 0.0
    significant: bool = False
    confidence: float = 0.95

    @property
    def max_epochs(self) -> int:
        """The most epochs of a step."""
        return self.planned_epochs + self.max_extra_epochs


class Difference(Struct, frozen=True):
    """Difference of the hold-out loss in nats per token, earlier minus later: positive if the later one is better.

    ``better`` and ``worse`` count examples; ``worst`` are the indices of the five that became worst per token.
    """

    mean: float
    interval: tuple[float, float]
    better: int
    worse: int
    worst: tuple[int, ...]

    @property
    def significant(self) -> bool:
        """True if the whole interval is above zero."""
        return self.interval[0] > 0


def paired_difference(
    earlier: HoldoutEvaluated, later: HoldoutEvaluated, *, confidence: float = 0.95, samples: int = 2000, seed: int = 0
) -> Difference:
    """Compare two evaluations of the same examples, with a percentile bootstrap interval (Efron and Tibshirani 1993).

    The loss is a ratio, summed loss over tokens, so whole examples are resampled. Equal seeds give equal intervals.
    """
    gains = [a - b for a, b in zip(earlier.sums, later.sums, strict=True)]
    per_token = [gain / count for gain, count in zip(gains, later.tokens, strict=True)]
    sums, tokens = resampled_sums([gains, later.tokens], samples, seed)
    total = sum(later.tokens)
    worse = sorted((i for i in range(len(gains)) if gains[i] < 0), key=lambda i: per_token[i])
    return Difference(
        mean=sum(gains) / total if total else 0.0,
        interval=percentile_interval(sums / tokens, confidence),
        better=sum(gain > 0 for gain in gains),
        worse=len(worse),
        worst=tuple(worse[:5]),
    )


def best_before(history: Mapping[int, HoldoutEvaluated], epoch: int) -> int | None:
    """Return the epoch before ``epoch`` (0 included) with the lowest loss, the earliest among equals, None if none."""
    earlier = [(item.loss, number) for number, item in history.items() if number < epoch and not math.isnan(item.loss)]
    return min(earlier)[1] if earlier else None


def judge(
    epoch: int, history: Mapping[int, HoldoutEvaluated], limits: Limits, human_scores: Mapping[int, float] | None = None
) -> Verdict:
    """Return the verdict after ``epoch``.

    ``history`` maps epochs (0: before the step) to evaluations; ``human_scores`` maps epochs to the share of preferred
    generations (0.5: as good as before the step), empty if nothing was rated.
    """
    scores = human_scores or {}
    compared = best_before(history, epoch)
    difference = None
    if compared is not None and epoch in history and not math.isnan(history[epoch].loss):
        difference = paired_difference(history[compared], history[epoch], confidence=limits.confidence)
    loss_improved = difference is not None and _loss_improved(difference, limits)
    human_improved = _human_improved(epoch, scores)
    reasons = [*_loss_reasons(epoch, compared, difference, limits), *_human_reasons(epoch, scores, human_improved)]
    choice: Choice = "continue" if loss_improved or human_improved else "stop"
    if epoch >= limits.max_epochs:
        choice, reasons = "stop", [f"epoch {epoch} is the last that the settings allow", *reasons]
    elif epoch < limits.planned_epochs:
        choice, reasons = "continue", [f"{limits.planned_epochs} epochs are planned", *reasons]
    verdict = Verdict(
        epoch=epoch,
        choice=choice,
        limit_reached=epoch >= limits.max_epochs,
        reasons=tuple(reasons),
        loss_improved=loss_improved,
        human_improved=human_improved,
        compared_with=compared,
    )
    if difference is None:
        return verdict
    return replace(
        verdict,
        difference=difference.mean,
        interval=difference.interval,
        better=difference.better,
        worse=difference.worse,
        worst=difference.worst,
    )


def _loss_improved(difference: Difference, limits: Limits) -> bool:
    return difference.mean > limits.min_delta and (difference.significant or not limits.significant)


def _human_improved(epoch: int, scores: Mapping[int, float]) -> bool:
    """True if the score of ``epoch`` is above all earlier ones and above 0.5, which is as good as before the step."""
    return epoch in scores and scores[epoch] > max([0.5, *(scores[other] for other in scores if other < epoch)])


def _loss_reasons(epoch: int, compared: int | None, difference: Difference | None, limits: Limits) -> list[str]:
    if difference is None or compared is None:
        return [f"hold-out loss: nothing to compare epoch {epoch} with"]
    # the interval has the sign of the word: "worse by 0.04 (interval -0.01 to 0.09)"
    low, high = difference.interval if difference.mean >= 0 else (-difference.interval[1], -difference.interval[0])
    word = "better" if difference.mean > 0 else "worse" if difference.mean < 0 else "the same"
    size = "" if difference.mean == 0 else f" by {abs(difference.mean):.4f}"
    before = "before the step" if compared == 0 else f"epoch {compared}, the best so far"
    noise = ", within noise: the interval holds zero" if low <= 0 <= high else ""
    share = f"{limits.confidence:.0%} interval {low:.4f} to {high:.4f}"
    reasons = [f"hold-out loss {word}{size} than {before} ({share}{noise})" if size else f"hold-out loss as {before}"]
    if limits.min_delta and 0 < difference.mean <= limits.min_delta:
        reasons.append(f"less than early_stop.min_delta ({limits.min_delta:g})")
    return reasons


def _human_reasons(epoch: int, scores: Mapping[int, float], improved: bool) -> list[str]:
    if epoch not in scores:
        return []
    return [f"human evaluation {scores[epoch]:.2f}: {'better than' if improved else 'not better than'} the best so far"]
