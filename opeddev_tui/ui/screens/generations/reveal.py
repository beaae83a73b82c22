"""Result of a blind round as text: the score, which side was which, and which one was preferred. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual.content import Content

from opeddev_tui.format import share
from opeddev_tui.runs import ratings
from opeddev_tui.runs.events import Preference
from opeddev_tui.runs.ratings import Pair, Score
from opeddev_tui.runs.state import RunState
from opeddev_tui.text import clean_line

_CHOICES: Mapping[Preference, str] = {"tie": "a tie", "both bad": "both bad", "now": "", "before": ""}


def revealed(
    state: RunState, epoch: int, pairs: Sequence[Pair], given: Mapping[int, Preference], confidence: float, width: int
) -> Content:
    """Return the score of a finished round and one line per prompt, ``width`` cells wide; ``given`` is by prompt."""
    score = ratings.score([given[pair.prompt] for pair in pairs if pair.prompt in given], confidence)
    if score is None:
        return Content("Nothing was rated.")
    low, high = score.interval
    interval = f"   {share(confidence)} interval {low:.2f} to {high:.2f}, {score.rated} prompts rated"
    counts = (
        f"epoch {epoch} better {score.wins} · before the step better {score.losses} · "
        f"ties {score.ties} · both bad {score.both_bad}"
    )
    lines = [Content.styled(f"Score {score.value:.2f}", "bold $primary") + Content(interval), Content(counts)]
    lines += [Content(_meaning(state, epoch, score)), Content("")]
    lines.append(Content.styled(f"{'':<5}{'left was':<11}{'right was':<11}{'you preferred':<18}prompt", "$muted"))
    for number, pair in enumerate(pairs, 1):
        lines.append(_line(number, pair, given[pair.prompt], epoch).truncate(max(20, width), ellipsis=True))
    return Content("\n").join(lines)


def _meaning(state: RunState, epoch: int, score: Score) -> str:
    earlier = ratings.shares(state)
    best = max([0.5, *(value for at, value in earlier.items() if at < epoch)])
    low, high = score.interval
    better = f"Epoch {epoch} is better" if low > 0.5 else "The state before the step is better"
    chance = "No difference beyond chance" if low <= 0.5 <= high else f"{better} beyond chance"
    compared = "better than" if score.value > best else "not better than"
    return f"{chance}; the rule goes by the score, {compared} the best so far ({best:.2f}). Both bad counts as a tie."


def _line(number: int, pair: Pair, choice: Preference, epoch: int) -> Content:
    names = {"now": f"epoch {epoch}", "before": "before"}
    side = "left" if pair.left == choice else "right"
    preferred = _CHOICES[choice] or f"{side}: {names[choice]}"
    mark = {"now": "+", "before": "−"}.get(choice, "=")
    line = f"{mark} {number:<3}{names[pair.left]:<11}{names[pair.right]:<11}{preferred:<18}"
    return Content(line) + Content.styled(clean_line(pair.asked.partition("\n")[0]), "$muted")
