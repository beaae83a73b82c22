"""The early-stop rule: a verdict, with its reasons, from the recorded evaluations and the limits. Pure functions.

The rule: after the planned epochs, continue while the metric (the hold-out loss, or the distance of the step's model
from the right grades) or the human evaluation improves on the step's best so far, for at most the allowed extra epochs;
else stop. What the other metric says stands beside it.
"""

import math
from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from opeddev_tui.analysis import grade_evidence
from opeddev_tui.analysis.grade_evidence import GradeDistances
from opeddev_tui.format import share
from opeddev_tui.intervals import percentile_interval, resampled_sums
from opeddev_tui.runs.events import Choice, GradesRead, HoldoutEvaluated, Verdict
from opeddev_tui.runs.grade_words import maybe_chance


class Limits(Struct, frozen=True):
    """The settings of the rule (``early_stop`` and the planned epochs); ``metric`` is loss or grade."""

    planned_epochs: int
    max_extra_epochs: int
    min_delta: float = 0.0
    significant: bool = False
    confidence: float = 0.95
    metric: str = "loss"

    @property
    def max_epochs(self) -> int:
        """The most epochs of a step."""
        return self.planned_epochs + self.max_extra_epochs


class Difference(Struct, frozen=True):
    """Difference of the hold-out loss per token, or of the distance per row: positive if the later epoch is better.

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
    return _difference(earlier.sums, later.sums, later.tokens, confidence, samples, seed)


def _difference(
    earlier: Sequence[float],
    later: Sequence[float],
    counts: Sequence[int],
    confidence: float,
    samples: int = 2000,
    seed: int = 0,
) -> Difference:
    gains = [a - b for a, b in zip(earlier, later, strict=True)]
    per_token = [gain / count for gain, count in zip(gains, counts, strict=True)]
    sums, tokens = resampled_sums([gains, counts], samples, seed)
    total = sum(counts)
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


class _Grades(Struct, frozen=True):
    """The grades of an epoch beside those of the best one before."""

    now: GradeDistances
    best: GradeDistances
    compared: int
    difference: Difference


def judge(
    epoch: int,
    history: Mapping[int, HoldoutEvaluated],
    limits: Limits,
    human_scores: Mapping[int, float] | None = None,
    readings: Mapping[int, GradesRead] | None = None,
) -> Verdict:
    """Return the verdict after ``epoch``.

    ``history`` maps epochs (0: before the step) to evaluations; ``human_scores`` maps epochs to the share of preferred
    generations (0.5: as good as before the step), empty if nothing was rated; ``readings`` are the grades of epochs.
    """
    scores = human_scores or {}
    compared = best_before(history, epoch)
    difference = None
    if compared is not None and epoch in history and not math.isnan(history[epoch].loss):
        difference = paired_difference(history[compared], history[epoch], confidence=limits.confidence)
    grades = _grades(epoch, readings or {}, limits)
    by_grade = limits.metric == "grade" and grades is not None
    # min_delta is in the units of the metric that decides
    loss_improved = difference is not None and _improved(difference, limits, counts=not by_grade)
    grade_improved = grades is not None and _improved(grades.difference, limits, counts=by_grade)
    human_improved = _human_improved(epoch, scores)
    of_loss = _loss_reasons(epoch, compared, difference, limits, counts=not by_grade)
    of_grade = _grade_reasons(epoch, grades, limits)
    reasons = [*(of_grade + of_loss if limits.metric == "grade" else of_loss + of_grade)]
    reasons += _human_reasons(epoch, scores, human_improved)
    reasons += _few_reasons(epoch, history) if difference is not None or grades is not None else []
    improved = grade_improved if by_grade else loss_improved
    choice, planned = _choice(epoch, limits, improved=improved or human_improved)
    verdict = Verdict(
        epoch=epoch,
        choice=choice,
        limit_reached=epoch >= limits.max_epochs,
        reasons=(*planned, *reasons),
        loss_improved=loss_improved,
        human_improved=human_improved,
        compared_with=compared,
        metric="grade" if by_grade else "loss",
        grade_improved=grade_improved,
    )
    return _with_differences(verdict, grades, difference)


def _choice(epoch: int, limits: Limits, *, improved: bool) -> tuple[Choice, tuple[str, ...]]:
    """Return what to do after ``epoch``, and the reason where the planned epochs alone decide."""
    if epoch >= limits.max_epochs:
        return "stop", (f"epoch {epoch} is the last that the settings allow",)
    if epoch < limits.planned_epochs:
        return "continue", (f"{limits.planned_epochs} epochs are planned",)
    return "continue" if improved else "stop", ()


def _with_differences(verdict: Verdict, grades: _Grades | None, difference: Difference | None) -> Verdict:
    """Return the verdict with the differences that it was taken by."""
    if grades is not None:
        verdict = replace(
            verdict,
            grade_difference=grades.difference.mean,
            grade_interval=grades.difference.interval,
            grade_compared_with=grades.compared,
            grade_way=grades.now.way,
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


def _grades(epoch: int, readings: Mapping[int, GradesRead], limits: Limits) -> _Grades | None:
    """Return the grades after ``epoch`` beside the best before; None where they were not read in one way."""
    known = {number: read for number, read in readings.items() if number <= epoch}
    way = grade_evidence.common_way(known.values())
    compared = grade_evidence.best_by_grade(known, way, [number for number in known if number < epoch])
    if compared is None or epoch not in known:
        return None
    best, now = (grade_evidence.distances_of(known[number], way) for number in (compared, epoch))
    if best is None or now is None:
        return None
    difference = _difference(best.distances, now.distances, [1] * len(now.distances), limits.confidence)
    return _Grades(now, best, compared, difference)


def _improved(difference: Difference, limits: Limits, *, counts: bool) -> bool:
    """True if ``difference`` is better; ``counts``: it is the metric's, so that ``min_delta`` applies."""
    least = limits.min_delta if counts else 0.0
    return difference.mean > least and (difference.significant or not limits.significant)


