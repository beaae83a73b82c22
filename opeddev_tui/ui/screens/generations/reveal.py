"""Owns the end of a blind round in words: the score, what was what, and which side was preferred. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual.content import Content

from opeddev_tui.runs import ratings
from opeddev_tui.runs.events import Preference
from opeddev_tui.runs.ratings import Pair, Score
from opeddev_tui.runs.state import RunState
from opeddev_tui.text import clean_line

_CHOICES: Mapping[Preference, str] = {"tie": "a tie", "both bad": "both bad", "now": "", "before": ""}


def revealed(
    state: RunState, epoch: int, pairs: Sequence[Pair], given: Mapping[int, Preference], confidence: float, width: int
) -> Content:
    """Return what was what and the score of a finished round, ``width`` cells wide."""
    score = ratings.score([given[pair.prompt] for pair in pairs if pair.prompt in given], confidence)
    if score is None:
        return Content("Nothing was rated.")
    lines = [_score(score, confidence), _counts(score, epoch), Content(_meaning(state, epoch, score)), Content("")]
    lines.append(Content.styled(f"{'':<5}{'left was':<11}{'right was':<11}{'you preferred':<18}prompt", "$muted"))
    for number, pair in enumerate(pairs, 1):
        lines.append(_line(number, pair, given[pair.prompt], epoch).truncate(max(20, width), ellipsis=True))
    return Content("\n").join(lines)


def _score(score: Score, confidence: float) -> Content:
    low, high = score.interval
    head = Content.styled(f"Score {score.value:.2f}", "bold $primary")
    return head + Content(f"   {confidence:.0%} interval {low:.2f} to {high:.2f}, {score.rated} prompts rated")


def _counts(score: Score, epoch: int) -> Content:
    return Content(
        f"epoch {epoch} better {score.wins} · before the step better {score.losses} · "
        f"ties {score.ties} · both bad {score.both_bad}"
    )


def _meaning(state: RunState, epoch: int, score: Score) -> str:
    earlier = ratings.shares(state)
    best = max([0.5, *(value for at, value in earlier.items() if at < epoch)])
    better = "better than" if score.value > best else "not better than"
    doubt = "" if score.interval[0] > 0.5 or score.interval[1] < 0.5 else " Within chance: the interval holds 0.50."
    return f"For the rule: {better} the best so far ({best:.2f}).{doubt} Both bad counts as a tie."


def _line(number: int, pair: Pair, choice: Preference, epoch: int) -> Content:
    names = {"now": f"epoch {epoch}", "before": "before"}
    side = "left" if pair.left == choice else "right"
    told = _CHOICES[choice] or f"{side}: {names[choice]}"
    mark = {"now": "+", "before": "−"}.get(choice, "=")
    line = f"{mark} {number:<3}{names[pair.left]:<11}{names[pair.right]:<11}{told:<18}"
    return Content(line) + Content.styled(clean_line(pair.asked.partition("\n")[0]), "$muted")