def _human_improved(epoch: int, scores: Mapping[int, float]) -> bool:
    """True if the score of ``epoch`` is above all earlier ones and above 0.5, which is as good as before the step."""
    return epoch in scores and scores[epoch] > max([0.5, *(scores[other] for other in scores if other < epoch)])


def _loss_reasons(
    epoch: int, compared: int | None, difference: Difference | None, limits: Limits, *, counts: bool = True
) -> list[str]:
    if difference is None or compared is None:
        return [f"hold-out loss: nothing to compare epoch {epoch} with"]
    return _reasons("hold-out loss", compared, difference, limits, counts=counts)


def _grade_reasons(epoch: int, grades: _Grades | None, limits: Limits) -> list[str]:
    if grades is None:
        nothing = f"grades: nothing to compare epoch {epoch} with, so the hold-out loss decides"
        return [nothing] if limits.metric == "grade" else []
    what = f"grades by {grades.now.words}: their distance from the right ones"
    first, *others = _reasons(what, grades.compared, grades.difference, limits, counts=limits.metric == "grade")
    kappas = [item.kappa for item in (grades.best, grades.now)]
    kappa = "" if None in kappas else f"; kappa {kappas[0]:.2f} then, {kappas[1]:.2f} now"
    return [f"{first}{kappa}", *others]


def _reasons(what: str, compared: int, difference: Difference, limits: Limits, *, counts: bool) -> list[str]:
    # the interval has the sign of the word: "worse by 0.04 (interval -0.01 to 0.09)"
    low, high = difference.interval if difference.mean >= 0 else (-difference.interval[1], -difference.interval[0])
    word = "better" if difference.mean > 0 else "worse" if difference.mean < 0 else "the same"
    size = "" if difference.mean == 0 else f" by {abs(difference.mean):.4f}"
    before = "before the step" if compared == 0 else f"epoch {compared}, the best so far"
    noise = ", within noise: the interval holds zero" if low <= 0 <= high else ""
    interval = f"{share(limits.confidence)} interval {low:.4f} to {high:.4f}"
    reasons = [f"{what} {word}{size} than {before} ({interval}{noise})" if size else f"{what} as {before}"]
    if counts and limits.min_delta and 0 < difference.mean <= limits.min_delta:
        reasons.append(f"less than early_stop.min_delta ({limits.min_delta:g})")
    return reasons


def _few_reasons(epoch: int, history: Mapping[int, HoldoutEvaluated]) -> list[str]:
    """Return that the differences may be chance, where the hold-out has a few rows."""
    few = maybe_chance(len(history[epoch].sums)) if epoch in history else ""
    return [few] if few else []


def _human_reasons(epoch: int, scores: Mapping[int, float], improved: bool) -> list[str]:
    if epoch not in scores:
        return []
    return [f"human evaluation {scores[epoch]:.2f}: {'better than' if improved else 'not better than'} the best so far"]
